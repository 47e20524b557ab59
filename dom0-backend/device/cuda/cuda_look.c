/* SPDX-License-Identifier: MIT */
/*
 * cuda_look.c - what an image says about what it will do: whether its kernels may print, and how much
 * device memory its variables take.
 *
 * The driver hands over what kernels have printed only from inside of a call that waits; while nothing
 * can have been printed, none is needed. A kernel prints through the external function vprintf, whose
 * name stands in the symbols of a cubin and in PTX text. Variables are sections of a cubin, and
 * declarations in PTX text. Anything that cannot be looked into, or is too large to be worth it, may
 * print, and its variables are not known: then the driver's figure of the process is what remains
 * (broker/audit.c).
 */
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cuda_int.h"

#define KIND_PTX  1u
#define KIND_ELF  2u
#define FLAG_LZ4  0x2000u
#define FLAG_ZSTD 0x8000u
#define LOOK_MAX  (32u << 20) /* octets after decompression, of all entries together */

static void look_at(const void *p, size_t n, struct cudev_look *out)
{
    uint64_t vars = cudev_vars(p, n);

    out->prints = out->prints || memmem(p, n, "vprintf", 7);
    if (vars > out->vars)
        out->vars = vars; /* of the same variables for several devices */
}

/* One entry of a fatbin that cudev_fatbin_size() has found sound. False: not to be looked into. */
static bool look_at_entry(const uint8_t *e, const uint8_t *data, uint64_t n, int major,
                          uint64_t *left, struct cudev_look *out)
{
    uint16_t kind;
    uint32_t packed, arch;
    uint64_t flags, size;
    bool ok;
    char *text;

    memcpy(&kind, e, sizeof(kind));
    memcpy(&packed, e + 0x10, sizeof(packed));
    memcpy(&arch, e + 0x1c, sizeof(arch));
    memcpy(&flags, e + 0x28, sizeof(flags));
    memcpy(&size, e + 0x38, sizeof(size));
    if (kind != KIND_PTX && kind != KIND_ELF)
        return false;
    if (kind == KIND_ELF && arch && arch / 10 != (uint32_t)major)
        return true; /* the driver takes another one */
    if (!(flags & (FLAG_LZ4 | FLAG_ZSTD))) {
        look_at(data, n, out);
        return true;
    }
    if (size > *left || packed > n)
        return false;
    *left -= size;
    text = malloc(size + 1);
    if (!text)
        return false;
    if (flags & FLAG_ZSTD)
        ok = ZSTD_decompress(text, size, data, packed) == size;
    else
        ok = LZ4_decompress_safe((const char *)data, text, (int)packed, (int)size) == (int)size;
    if (ok)
        look_at(text, size, out);
    free(text);
    return ok;
}

static void look_at_fatbin(const uint8_t *p, size_t n, int major, uint64_t *left,
                           struct cudev_look *out)
{
    uint16_t at;

    memcpy(&at, p + 6, sizeof(at));
    for (size_t off = at; off < n;) {
        uint32_t own;
        uint64_t len;

        memcpy(&own, p + off + 4, sizeof(own));
        memcpy(&len, p + off + 8, sizeof(len));
        if (!look_at_entry(p + off, p + off + own, len, major, left, out))
            out->prints = true;
        off += own + len;
    }
}

struct cudev_look cudev_look(const struct cudev_image *i, int major)
{
    const uint8_t *p = i->data, *end;
    struct cudev_look all = {.prints = i->parts != NULL};
    size_t n = cudev_fatbin_size(p, i->size);
    uint64_t left = LOOK_MAX, parts = 0;

    if (n)
        look_at_fatbin(p, n, major, &left, &all);
    else if (i->size <= LOOK_MAX)
        look_at(p, i->size, &all);
    else
        all.prints = true;
    if (!i->parts)
        return all;
    /* For a device that the linked binary is not for, these are linked: their sum. */
    end = (const uint8_t *)i->parts + i->parts_size;
    for (p = (const uint8_t *)i->parts + (-i->size & 7); p < end; p += (n + 7) & ~(size_t)7) {
        struct cudev_look one = {.vars = 0};

        n = cudev_fatbin_size(p, (size_t)(end - p));
        if (!n)
            break;
        look_at_fatbin(p, n, major, &left, &one);
        parts = one.vars > UINT64_MAX - parts ? UINT64_MAX : parts + one.vars;
        if ((size_t)(end - p) < ((n + 7) & ~(size_t)7))
            break;
    }
    if (parts > all.vars)
        all.vars = parts;
    return all;
}
