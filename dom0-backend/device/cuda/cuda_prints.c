/* SPDX-License-Identifier: MIT */
/*
 * cuda_prints.c - whether kernels of an image may print. The driver hands over what they have printed
 * only from inside of a call that waits; while nothing can have been printed, none is needed.
 *
 * A kernel prints through the external function vprintf, whose name stands in the symbols of a cubin
 * and in PTX text. Anything that cannot be looked into, or is too large to be worth it, may print.
 */
#include <lz4.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cuda_int.h"

#define ENTRY_HEADER 64u
#define KIND_PTX     1u
#define KIND_ELF     2u
#define FLAG_LZ4     0x2000u
#define FLAG_ZSTD    0x8000u
#define LOOK_MAX     (8u << 20) /* octets after decompression, of all entries together */

static bool named(const void *p, size_t n)
{
    return memmem(p, n, "vprintf", 7) != NULL;
}

/* One entry of a fatbin that cudev_fatbin_size() has found sound. */
static bool entry_prints(const uint8_t *e, const uint8_t *data, uint64_t n, uint64_t *left)
{
    uint16_t kind;
    uint32_t packed;
    uint64_t flags, size;
    bool prints = true;
    char *text;

    memcpy(&kind, e, sizeof(kind));
    memcpy(&packed, e + 0x10, sizeof(packed));
    memcpy(&flags, e + 0x28, sizeof(flags));
    memcpy(&size, e + 0x38, sizeof(size));
    if (kind != KIND_PTX && kind != KIND_ELF)
        return true;
    if (!(flags & (FLAG_LZ4 | FLAG_ZSTD)))
        return named(data, n);
    if (size > *left || packed > n)
        return true;
    *left -= size;
    text = malloc(size + 1);
    if (!text)
        return true;
    if (flags & FLAG_ZSTD)
        prints = ZSTD_decompress(text, size, data, packed) != size;
    else
        prints = LZ4_decompress_safe((const char *)data, text, (int)packed, (int)size) != (int)size;
    prints = prints || named(text, size);
    free(text);
    return prints;
}

bool cudev_may_print(const struct cudev_image *i)
{
    const uint8_t *p = i->data;
    size_t n = cudev_fatbin_size(p, i->size);
    uint64_t left = LOOK_MAX;
    bool prints = false;
    uint16_t at;

    if (i->parts)
        return true;
    if (!n)
        return i->size > LOOK_MAX || named(p, i->size);
    memcpy(&at, p + 6, sizeof(at));
    for (size_t off = at; off < n && !prints;) {
        uint32_t own;
        uint64_t len;

        memcpy(&own, p + off + 4, sizeof(own));
        memcpy(&len, p + off + 8, sizeof(len));
        prints = entry_prints(p + off, p + off + own, len, &left);
        off += own + len;
    }
    return prints;
}
