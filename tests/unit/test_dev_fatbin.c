/* SPDX-License-Identifier: MIT */
/* The fatbin walk: hand-made containers, sound and hostile, and the compiler's own output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <lz4.h>
#include <zstd.h>

#include "dom0-backend/device/ptx/fatbin.h"
#include "dom0-backend/device/ptx/ptx.h"

#define PTX  1
#define ELF  2
#define LZ4  0x2000u
#define ZSTD 0x8000u

static const char ptx[] = ".version 9.0\n.target sm_75\n.address_size 64\n// text text text text\n";
static uint8_t image[1 << 16];
static size_t image_n;
static struct fatbin_texts texts;
static char line[256];

static void put(const void *p, size_t n)
{
    assert_true(image_n + n <= sizeof(image));
    memcpy(image + image_n, p, n);
    image_n += n;
}

static void put_u(uint64_t v, size_t n)
{
    put(&v, n);
}

static size_t begin_fatbin(void)
{
    put_u(0xBA55ED50u, 4);
    put_u(1, 2);
    put_u(16, 2);
    put_u(0, 8);
    return image_n;
}

static void end_fatbin(size_t at)
{
    uint64_t n = image_n - at;

    memcpy(image + at - 8, &n, 8);
}

static void put_entry(unsigned kind, unsigned arch, uint64_t flags, const char *text)
{
    size_t n = strlen(text) + 1, packed = 0, padded;
    static char buf[4096];

    if (flags & ZSTD)
        packed = ZSTD_compress(buf, sizeof(buf), text, n, 3);
    else if (flags & LZ4)
        packed = (size_t)LZ4_compress_default(text, buf, (int)n, sizeof(buf));
    else
        memcpy(buf, text, n);
    padded = ((packed ? packed : n) + 7) & ~(size_t)7;
    put_u(kind, 2);
    put_u(0x101, 2);
    put_u(0x40, 4);
    put_u(padded, 8);
    put_u(packed, 4);
    put_u(0, 4);
    put_u(0, 4);
    put_u(arch, 4);
    put_u(0, 8);
    put_u(flags, 8);
    put_u(0, 8);
    put_u(packed ? n : 0, 8);
    memset(buf + (packed ? packed : n), 0, 8);
    put(buf, padded);
}

/* From a heap block of exactly that size, so that a sanitizer sees every octet too many. */
static int walk_bytes(const void *p, size_t n)
{
    void *copy = malloc(n ? n : 1);
    int err;

    assert_non_null(copy);
    memcpy(copy, p, n);
    fatbin_texts_free(&texts);
    err = fatbin_texts(copy, n, &texts, line, sizeof(line));
    free(copy);
    if (err) {
        assert_int_equal(texts.n, 0);
        assert_true(strlen(line) > 10);
        assert_null(strchr(line, '\n'));
    }
    return err;
}

static int walk(void)
{
    return walk_bytes(image, image_n);
}

static int reset(void **state)
{
    image_n = 0;
    return 0;
}

static int cleanup(void **state)
{
    fatbin_texts_free(&texts);
    return 0;
}

static void each_compression(void **state)
{
    static const uint64_t flags[] = {0, LZ4, ZSTD};

    for (unsigned i = 0; i < 3; i++) {
        size_t at;

        image_n = 0;
        at = begin_fatbin();
        put_entry(ELF, 75, 0, "binary");
        put_entry(PTX, 75, flags[i] | 0x11, ptx);
        end_fatbin(at);
        assert_int_equal(walk(), 0);
        assert_int_equal(texts.n, 1);
        assert_string_equal(texts.v[0].text, ptx);
        assert_int_equal(texts.v[0].len, strlen(ptx));
    }
}

static void highest_target_wins(void **state)
{
    size_t at = begin_fatbin();

    put_entry(PTX, 80, 0, "// 80");
    put_entry(PTX, 120, 0, "// 120");
    put_entry(PTX, 90, 0x100000, "// 90a");
    put_entry(PTX, 89, ZSTD, "// 89");
    put_entry(PTX, 86, 0, "// 86");
    end_fatbin(at);
    assert_int_equal(walk(), 0);
    assert_int_equal(texts.n, 1);
    assert_string_equal(texts.v[0].text, "// 89");
}

/* The device says that it is a later one. */
static void later_target(void **state)
{
    size_t at = begin_fatbin();

    put_entry(PTX, 90, 0, "// 90");
    put_entry(PTX, 100, 0, "// 100");
    put_entry(PTX, 100, 0x100000, "// 100a");
    put_entry(PTX, 120, 0, "// 120");
    end_fatbin(at);
    assert_int_equal(walk(), 0);
    assert_string_equal(texts.v[0].text, "// 90");
    fatbin_texts_free(&texts);
    ptx_target_set(PTX_TARGET_LATER);
    assert_int_equal(walk(), 0);
    ptx_target_set(PTX_TARGET);
    assert_int_equal(texts.n, 1);
    assert_string_equal(texts.v[0].text, "// 100");
}

static void no_ptx_names_what_there_is(void **state)
{
    size_t at = begin_fatbin();

    put_entry(ELF, 90, 0, "x");
    put_entry(PTX, 120, 0, "x");
    put_entry(PTX, 90, 0x100000, "x");
    end_fatbin(at);
    assert_int_equal(walk(), 209);
    assert_non_null(strstr(line, "binary sm_90"));
    assert_non_null(strstr(line, "PTX sm_120"));
    assert_non_null(strstr(line, "PTX sm_90a"));
}

static void wrapper_with_linked_fatbins(void **state)
{
    size_t at;

    put_u(0x466243B1u, 4);
    put_u(2, 4);
    put_u(0xdead, 8);
    put_u(0xbeef, 8);
    at = begin_fatbin();
    put_entry(ELF, 75, 0, "linked");
    end_fatbin(at);
    at = begin_fatbin();
    put_entry(PTX, 75, ZSTD, "// one");
    end_fatbin(at);
    at = begin_fatbin();
    put_entry(PTX, 75, LZ4, "// two");
    end_fatbin(at);
    assert_int_equal(walk(), 0);
    assert_int_equal(texts.n, 2);
    assert_string_equal(texts.v[0].text, "// one");
    assert_string_equal(texts.v[1].text, "// two");
}

static void other_images(void **state)
{
    static const char padded[] = "\n  //\n.version 8.0\n\0\0\0";
    uint8_t elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1, 0x41, 8};

    assert_int_equal(walk_bytes(ptx, strlen(ptx)), 0);
    assert_string_equal(texts.v[0].text, ptx);
    assert_int_equal(walk_bytes(padded, sizeof(padded)), 0);
    assert_string_equal(texts.v[0].text, "\n  //\n.version 8.0\n");
    elf[18] = 190;
    elf[48] = 0x02;
    elf[49] = 0x5a;
    elf[51] = 0x06;
    assert_int_equal(walk_bytes(elf, sizeof(elf)), 209);
    assert_non_null(strstr(line, "sm_90"));
    elf[18] = 62;
    assert_int_equal(walk_bytes(elf, sizeof(elf)), 200);
    assert_int_equal(walk_bytes("garbage", 7), 200);
    assert_int_equal(walk_bytes("", 0), 200);
    assert_int_equal(walk_bytes(".version\0.target", 16), 200);
}

/* Every length cut short and every octet of the headers turned must end in an error or a text. */
static void damaged_images(void **state)
{
    static const uint8_t turn[] = {0xff, 0x80, 0x01, 0x7f};
    size_t at = begin_fatbin(), full;

    put_entry(ELF, 75, 0, "binary");
    put_entry(PTX, 75, ZSTD, ptx);
    put_entry(PTX, 80, LZ4, ptx);
    end_fatbin(at);
    full = image_n;
    for (image_n = 0; image_n < full; image_n++)
        assert_int_not_equal(walk(), 0);
    for (size_t i = 0; i < full; i++) {
        for (unsigned t = 0; t < sizeof(turn); t++) {
            int err;

            image[i] ^= turn[t];
            err = walk();
            assert_true(err == 0 || err == 200 || err == 209);
            image[i] ^= turn[t];
        }
    }
    assert_int_equal(walk(), 0);
}

static void sizes_are_bounded(void **state)
{
    size_t at = begin_fatbin();
    uint64_t huge = (uint64_t)FATBIN_MAX_TEXT + 1;

    put_entry(PTX, 75, ZSTD, ptx);
    end_fatbin(at);
    memcpy(image + at + 0x38, &huge, 8);
    assert_int_equal(walk(), 200);
    assert_non_null(strstr(line, "67108865"));
    image_n = 0;
    at = begin_fatbin();
    for (unsigned i = 0; i < 900; i++)
        put_entry(0, 0, 0, "");
    end_fatbin(at);
    assert_int_equal(walk(), 209);
}

/* Made by the build with nvcc, one file per -compress-mode. */
static void compilers_output(void **state)
{
    static const char *const modes[] = {"none", "speed", "balance", "size", "default"};
    const char *build = getenv("GVM_BUILD");
    char path[512], *first = NULL;
    unsigned found = 0;

    for (unsigned i = 0; i < 5; i++) {
        static uint8_t buf[1 << 20];
        FILE *f;
        size_t n;

        snprintf(path, sizeof(path), "%s/unit/data/vecadd-%s.fatbin", build ? build : "build",
                 modes[i]);
        f = fopen(path, "rb");
        if (!f)
            continue;
        n = fread(buf, 1, sizeof(buf), f);
        fclose(f);
        assert_int_equal(walk_bytes(buf, n), 0);
        assert_int_equal(texts.n, 1);
        assert_non_null(strstr(texts.v[0].text, ".target sm_75"));
        assert_non_null(strstr(texts.v[0].text, "vecadd"));
        if (first)
            assert_string_equal(texts.v[0].text, first);
        else
            first = strdup(texts.v[0].text);
        found++;
    }
    free(first);
    if (!found) {
        print_message("SKIP: no fatbins in %s/unit/data, nvcc was not there to make them\n",
                      build ? build : "build");
        skip();
    }
    assert_int_equal(found, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_compression, reset, cleanup),
        cmocka_unit_test_setup_teardown(highest_target_wins, reset, cleanup),
        cmocka_unit_test_setup_teardown(later_target, reset, cleanup),
        cmocka_unit_test_setup_teardown(no_ptx_names_what_there_is, reset, cleanup),
        cmocka_unit_test_setup_teardown(wrapper_with_linked_fatbins, reset, cleanup),
        cmocka_unit_test_setup_teardown(other_images, reset, cleanup),
        cmocka_unit_test_setup_teardown(damaged_images, reset, cleanup),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, reset, cleanup),
        cmocka_unit_test_setup_teardown(compilers_output, reset, cleanup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
