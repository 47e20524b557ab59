/* SPDX-License-Identifier: MIT */
/*
 * fatbin.h - finds the PTX text in what cuModuleLoadData() is given: a fatbin (alone, behind a
 * wrapper, or several in a row as a linked program has them), PTX text, or a cubin.
 *
 * The image comes from a guest. It is only read, every offset and length in it is checked, and
 * what decompression may produce is bounded before it starts.
 */
#ifndef GVM_PTX_FATBIN_H
#define GVM_PTX_FATBIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FATBIN_MAX_ENTRIES 4096u
#define FATBIN_MAX_TEXTS   64u         /* linked modules in one image */
#define FATBIN_MAX_TEXT    (64u << 20) /* bytes of PTX after decompression, all texts together */

struct fatbin_text {
    char *text; /* owned; ends in a NUL that len does not count */
    size_t len;
};

struct fatbin_texts {
    unsigned n;
    struct fatbin_text v[FATBIN_MAX_TEXTS];
};

/*
 * One text per fatbin in the image: the PTX entry with the highest target, at most
 * ptx_target(), that is not for one architecture or family only. Of an image that
 * fatbin_join() made, all texts.
 * 0; 200 (INVALID_IMAGE) for a malformed image, 209 (NO_BINARY_FOR_GPU) when it is sound but holds
 * no such PTX, 2 when out of memory. On failure one line is left in log[0..log_n), and *out is
 * empty.
 */
int fatbin_texts(const void *image, size_t n, struct fatbin_texts *out, char *log, size_t log_n);
/* An image of which fatbin_texts() gives these texts again, in this order. malloc'ed, *n octets;
 * NULL: out of memory. */
uint8_t *fatbin_join(const struct fatbin_texts *t, size_t *n);
void fatbin_texts_free(struct fatbin_texts *t);

#endif
