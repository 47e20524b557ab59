/* SPDX-License-Identifier: MIT */
/*
 * left.c - which kernels the compiler takes and which it leaves to the interpreter, and why.
 *
 *   left [-v] FILE...   PTX texts, fatbins, or programs that nvcc linked
 *
 * -v: a line for every kernel. At the end the reasons, numbers in them as N, with their counts.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/fatbin.h"
#include "dom0-backend/device/ptx/ptx.h"

#define FAT_MAGIC   0xba55ed50u
#define MAX_REASONS 200

struct reason {
    char text[200];
    unsigned n;
};
static struct reason reasons[MAX_REASONS];
static unsigned nreasons, taken, total, bad;
static bool verbose;

static void note(const char *line)
{
    struct reason *r;
    char text[200];
    size_t n = 0;

    for (const char *p = line; *p && n + 2 < sizeof(text); p++) {
        bool digit = isdigit((unsigned char)*p) &&
                     (n == 0 || !isalnum((unsigned char)p[-1]) ||
                      (n && text[n - 1] == 'N' && p > line && isdigit((unsigned char)p[-1])));

        if (!digit)
            text[n++] = *p;
        else if (!n || text[n - 1] != 'N')
            text[n++] = 'N';
    }
    text[n] = 0;
    for (r = reasons; r < reasons + nreasons && strcmp(r->text, text); r++)
        ;
    if (r == reasons + MAX_REASONS)
        return;
    if (r == reasons + nreasons) {
        memcpy(r->text, text, n + 1);
        nreasons++;
    }
    r->n++;
}

static void try(const char *file, struct ptx_kernel *k)
{
    char log[512] = "";
    const char *why = NULL;

    if (ptx_kernel_prepare(k, log, sizeof(log))) {
        bad++; /* the device refuses it */
        return;
    }
    total++;
    if (ptx_jit_try(k, log, sizeof(log)))
        why = log;
    if (why)
        note(why);
    else
        taken++;
    if (verbose)
        printf("%s: %s: %s\n", file, ptx_kernel_name(k), why ? why : "compiled");
}

static void module(const char *file, const struct ptx_text *texts, unsigned n)
{
    struct ptx_module *m;
    char log[512];
    int err = n == 1 ? ptx_module_parse(texts->text, texts->len, &m, log, sizeof(log))
                     : ptx_module_link(texts, n, true, &m, log, sizeof(log));

    if (err) {
        fprintf(stderr, "left: %s: error %d: %s\n", file, err, log);
        return;
    }
    for (unsigned i = 0; i < ptx_module_nvar(m); i++)
        ptx_module_set_var_addr(m, i, (1ull << 40) + ((uint64_t)i << 20));
    for (unsigned i = 0; i < ptx_module_nkernel(m); i++)
        try(file, ptx_module_kernel(m, i));
    ptx_module_free(m);
}

static void images(const char *file, const char *data, size_t n)
{
    for (size_t at = 0; at + 16 <= n; at += 8) {
        struct fatbin_texts t;
        struct ptx_text v[FATBIN_MAX_TEXTS];
        uint32_t magic;
        uint64_t size;
        char log[512];

        memcpy(&magic, data + at, 4);
        memcpy(&size, data + at + 8, 8);
        if (magic != FAT_MAGIC || size > n - at - 16)
            continue;
        if (fatbin_texts(data + at, size + 16, &t, log, sizeof(log)))
            continue;
        for (unsigned i = 0; i < t.n; i++)
            v[i] = (struct ptx_text){t.v[i].text, t.v[i].len};
        module(file, v, t.n);
        fatbin_texts_free(&t);
    }
}

static int one(const char *file)
{
    FILE *f = fopen(file, "rb");
    char *data = NULL;
    long n = -1;

    if (f && !fseek(f, 0, SEEK_END) && (n = ftell(f)) >= 0 && (data = malloc((size_t)n + 8))) {
        rewind(f);
        if (fread(data, 1, (size_t)n, f) != (size_t)n)
            n = -1;
    }
    if (f)
        fclose(f);
    if (!data || n < 0) {
        fprintf(stderr, "left: %s: cannot be read\n", file);
        free(data);
        return 1;
    }
    if (n >= 4 && (!memcmp(data, "\177ELF", 4) || !memcmp(data, "\x50\xed\x55\xba", 4)))
        images(file, data, (size_t)n);
    else
        module(file, &(struct ptx_text){data, (size_t)n}, 1);
    free(data);
    return 0;
}

static int by_count(const void *a, const void *b)
{
    const struct reason *x = a, *y = b;

    return x->n < y->n ? 1 : x->n > y->n ? -1 : strcmp(x->text, y->text);
}

int main(int argc, char **argv)
{
    char log[300];
    int rc = 0, i = 1;

    if (argc > 1 && !strcmp(argv[1], "-v")) {
        verbose = true;
        i++;
    }
    if (!ptx_jit_load(PTX_JIT_FIRST, log, sizeof(log))) {
        fprintf(stderr, "left: %s\n", log);
        return 1;
    }
    for (; i < argc; i++)
        rc |= one(argv[i]);
    qsort(reasons, nreasons, sizeof(*reasons), by_count);
    printf("%u of %u kernels compiled; %u more are refused by the device\n", taken, total, bad);
    for (unsigned k = 0; k < nreasons; k++)
        printf("%6u  %s\n", reasons[k].n, reasons[k].text);
    return rc;
}
