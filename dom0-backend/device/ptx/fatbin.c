/* SPDX-License-Identifier: MIT */
/* The format is not published by NVIDIA; the layout below was read off nvcc 13's own output. */
#include "dom0-backend/device/ptx/fatbin.h"
#include "dom0-backend/device/ptx/ptx.h"

#include <lz4.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define CUDA_OUT_OF_MEMORY     2
#define CUDA_INVALID_IMAGE     200
#define CUDA_NO_BINARY_FOR_GPU 209

#define WRAPPER_MAGIC 0x466243B1u
#define WRAPPER_SIZE  24u
#define FATBIN_MAGIC  0xBA55ED50u
#define FATBIN_HEADER 16u
#define ENTRY_HEADER  0x40u
#define FATBIN_ALIGN  8u

#define KIND_PTX 1
#define KIND_ELF 2
#define KIND_IR  8

#define FLAG_LZ4    0x2000ull
#define FLAG_ZSTD   0x8000ull
#define FLAG_ARCH   0x100000ull           /* sm_90a: that architecture only */
#define FLAG_FAMILY 0x200000ull           /* sm_100f */
#define FLAG_PART   0x4000000000000000ull /* our own: one of the texts that a linker joined */
#define EM_CUDA     190

struct entry {
    uint16_t kind;
    uint32_t arch;
    uint64_t flags;
    uint32_t compressed; /* bytes, 0 = stored as is */
    uint64_t uncompressed;
    const uint8_t *data;
    uint64_t size; /* padded */
};

/* What an image holds, for the line that says why nothing in it will do. */
struct seen {
    char text[160];
    size_t len;
};

struct walk {
    char *log;
    size_t log_n;
    struct seen seen;
    unsigned nentry;
    uint64_t budget; /* bytes that decompression may still produce */
};

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t get64(const uint8_t *p)
{
    return get32(p) | (uint64_t)get32(p + 4) << 32;
}

__attribute__((format(printf, 3, 4))) static int fail(struct walk *w, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    if (w->log_n)
        vsnprintf(w->log, w->log_n, fmt, ap);
    va_end(ap);
    return err;
}

static void note(struct seen *s, const struct entry *e)
{
    const char *suffix = e->flags & FLAG_ARCH ? "a" : e->flags & FLAG_FAMILY ? "f" : "";
    const char *kind = e->kind == KIND_PTX   ? "PTX"
                       : e->kind == KIND_ELF ? "binary"
                       : e->kind == KIND_IR  ? "LTO IR"
                                             : "other";
    char item[48];

    snprintf(item, sizeof(item), "%s%s sm_%u%s", s->len ? ", " : "", kind, e->arch, suffix);
    if (strstr(s->text, item) || s->len + strlen(item) >= sizeof(s->text))
        return;
    strcpy(s->text + s->len, item);
    s->len += strlen(item);
}

/* ---- one entry --------------------------------------------------------------------------- */

static int parse_entry(struct walk *w, const uint8_t *p, uint64_t left, struct entry *e,
                       uint64_t *total)
{
    uint32_t header;
    uint64_t size;

    if (left < ENTRY_HEADER)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: %llu bytes left for an entry's header of %u",
                    (unsigned long long)left, ENTRY_HEADER);
    header = get32(p + 4);
    size = get64(p + 8);
    if (header < ENTRY_HEADER || header > left)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: entry header of %u bytes, allowed %u to %llu",
                    header, ENTRY_HEADER, (unsigned long long)left);
    if (size > left - header)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: entry of %llu bytes, %llu are left",
                    (unsigned long long)size, (unsigned long long)(left - header));
    e->kind = get16(p);
    e->compressed = get32(p + 0x10);
    e->arch = get32(p + 0x1c);
    e->flags = get64(p + 0x28);
    e->uncompressed = get64(p + 0x38);
    e->data = p + header;
    e->size = size;
    if (e->compressed > size)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: %u compressed bytes in an entry of %llu",
                    e->compressed, (unsigned long long)size);
    *total = header + size;
    return 0;
}

static int unpack(struct walk *w, const struct entry *e, struct fatbin_text *out)
{
    bool packed = e->flags & (FLAG_LZ4 | FLAG_ZSTD);
    uint64_t len = packed ? e->uncompressed : e->size;
    uint64_t in = e->compressed ? e->compressed : e->size;
    char *text;

    if (len > w->budget)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: PTX of %llu bytes, at most %u are allowed",
                    (unsigned long long)len, FATBIN_MAX_TEXT);
    if ((e->flags & FLAG_LZ4) && (e->flags & FLAG_ZSTD))
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: entry marked both LZ4 and zstd");
    text = malloc(len + 1);
    if (!text)
        return fail(w, CUDA_OUT_OF_MEMORY, "fatbin: no memory for %llu bytes of PTX",
                    (unsigned long long)len);
    if (e->flags & FLAG_ZSTD) {
        size_t got = ZSTD_decompress(text, len, e->data, in);

        if (ZSTD_isError(got) || got != len) {
            free(text);
            return fail(w, CUDA_INVALID_IMAGE, "fatbin: zstd: %s",
                        ZSTD_isError(got) ? ZSTD_getErrorName(got) : "not the length announced");
        }
    } else if (e->flags & FLAG_LZ4) {
        /* in and len are below 2^31: in is a u32 within the image, len within the budget. */
        int got = in > FATBIN_MAX_TEXT
                      ? -1
                      : LZ4_decompress_safe((const char *)e->data, text, (int)in, (int)len);

        if (got < 0 || (uint64_t)got != len) {
            free(text);
            return fail(w, CUDA_INVALID_IMAGE, "fatbin: LZ4 data are malformed");
        }
    } else {
        memcpy(text, e->data, len);
    }
    while (len && text[len - 1] == '\0')
        len--;
    text[len] = '\0';
    w->budget -= len;
    out->text = text;
    out->len = len;
    return 0;
}

/* ---- containers -------------------------------------------------------------------------- */

/* The highest, as on a GPU: source code asks __CUDA_ARCH__, and the lower ones may lack something. */
static bool better(const struct entry *e, const struct entry *than)
{
    if (e->kind != KIND_PTX || e->arch > ptx_target() || e->flags & (FLAG_ARCH | FLAG_FAMILY))
        return false;
    return !than->data || e->arch > than->arch;
}

static int take(struct walk *w, const struct entry *e, struct fatbin_texts *out)
{
    int err;

    if (out->n == FATBIN_MAX_TEXTS)
        return fail(w, CUDA_INVALID_IMAGE, "fatbin: more than %u linked modules", FATBIN_MAX_TEXTS);
    err = unpack(w, e, &out->v[out->n]);
    if (!err)
        out->n++;
    return err;
}

static int walk_fatbin(struct walk *w, const uint8_t *p, uint64_t size, struct fatbin_texts *out)
{
    struct entry best = {.data = NULL};
    int err;

    while (size) {
        struct entry e;
        uint64_t total = 0;

        err = parse_entry(w, p, size, &e, &total);
        if (err)
            return err;
        if (++w->nentry > FATBIN_MAX_ENTRIES)
            return fail(w, CUDA_INVALID_IMAGE, "fatbin: more than %u entries", FATBIN_MAX_ENTRIES);
        note(&w->seen, &e);
        if (e.flags & FLAG_PART) {
            err = take(w, &e, out);
            if (err)
                return err;
        } else if (better(&e, &best)) {
            best = e;
        }
        p += total;
        size -= total;
    }
    /* The linked part of a program holds no PTX; its objects do. */
    return best.data ? take(w, &best, out) : 0;
}

static int walk_container(struct walk *w, const uint8_t *p, uint64_t n, struct fatbin_texts *out)
{
    if (get32(p) == WRAPPER_MAGIC) {
        /* Its pointers mean nothing here; what they pointed to follows. */
        p += WRAPPER_SIZE;
        n -= WRAPPER_SIZE;
    }
    while (n) {
        uint64_t size, pad;
        uint32_t header;
        int err;

        if (n < FATBIN_HEADER || get32(p) != FATBIN_MAGIC)
            return fail(w, CUDA_INVALID_IMAGE, "fatbin: no fatbin header where one must be");
        header = get16(p + 6);
        size = get64(p + 8);
        if (get16(p + 4) != 1 || header < FATBIN_HEADER || header > n)
            return fail(w, CUDA_INVALID_IMAGE,
                        "fatbin: version %u, header of %u bytes: only "
                        "version 1 with %u to %llu is known",
                        get16(p + 4), header, FATBIN_HEADER, (unsigned long long)n);
        if (size > n - header)
            return fail(w, CUDA_INVALID_IMAGE, "fatbin: %llu bytes announced, %llu present",
                        (unsigned long long)size, (unsigned long long)(n - header));
        err = walk_fatbin(w, p + header, size, out);
        if (err)
            return err;
        p += header + size;
        n -= header + size;
        pad = -(header + size) % FATBIN_ALIGN;
        if (n < FATBIN_HEADER + pad) {
            /* Nothing can follow; padding at the end is harmless. */
            for (uint64_t i = 0; i < n; i++)
                if (p[i])
                    return fail(w, CUDA_INVALID_IMAGE, "fatbin: stray bytes at the end");
            break;
        }
        p += pad;
        n -= pad;
    }
    if (!out->n)
        return fail(w, CUDA_NO_BINARY_FOR_GPU,
                    "the software device needs PTX for sm_%u or lower; "
                    "the image holds %s",
                    ptx_target(), w->seen.len ? w->seen.text : "nothing");
    return 0;
}

/* ---- entry point ------------------------------------------------------------------------- */

static bool looks_like_text(const uint8_t *p, size_t n)
{
    size_t i = 0;

    while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\n' || p[i] == '\r'))
        i++;
    return i < n && (p[i] == '.' || p[i] == '/') && !memchr(p, '\0', n);
}

static int elf_image(struct walk *w, const uint8_t *p, size_t n)
{
    uint32_t flags, arch;

    if (n < 64 || get16(p + 18) != EM_CUDA)
        return fail(w, CUDA_INVALID_IMAGE, "image: an ELF file, but not for CUDA");
    /* Before CUDA 13 the architecture was in the low octet. */
    flags = get32(p + 48);
    arch = p[7] >= 0x41 ? flags >> 8 & 0xff : flags & 0xff;
    return fail(w, CUDA_NO_BINARY_FOR_GPU,
                "the software device needs PTX for sm_%u or lower; the "
                "image is a binary for sm_%u",
                ptx_target(), arch);
}

int fatbin_texts(const void *image, size_t n, struct fatbin_texts *out, char *log, size_t log_n)
{
    struct walk w = {.log = log, .log_n = log_n, .budget = FATBIN_MAX_TEXT};
    const uint8_t *p = image;
    size_t len = n;
    int err;

    out->n = 0;
    if (log_n)
        log[0] = '\0';
    if (n >= WRAPPER_SIZE && (get32(p) == FATBIN_MAGIC || get32(p) == WRAPPER_MAGIC)) {
        err = walk_container(&w, p, n, out);
    } else if (n >= 4 && memcmp(p, "\177ELF", 4) == 0) {
        err = elf_image(&w, p, n);
    } else {
        struct entry raw = {.kind = KIND_PTX, .data = p};

        while (len && p[len - 1] == '\0')
            len--;
        raw.size = len;
        if (looks_like_text(p, len))
            err = unpack(&w, &raw, &out->v[0]);
        else
            err = fail(&w, CUDA_INVALID_IMAGE, "image: neither a fatbin nor a cubin nor PTX");
        out->n = err ? 0 : 1;
    }
    if (err)
        fatbin_texts_free(out);
    return err;
}

/* Little endian, as the format. */
static void put(uint8_t *p, uint64_t v, unsigned n)
{
    while (n--) {
        *p++ = (uint8_t)v;
        v >>= 8;
    }
}

uint8_t *fatbin_join(const struct fatbin_texts *t, size_t *n)
{
    size_t size = FATBIN_HEADER;
    uint8_t *image, *p;

    for (unsigned i = 0; i < t->n; i++)
        size += ENTRY_HEADER + (t->v[i].len + FATBIN_ALIGN) / FATBIN_ALIGN * FATBIN_ALIGN;
    image = calloc(1, size);
    if (!image)
        return NULL;
    put(image, FATBIN_MAGIC, 4);
    put(image + 4, 1, 2);
    put(image + 6, FATBIN_HEADER, 2);
    put(image + 8, size - FATBIN_HEADER, 8);
    p = image + FATBIN_HEADER;
    for (unsigned i = 0; i < t->n; i++) {
        uint64_t room = (t->v[i].len + FATBIN_ALIGN) / FATBIN_ALIGN * FATBIN_ALIGN;

        put(p, KIND_PTX, 2);
        put(p + 2, 0x0101, 2);
        put(p + 4, ENTRY_HEADER, 4);
        put(p + 8, room, 8);
        put(p + 0x28, FLAG_PART | 1, 8);
        memcpy(p + ENTRY_HEADER, t->v[i].text, t->v[i].len);
        p += ENTRY_HEADER + room;
    }
    *n = size;
    return image;
}

void fatbin_texts_free(struct fatbin_texts *t)
{
    for (unsigned i = 0; i < t->n; i++)
        free(t->v[i].text);
    t->n = 0;
}
