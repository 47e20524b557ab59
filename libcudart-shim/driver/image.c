/* SPDX-License-Identifier: MIT */
#include "image.h"
#include "log.h"
#include "pool.h"

#include <stdlib.h>
#include <string.h>

#define FATBIN_MAGIC  0xba55ed50u
#define WRAPPER_MAGIC 0x466243b1u
#define PARTS_MAX     4096u

struct wrapper {
    uint32_t magic;
    uint32_t version; /* 1: one fatbin, 2: the result of a device link (-rdc=true) */
    const void *data;
    const void *const *parts; /* version 2: the fatbins of the objects, NULL at the end */
};

/* u32 magic, u16 version, u16 header size, u64 size after it; 0: not one. */
static size_t fatbin_size(const void *fatbin)
{
    const uint8_t *b = fatbin;
    uint32_t magic;
    uint16_t header;
    uint64_t size;

    memcpy(&magic, b, 4);
    memcpy(&header, b + 6, 2);
    memcpy(&size, b + 8, 8);
    return magic == FATBIN_MAGIC ? header + size : 0;
}

/* The section headers come last, or the segments. */
static size_t cubin_size(const uint8_t *b)
{
    uint64_t shoff, phoff, end = 64;
    uint16_t phsize, phnum, shsize, shnum;

    memcpy(&phoff, b + 32, 8);
    memcpy(&shoff, b + 40, 8);
    memcpy(&phsize, b + 54, 2);
    memcpy(&phnum, b + 56, 2);
    memcpy(&shsize, b + 58, 2);
    memcpy(&shnum, b + 60, 2);
    if (phoff + (uint64_t)phsize * phnum > end)
        end = phoff + (uint64_t)phsize * phnum;
    if (shoff + (uint64_t)shsize * shnum > end)
        end = shoff + (uint64_t)shsize * shnum;
    for (unsigned i = 0; i < shnum && shsize >= 64; i++) {
        const uint8_t *sh = b + shoff + (uint64_t)i * shsize;
        uint32_t type;
        uint64_t off, size;

        memcpy(&type, sh + 4, 4);
        memcpy(&off, sh + 24, 8);
        memcpy(&size, sh + 32, 8);
        if (type != 8 /* NOBITS */ && off + size > end)
            end = off + size;
    }
    return end;
}

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

bool gvm_image_linked(const void *image)
{
    const struct wrapper *w = image;

    return w->magic == WRAPPER_MAGIC && w->version == 2;
}

/* A wrapper without pointers, then what it points to: the form that a device takes. */
static int take_linked(const struct wrapper *w, struct gvm_image *i)
{
    struct wrapper head = {.magic = WRAPPER_MAGIC, .version = 2};
    size_t first = fatbin_size(w->data), size = sizeof(head) + padded(first);
    uint8_t *p;
    unsigned n;

    for (n = 0; w->parts && n < PARTS_MAX && w->parts[n]; n++) {
        size_t part = fatbin_size(w->parts[n]);

        if (!part) {
            gvm_log("part %u of a program's device code is no fatbin", n);
            return 200;
        }
        size += padded(part);
    }
    if (!first) {
        gvm_log("a fatbin wrapper without a fatbin");
        return 200;
    }
    i->own = p = calloc(1, size);
    if (!p)
        return 2;
    i->data = p;
    i->size = size;
    memcpy(p, &head, sizeof(head));
    p += sizeof(head);
    memcpy(p, w->data, first);
    p += padded(first);
    for (unsigned k = 0; k < n; k++) {
        size_t part = fatbin_size(w->parts[k]);

        memcpy(p, w->parts[k], part);
        p += padded(part);
    }
    return 0;
}

int gvm_image_take(const void *image, struct gvm_image *i)
{
    const struct wrapper *w = image;
    uint32_t magic;

    *i = (struct gvm_image){.data = image};
    memcpy(&magic, image, 4);
    if (magic == WRAPPER_MAGIC) {
        if (w->version == 2)
            return take_linked(w, i);
        if (w->version != 1 || !w->data || !fatbin_size(w->data)) {
            gvm_log("a fatbin wrapper of unknown form (version %u): 1 and 2 are known", w->version);
            return 200;
        }
        i->data = w->data;
        magic = FATBIN_MAGIC;
    }
    if (magic == FATBIN_MAGIC)
        i->size = fatbin_size(i->data);
    else if (!memcmp(image, "\177ELF", 4))
        i->size = cubin_size(image);
    else
        i->size = strlen(image) + 1; /* PTX text, with the NUL that ends it */
    return 0;
}

void gvm_image_drop(struct gvm_image *i)
{
    free(i->own);
    i->own = NULL;
}

/* ---- JIT options --------------------------------------------------------------------------- */

/* CUjit_option, those that are not plain numbers. */
enum {
    THREADS_PER_BLOCK = 1,
    WALL_TIME = 2,
    INFO_LOG = 3,
    INFO_SIZE = 4,
    ERROR_LOG = 5,
    ERROR_SIZE = 6,
    SYMBOL_NAMES = 17,
    SYMBOL_COUNT = 19,
    KERNEL_NAMES = 25,
    VARIABLE_COUNT = 28,
    OPTIONS = 35,
};
#define LOG_MAX (1u << 20) /* what crosses; a larger buffer is not filled further */

static uint32_t log_size(const void *val)
{
    return (uintptr_t)val < LOG_MAX ? (uint32_t)(uintptr_t)val : LOG_MAX;
}

int gvm_jit_take(unsigned n, const int *opt, void **val, struct gvm_jit *j)
{
    static uint32_t said;

    *j = (struct gvm_jit){.n = 0};
    if (n && (!opt || !val))
        return 1;
    for (unsigned i = 0; i < n; i++) {
        switch (opt[i]) {
        case WALL_TIME:
            j->wall = &val[i];
            break;
        case INFO_LOG:
            j->info = val[i];
            break;
        case INFO_SIZE:
            j->info_max = log_size(val[i]);
            j->info_size = &val[i];
            break;
        case ERROR_LOG:
            j->error = val[i];
            break;
        case ERROR_SIZE:
            j->error_max = log_size(val[i]);
            j->error_size = &val[i];
            break;
        default:
            if (opt[i] < 0 || opt[i] >= OPTIONS)
                return 1;
            if ((opt[i] >= SYMBOL_NAMES && opt[i] <= SYMBOL_COUNT) ||
                (opt[i] >= KERNEL_NAMES && opt[i] <= VARIABLE_COUNT))
                return gvm_refuse("a JIT option with names (CU_JIT_GLOBAL_SYMBOL_*, "
                                  "CU_JIT_REFERENCED_*)",
                                  &said);
            if (j->n == GVM_JIT_MAX)
                return 1;
            if (opt[i] == THREADS_PER_BLOCK)
                j->threads = &val[i];
            j->opt[j->n].id = (uint32_t)opt[i];
            j->opt[j->n++].value = (uint32_t)(uintptr_t)val[i];
        }
    }
    if (!j->info)
        j->info_max = 0;
    if (!j->error)
        j->error_max = 0;
    return 0;
}

int gvm_logs_take(const struct gvm_jit *j, struct gvm_logs *l)
{
    uint32_t half = j->info_max > j->error_max ? j->info_max : j->error_max;

    l->room = 2 * ((size_t)half + 64);
    l->p = gvm_pool_alloc(l->room);
    if (!l->p)
        return 2;
    l->p[0] = l->p[l->room / 2] = 0;
    return 0;
}

/* The worker can still write to the pool: what is copied ends where we end it. */
static void give(char *to, uint32_t max, void **size, const char *from)
{
    size_t n = max ? strnlen(from, max - 1) : 0;

    if (max) {
        memcpy(to, from, n);
        to[n] = 0;
    }
    if (size)
        *size = (void *)n;
}

void gvm_logs_give(const struct gvm_jit *j, struct gvm_logs *l)
{
    give(j->info, j->info_max, j->info_size, l->p);
    give(j->error, j->error_max, j->error_size, l->p + l->room / 2);
}

void gvm_logs_drop(struct gvm_logs *l)
{
    gvm_pool_free(l->p, l->room);
}
