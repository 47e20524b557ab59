/* SPDX-License-Identifier: MIT */
/*
 * Images of modules: what of them is looked at before a driver that only pretends to be one gets them.
 */
#include <lz4.h>
#include <zstd.h>

#include "tests/unit/cuda_case.h"

CASE(test_images)
{
    uint8_t elf[128] = "\177ELF", wrapper[64] = {0xb1, 0x43, 0x62, 0x46, 2};
    const uint8_t fatbin[] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 8, 0, 0, 0, 0, 0, 0, 0};
    struct dev_module *m;
    char log[128];

    open_driver(0);
    memset(wrapper + 8, 0x41, 16); /* addresses in the worker */
    elf[40] = 120;                 /* section headers at its end, and beyond */
    elf[58] = 64;
    elf[60] = 1;
    CHECK(ops->module_load(dev, elf, sizeof(elf), &m, log, sizeof(log)) == 200);
    CHECK(ops->module_load(dev, elf, 20, &m, log, sizeof(log)) == 200);
    CHECK(ops->module_load(dev, wrapper, sizeof(wrapper), &m, log, sizeof(log)) == 200);
    CHECK(ops->module_load(dev, fatbin, sizeof(fatbin), &m, log, sizeof(log)) == 200);
    CHECK(strstr(log, "16 octets"));
    CHECK(!strstr(f->calls, "cuModuleLoadDataEx"));
    CHECK(ops->module_load(dev, ".version", 8, &m, log, sizeof(log)) == 0);
    CHECK(f->image_len == 8); /* an end was put behind it */
}

/* Code for the device, so that nothing is compiled: only then is an image loaded ahead. */
CASE(test_ready)
{
    uint8_t fb[16 + 64 + 8] = {0x50, 0xed, 0x55, 0xba, 1, 0, 16, 0, 72};
    uint8_t *e = fb + 16;
    struct dev_info in;
    uint32_t arch;

    open_driver(0);
    ops->info(dev, &in);
    e[4] = 64; /* an entry of 64 + 8 octets */
    e[8] = 8;
    e[0] = 2;
    arch = (uint32_t)(in.attr[75] * 10 + in.attr[76]); /* COMPUTE_CAPABILITY_MAJOR, MINOR */
    for (int by = -10; by <= 11; by++) {
        uint32_t is = arch + (uint32_t)by;

        memcpy(e + 0x1c, &is, 4);
        CHECK(ops->module_ready(dev, fb, sizeof(fb)) ==
              (is / 10 == arch / 10 && is % 10 <= arch % 10));
    }
    memcpy(e + 0x1c, &arch, 4);
    CHECK(ops->module_ready(dev, fb, sizeof(fb)));
    CHECK(!ops->module_ready(dev, fb, sizeof(fb) - 1));
    e[0] = 1; /* text */
    CHECK(!ops->module_ready(dev, fb, sizeof(fb)));
    CHECK(!ops->module_ready(dev, ".version", 8));
}

static bool prints(const void *image, size_t n)
{
    struct dev_module *m;
    char log[128];
    bool is;

    CHECK(ops->module_load(dev, image, n, &m, log, sizeof(log)) == 0);
    is = ops->module_prints(m);
    CHECK(ops->module_unload(dev, m) == 0);
    return is;
}

/* A fatbin of one entry. */
static size_t fatbin(uint8_t *out, uint16_t kind, uint64_t flags, const void *data, size_t n,
                     uint64_t whole)
{
    const struct {
        uint32_t magic;
        uint16_t version, header;
        uint64_t size;
        uint16_t kind, v;
        uint32_t own;
        uint64_t len;
        uint32_t packed, pad[5];
        uint64_t flags, more, whole;
    } h = {0xba55ed50, 1, 16, 64 + n, kind, 0, 64, n, (uint32_t)n, {0}, flags, 0, whole};

    _Static_assert(sizeof(h) == 80, "headers");
    memcpy(out, &h, sizeof(h));
    memcpy(out + sizeof(h), data, n);
    return sizeof(h) + n;
}

CASE(test_prints)
{
    static const char yes[] = ".version 7.0 .extern .func vprintf", no[] = ".version 7.0 .entry k";
    uint8_t image[512], packed[256];
    size_t n;

    open_driver(0);
    CHECK(prints(yes, sizeof(yes)) && !prints(no, sizeof(no)));
    CHECK(prints(image, fatbin(image, 1, 0, yes, sizeof(yes), 0)));
    CHECK(!prints(image, fatbin(image, 2, 0, no, sizeof(no), 0)));
    CHECK(prints(image, fatbin(image, 8, 0, no, sizeof(no), 0))); /* not to be looked into */
    n = ZSTD_compress(packed, sizeof(packed), yes, sizeof(yes), 3);
    CHECK(prints(image, fatbin(image, 2, 0x8000, packed, n, sizeof(yes))));
    n = ZSTD_compress(packed, sizeof(packed), no, sizeof(no), 3);
    CHECK(!prints(image, fatbin(image, 2, 0x8000, packed, n, sizeof(no))));
    CHECK(prints(image, fatbin(image, 2, 0x8000, packed, n, sizeof(no) + 1))); /* another length */
    CHECK(prints(image, fatbin(image, 2, 0x8000, packed, n, 1ull << 40)));     /* too much */
    CHECK(prints(image, fatbin(image, 2, 0x2000, packed, n, sizeof(no))));     /* no LZ4 */
    n = (size_t)LZ4_compress_default(no, (char *)packed, sizeof(no), sizeof(packed));
    CHECK(!prints(image, fatbin(image, 2, 0x2000, packed, n, sizeof(no))));
}

/* A cubin with a section of each of the two kinds for variables, and of another kind. */
static size_t cubin(uint8_t *out, uint64_t zero, uint64_t init, uint64_t other)
{
    static const char names[] = "\0.nv.global\0.nv.global.init\0.nv.constant3\0.shstrtab";
    const uint64_t sizes[] = {0, zero, init, other, sizeof(names)};
    const uint32_t name[] = {0, 1, 12, 28, 42};
    const size_t at = 64 + sizeof(names);
    uint64_t off = at + 1, names_at = 64;
    uint16_t n = 5, size = 64, last = 4;

    memset(out, 0, at + 1 + 5 * 64);
    memcpy(out, "\177ELF", 4);
    memcpy(out + 40, &off, 8);
    memcpy(out + 58, &size, 2);
    memcpy(out + 60, &n, 2);
    memcpy(out + 62, &last, 2);
    memcpy(out + 64, names, sizeof(names));
    for (int i = 0; i < 5; i++) {
        uint32_t type = i < 4 ? 8 : 3; /* no octets of its own */

        memcpy(out + off + i * 64, &name[i], 4);
        memcpy(out + off + i * 64 + 4, &type, 4);
        memcpy(out + off + i * 64 + 32, &sizes[i], 8);
    }
    memcpy(out + off + 4 * 64 + 24, &names_at, 8);
    return off + 5 * 64;
}

/* What is taken from the guest's quota for an image, in MiB; -1: it is refused for want of memory. */
static int vars(const void *image, size_t n)
{
    struct dev_module *m;
    uint64_t before = guest_left;
    char log[128];
    int err = ops->module_load(dev, image, n, &m, log, sizeof(log)), took;

    took = (int)((before - guest_left) / MIB);
    if (err == 2) {
        CHECK(guest_left == before && strstr(log, "no device memory for variables of "));
        return -1;
    }
    CHECK(err == 0 && ops->module_unload(dev, m) == 0 && guest_left == before);
    return took;
}

static int text_vars(const char *ptx)
{
    return vars(ptx, strlen(ptx) + 1);
}

CASE(test_variables)
{
    uint8_t image[1024], packed[1024], elf[512];
    struct dev_module *a, *b;
    char log[128];
    size_t n;

    CHECK(open_quota(0) == 0);
    guest_left = 64 * MIB;
    CHECK(text_vars(".version 8.0 .entry k() { ld.global.u32 %r1, [x]; }") == 0);
    CHECK(text_vars(".global .align 4 .b8 x[8388608];") == 8);
    CHECK(text_vars(".visible .global .u32 x[1024][1024], y[0x100000];\n") == 8);
    CHECK(text_vars("}.weak .global .v4 .f32 x[262144] = {1, 2};.global .f64 y[524288];") == 8);
    CHECK(text_vars(".global/* */.b8 // x\n x /**/[4194304] ;/**/.global.b64 y[524288];") == 8);
    CHECK(text_vars(".global .attribute(.managed) .b8 x[4194304];") == 4);
    CHECK(text_vars(".global .u32 x<1024>[1024];") == 4);
    CHECK(text_vars(".extern .global .b8 x[4194304];") == 0);
    CHECK(text_vars(".entry k(.param .u64 .ptr .global .align 4 p)") == 0);
    CHECK(text_vars(".global .b8 x[67108865];") == 64); /* what fills no chunk is the host's */
    CHECK(text_vars(".global .b8 x[69206016];") == -1);
    CHECK(text_vars(".global .b64 x[99999999999999999999999];") == -1);
    CHECK(text_vars(".global .b64 x[4294967296][4294967296];") == -1);
    CHECK(text_vars(".global") == 0 && text_vars(".global .b8") == 0);
    CHECK(text_vars(".global .b8 x[") == 0 && text_vars(".global .b8 x[12/*") == 0);
    n = cubin(elf, 4 * MIB, 6 * MIB, 8 * MIB);
    CHECK(vars(elf, n) == 10);
    CHECK(vars(image, fatbin(image, 2, 0, elf, n, 0)) == 10);
    n = ZSTD_compress(packed, sizeof(packed), elf, n, 3);
    CHECK(vars(image, fatbin(image, 2, 0x8000, packed, n, cubin(elf, 4 * MIB, 6 * MIB, 0))) == 10);
    n = cubin(elf, UINT64_MAX, 6 * MIB, 0);
    CHECK(vars(elf, n) == -1);
    n = cubin(elf, 4 * MIB, 0, 0);
    memset(elf + 62, 0xff, 2); /* no such section */
    CHECK(vars(elf, n) == 0);
    /* Small ones of several modules are counted together. */
    n = cubin(elf, MIB, 0, 0);
    CHECK(ops->module_load(dev, elf, n, &a, log, sizeof(log)) == 0 && guest_left == 64 * MIB);
    CHECK(ops->module_load(dev, elf, n, &b, log, sizeof(log)) == 0 && guest_left == 62 * MIB);
    CHECK(ops->module_unload(dev, a) == 0 && guest_left == 64 * MIB);
    CHECK(ops->module_unload(dev, b) == 0 && guest_left == 64 * MIB);
    /* Nothing is lost when the driver refuses. */
    n = cubin(elf, 8 * MIB, 0, 0);
    f->fail = "cuModuleLoadDataEx";
    f->error = 200;
    CHECK(ops->module_load(dev, elf, n, &a, log, sizeof(log)) == 200 && guest_left == 64 * MIB);
    f->fail = "cuModuleGetFunctionCount";
    CHECK(ops->module_load(dev, elf, n, &a, log, sizeof(log)) == 200 && guest_left == 64 * MIB);
    f->fail = NULL;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_prints),
        cmocka_unit_test(test_variables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
