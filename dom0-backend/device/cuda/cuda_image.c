/* SPDX-License-Identifier: MIT */
/*
 * cuda_image.c - what may be given to the driver as an image.
 *
 * The driver takes an address without a length and believes what stands there, and a fatbin
 * wrapper it even follows to other addresses. Here the lengths that an image states are held
 * against those of what has come from the guest; what is inside its parts is the driver's to judge.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cuda_int.h"

#define FATBIN_MAGIC  0xba55ed50u
#define WRAPPER_MAGIC 0x466243b1u
#define WRAPPER_SIZE  24u
#define FATBIN_HEADER 16u
#define ENTRY_HEADER  64u
#define KIND_ELF      2u
#define ELF_HEADER    64u
#define SECTION_MIN   64u
#define NOBITS        8u

static uint64_t u64_at(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t u32_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t u16_at(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* True if [off, off + len) lies within n octets. */
static bool inside(uint64_t off, uint64_t len, uint64_t n)
{
    return off <= n && len <= n - off;
}

size_t cudev_fatbin_size(const void *image, size_t n)
{
    const uint8_t *p = image;
    uint64_t header, size;

    if (n < FATBIN_HEADER || u32_at(p) != FATBIN_MAGIC)
        return 0;
    header = u16_at(p + 6);
    size = u64_at(p + 8);
    if (header < FATBIN_HEADER || !inside(header, size, n))
        return 0;
    for (uint64_t at = header; at < header + size;) {
        uint64_t left = header + size - at, own;

        if (left < ENTRY_HEADER)
            return 0;
        own = u32_at(p + at + 4);
        if (own < ENTRY_HEADER || !inside(own, u64_at(p + at + 8), left) ||
            u32_at(p + at + 16) > u64_at(p + at + 8))
            return 0;
        at += own + u64_at(p + at + 8);
    }
    return header + size;
}

/* The fatbin has been found sound. */
bool cudev_image_ready(const struct cudev_image *i, int major, int minor)
{
    const uint8_t *p = i->data;
    size_t n = i->parts ? 0 : cudev_fatbin_size(p, i->size);
    bool ready = false;

    for (uint64_t at = n ? u16_at(p + 6) : 0; at < n && !ready;) {
        uint32_t arch = u32_at(p + at + 0x1c);

        ready = u16_at(p + at) == KIND_ELF && arch / 10 == (uint32_t)major &&
                arch % 10 <= (uint32_t)minor;
        at += u32_at(p + at + 4) + u64_at(p + at + 8);
    }
    return ready;
}

static bool elf_fits(const uint8_t *p, size_t n)
{
    uint64_t phoff, shoff, phsize, phnum, shsize, shnum;

    if (n < ELF_HEADER)
        return false;
    phoff = u64_at(p + 32);
    shoff = u64_at(p + 40);
    phsize = u16_at(p + 54);
    phnum = u16_at(p + 56);
    shsize = u16_at(p + 58);
    shnum = u16_at(p + 60);
    if (!inside(phoff, phsize * phnum, n) || !inside(shoff, shsize * shnum, n))
        return false;
    for (uint64_t i = 0; i < shnum && shsize >= SECTION_MIN; i++) {
        const uint8_t *sh = p + shoff + i * shsize;

        if (u32_at(sh + 4) != NOBITS && !inside(u64_at(sh + 24), u64_at(sh + 32), n))
            return false;
    }
    return true;
}

int cudev_image_check(const void *image, size_t n, struct cudev_image *out, char *log, size_t log_n)
{
    const uint8_t *p = image;
    const char *what;
    char *text;

    *out = (struct cudev_image){.data = image, .size = n};
    if (n >= 4 && u32_at(p) == WRAPPER_MAGIC) {
        /* As shims send the result of a device link: no pointers, then the linked fatbin, then
         * those of the objects, each padded to 8. */
        size_t first = n > WRAPPER_SIZE ? cudev_fatbin_size(p + WRAPPER_SIZE, n - WRAPPER_SIZE) : 0;

        what = "the fatbins behind the wrapper";
        if (!first || u64_at(p + 8) || u64_at(p + 16))
            goto bad;
        out->data = p + WRAPPER_SIZE;
        out->size = first;
        out->parts = p + WRAPPER_SIZE + first;
        out->parts_size = n - WRAPPER_SIZE - first;
        return 0;
    }
    if (n >= 4 && u32_at(p) == FATBIN_MAGIC) {
        what = "the fatbin";
        if (!cudev_fatbin_size(p, n))
            goto bad;
        return 0;
    }
    if (n >= 4 && !memcmp(p, "\177ELF", 4)) {
        what = "the cubin";
        if (!elf_fits(p, n))
            goto bad;
        return 0;
    }
    if (n && p[n - 1] == '\0')
        return 0;
    text = malloc(n + 1);
    if (!text)
        return CUDA_ERROR_OUT_OF_MEMORY;
    memcpy(text, image, n);
    text[n] = '\0';
    out->data = out->own = text;
    out->size = n + 1;
    return 0;
bad:
    snprintf(log, log_n, "%s is cut off or states lengths beyond its %zu octets", what, n);
    return CUDA_ERROR_INVALID_IMAGE;
}

void cudev_image_drop(struct cudev_image *i)
{
    free(i->own);
    i->own = NULL;
}
