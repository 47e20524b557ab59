/* SPDX-License-Identifier: MIT */
/*
 * device/cuda on a library that only pretends to be a driver's.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <lz4.h>
#include <zstd.h>

#include "dom0-backend/device/device_link.h"
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_share.h"
#include "dom0-backend/device/device_texture.h"
#include "tests/unit/cuda_case.h"

/* ---- which library, which device */

CASE(test_no_library)
{
    CHECK(open_with(DIR "nothing.so", NULL, 0, false) == 100);
    CHECK(ops->count() == 0);
}

CASE(test_shim_is_refused)
{
    CHECK(open_with(SHIM, NULL, 0, false) == 100);
    CHECK(ops->count() == 0);
}

CASE(test_old_driver)
{
    CHECK(open_with(OLD, NULL, 0, false) == 100);
}

CASE(test_missing_family)
{
    struct dev_module *m;
    char log[128];

    CHECK(open_with(BARE, NULL, 0, false) == 0);
    CHECK(ops->module_load(dev, "x", 2, &m, log, sizeof(log)) == 801);
    CHECK(strstr(log, "12.4"));
}

CASE(test_count)
{
    setenv("GVM_LIBCUDA", DRIVER, 1);
    CHECK(ops->count() == 2);
}

CASE(test_select)
{
    static const char *const bad[] = {"2",      "-1", "1x",
                                      "GPU-a1", "x0", "GPU-b1b1b1b1-b1b1-b1b1-b1b1-b1b1b1b1b1b1"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(open_with(DRIVER, bad[i], 0, false) == 101);
    CHECK(open_with(DRIVER, UUID1, 0, false) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f->device == 1);
}

CASE(test_select_index)
{
    struct dev_info info;

    CHECK(open_with(DRIVER, "1", 16 * MIB, false) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(f->device == 1);
    CHECK(f->flags & 4); /* CU_CTX_SCHED_BLOCKING_SYNC */
    ops->info(dev, &info);
    CHECK(info.total_mem == 16 * MIB);
    CHECK(info.uuid[0] == 0xa1 && info.caps == DEV_CAP_POOL_DIRECT);
}

/* ---- memory */

CASE(test_quota)
{
    uint64_t a, b, c, left, total;

    open_driver(8 * MIB);
    CHECK(ops->mem_alloc(dev, 4 * MIB, &a) == 0);
    CHECK(ops->mem_alloc(dev, 2 * MIB, &b) == 0);
    CHECK(ops->mem_info(dev, &left, &total) == 0);
    CHECK(left == 2 * MIB && total == 8 * MIB);
    /* What the GPU has less is counted, in chunks; small ones share one. */
    CHECK(ops->mem_alloc(dev, 2 * MIB + 1, &c) == 2);
    CHECK(ops->mem_alloc(dev, MIB, &c) == 0);
    CHECK(ops->mem_alloc(dev, MIB, &c) == 0);
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 0);
    CHECK(ops->mem_alloc(dev, 1, &total) == 2);
    CHECK(ops->mem_free(dev, a) == 0);
    CHECK(ops->mem_alloc(dev, 5 * MIB, &total) == 2);
    CHECK(ops->mem_alloc(dev, 4 * MIB, &a) == 0);
    CHECK(ops->mem_alloc(dev, 0, &total) == 1);
    CHECK(ops->mem_alloc(dev, UINT64_MAX, &total) == 2);
}

static uint64_t guest_left;

static bool take(void *arg, uint64_t bytes)
{
    if (bytes > guest_left)
        return false;
    guest_left -= bytes;
    return true;
}

static void give(void *arg, uint64_t bytes)
{
    guest_left += bytes;
}

static uint64_t left_now(void *arg)
{
    return guest_left;
}

/* All of the guest's processes together, and every kind of memory. */
CASE(test_guest_quota)
{
    const struct dev_quota quota = {.take = take, .give = give, .left = left_now};
    struct dev_config cfg = {.mem_limit = 64 * MIB,
                             .quota = &quota,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .on_fault = on_fault,
                             .on_output = on_output};
    uint64_t a, b, left, total;
    struct dev_memory *m;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    CHECK(ops->open(&cfg, &dev) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    guest_left = 16 * MIB;
    CHECK(ops->mem_alloc(dev, 18 * MIB, &a) == 2 && guest_left == 16 * MIB);
    CHECK(ops->mem_alloc(dev, 1, &a) == 0 && guest_left == 14 * MIB);
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 14 * MIB && total == 64 * MIB);
    CHECK(ops->memory->vmm_create(dev, 12 * MIB, &m) == 0 && guest_left == 2 * MIB);
    CHECK(ops->mem_alloc(dev, 3 * MIB, &b) == 2 && guest_left == 2 * MIB);
    /* An empty chunk that is kept makes way. */
    CHECK(ops->mem_free(dev, a) == 0);
    CHECK(ops->mem_alloc(dev, 3 * MIB, &b) == 0 && guest_left == 0);
    CHECK(ops->memory->vmm_release(dev, m) == 0 && guest_left == 12 * MIB);
    /* Heap beyond what a context has by itself. */
    CHECK(ops->get_limit(dev, 2, &a) == 0);
    CHECK(ops->set_limit(dev, 2, a + 13 * MIB) == 2);
    CHECK(ops->set_limit(dev, 2, a + 12 * MIB) == 0 && guest_left == 0);
    CHECK(ops->set_limit(dev, 2, a) == 0 && guest_left == 12 * MIB);
    /* Nothing is lost when the driver refuses. */
    f->fail = "cuMemCreate";
    f->error = 2;
    CHECK(ops->mem_alloc(dev, 3 * MIB, &a) == 2 && guest_left == 12 * MIB);
    f->fail = "cuCtxSetLimit";
    f->error = 1;
    CHECK(ops->set_limit(dev, 1, 1ull << 23) == 1 && guest_left == 12 * MIB);
    f->fail = NULL;
    CHECK(ops->mem_free(dev, b) == 0 && guest_left == 16 * MIB);
}

static uint64_t for_others;

static uint64_t reserved(void *arg)
{
    return for_others;
}

/* What suspended processes come back to is neither given nor shown, whatever the quota. */
CASE(test_reserved)
{
    const struct dev_quota quota = {
        .take = take, .give = give, .left = left_now, .reserved = reserved};
    struct dev_config cfg = {.quota = &quota,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .on_fault = on_fault,
                             .on_output = on_output};
    uint64_t a, b, left, total, all;
    struct dev_memory *m;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    guest_left = UINT64_MAX / 2;
    for_others = 0;
    CHECK(ops->open(&cfg, &dev) == 0);
    CHECK(ops->mem_info(dev, &all, &total) == 0);
    for_others = all - 6 * MIB;
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 6 * MIB);
    CHECK(ops->mem_alloc(dev, 8 * MIB, &a) == 2);
    CHECK(ops->mem_alloc(dev, 4 * MIB, &a) == 0);
    CHECK(ops->memory->vmm_create(dev, 4 * MIB, &m) == 2);
    CHECK(ops->mem_alloc(dev, 4 * MIB, &b) == 2);
    /* More has been parked since: what is there stays, nothing comes. */
    for_others = all;
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 0);
    CHECK(ops->memory->vmm_create(dev, 2 * MIB, &m) == 2);
    for_others = 0; /* it is back */
    CHECK(ops->mem_alloc(dev, 8 * MIB, &b) == 0);
    CHECK(ops->mem_free(dev, a) == 0 && ops->mem_free(dev, b) == 0);
}

/* A worker whose context took the last of it does not begin. */
CASE(test_reserved_all)
{
    const struct dev_quota quota = {
        .take = take, .give = give, .left = left_now, .reserved = reserved};
    struct dev_config cfg = {.quota = &quota,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .on_fault = on_fault,
                             .on_output = on_output};

    setenv("GVM_LIBCUDA", DRIVER, 1);
    for_others = UINT64_MAX;
    CHECK(ops->open(&cfg, &dev) == 2);
}

CASE(test_blocks)
{
    uint64_t base, size, a, b, c, at, n;

    open_driver(0);
    ops->window(dev, &base, &size);
    CHECK(base % (2 * MIB) == 0 && base >= POOL + 64 * MIB);
    CHECK(ops->mem_alloc(dev, 100, &a) == 0);
    CHECK(ops->mem_alloc(dev, 700, &b) == 0);
    CHECK(ops->mem_alloc(dev, 3 * MIB, &c) == 0);
    CHECK(a == base && b == a + 512 && c % (2 * MIB) == 0);
    CHECK(f->used == 6 * MIB && f->maps == 2);
    CHECK(ops->mem_range(dev, b + 699, &at, &n) == 0 && at == b && n == 700);
    CHECK(ops->mem_range(dev, b + 700, &at, &n) == 500);
    CHECK(ops->mem_free(dev, b + 512) == 1);
    CHECK(ops->mem_free(dev, b) == 0);
    CHECK(ops->mem_free(dev, b) == 1);
    CHECK(ops->mem_alloc(dev, 512, &at) == 0 && at == b);
    CHECK(ops->mem_free(dev, c) == 0);
    CHECK(f->used == 2 * MIB && f->maps == 1);
}

CASE(test_spare)
{
    uint64_t p, left, total, before;

    open_driver(0);
    CHECK(ops->mem_info(dev, &before, &total) == 0);
    for (int i = 0; i < 10; i++) {
        CHECK(ops->mem_alloc(dev, MIB, &p) == 0);
        CHECK(ops->mem_free(dev, p) == 0);
    }
    CHECK(f->used == 2 * MIB); /* kept, but it counts as free */
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == before);
    CHECK(ops->mem_alloc(dev, FAKE_MEM, &p) == 0); /* and is given up for this */
    CHECK(f->used == FAKE_MEM);
    CHECK(ops->mem_alloc(dev, 1, &p) == 2);
}

CASE(test_no_pin)
{
    struct dev_info info;
    uint32_t word = 0;
    struct dev_event *e;

    CHECK(open_with(DRIVER, NULL, 0, true) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    CHECK(ops->pool_add(dev, (void *)POOL, MIB) == 0);
    ops->info(dev, &info);
    CHECK(info.caps == 0);
    CHECK(ops->channel_add(dev, &word, sizeof(word)) == 801);
    CHECK(ops->event_create(dev, 0, &e) == 0);
    CHECK(ops->event_record_write32(dev, e, NULL, &word, 7, NULL, NULL) == 0);
    CHECK(f->registered == 0 && word == 0);
    f->host_fn(f->host_arg);
    CHECK(word == 7);
}

/* ---- images */

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
    const struct dev_quota quota = {.take = take, .give = give, .left = left_now};
    struct dev_config cfg = {.quota = &quota,
                             .pool_base = (void *)POOL,
                             .pool_size = 64 * MIB,
                             .on_fault = on_fault,
                             .on_output = on_output};
    uint8_t image[1024], packed[1024], elf[512];
    struct dev_module *a, *b;
    char log[128];
    size_t n;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    CHECK(ops->open(&cfg, &dev) == 0);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
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

/* ---- order, errors, output */

/* Registered once, whole; afterwards the GPU writes there by itself. */
CASE(test_channel)
{
    _Alignas(4096) static uint32_t page[20 * 1024];

    open_driver(0);
    CHECK(ops->channel_add(dev, page, sizeof(page)) == 0);
    CHECK(ops->stream_write32(dev, NULL, &page[19 * 1024], 3, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[19 * 1024] == 3);
    CHECK(ops->stream_write32(dev, NULL, &page[4], 3, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[4] == 3);
    /* A prepared one is told of twice, and used in between. */
    ops->prepare(dev, NULL, &page[16 * 1024], 4096);
    CHECK(ops->channel_add(dev, page, sizeof(page)) == 0);
    CHECK(ops->stream_write32(dev, NULL, &page[16 * 1024], 5, NULL, NULL) == 0);
    CHECK(f->registered == 1 && page[16 * 1024] == 5);
    CHECK(ops->look(dev) == 0);
}

CASE(test_event_order)
{
    _Alignas(4096) static uint32_t page[1024];
    struct dev_event *e;

    open_driver(0);
    CHECK(ops->event_create(dev, 0, &e) == 0);
    CHECK(ops->event_record_write32(dev, e, NULL, &page[2], 1, NULL, NULL) == 0);
    CHECK(f->registered == 1); /* the page, at its first use */
    f->calls[0] = '\0';
    CHECK(ops->event_record_write32(dev, e, NULL, &page[3], 9, NULL, NULL) == 0);
    CHECK(page[3] == 9);
    CHECK(strstr(f->calls, "cuEventRecord cuStreamWriteValue32_v2 cuEventRecord "));
    f->calls[0] = '\0';
    CHECK(ops->stream_wait(dev, NULL, e) == 0);
    CHECK(!strcmp(f->calls, "cuStreamWaitEvent cuStreamWaitEvent "));
}

/* An idle stream is kept for the next one that is made alike. */
CASE(test_streams_again)
{
    struct dev_stream *s, *first;

    open_driver(0);
    CHECK(ops->stream_create(dev, 1, -2, &first) == 0);
    CHECK(ops->stream_destroy(dev, first) == 0);
    CHECK(ops->stream_create(dev, 0, -2, &s) == 0 && s != first);
    CHECK(ops->stream_create(dev, 1, 0, &s) == 0 && s != first);
    CHECK(ops->stream_create(dev, 1, -2, &s) == 0 && s == first);
    f->fail = "cuStreamQuery"; /* it has work */
    f->error = 600;
    f->calls[0] = '\0';
    CHECK(ops->stream_destroy(dev, s) == 0);
    CHECK(!strcmp(f->calls, "cuStreamQuery cuStreamDestroy_v2 "));
    f->fail = NULL;
    CHECK(ops->stream_create(dev, 1, -2, &s) == 0);
    CHECK(ops->link->stream_set(dev, s, 1, (const uint8_t[64]){0}) == 0);
    f->calls[0] = '\0';
    CHECK(ops->stream_destroy(dev, s) == 0);
    CHECK(!strcmp(f->calls, "cuStreamDestroy_v2 "));
}

static void count_up(void *arg)
{
    sem_post(arg);
}

CASE(test_fault)
{
    static sem_t ran;
    uint64_t p;

    open_driver(0);
    sem_init(&ran, 0, 0);
    CHECK(ops->stream_host(dev, NULL, count_up, &ran) == 0);
    f->fail = "cuCtxSynchronize";
    f->error = 700;
    CHECK(ops->ctx_sync(dev) == 700);
    CHECK(faults == 1 && fault_error == 700);
    f->fail = NULL;
    f->calls[0] = '\0';
    CHECK(ops->ctx_sync(dev) == 700);
    CHECK(ops->mem_alloc(dev, 1, &p) == 700);
    CHECK(faults == 1 && !strstr(f->calls, "cuCtxSynchronize"));
    sem_wait(&ran); /* whoever waits for the stream goes on */
    f->host_fn(f->host_arg);
    CHECK(sem_trywait(&ran) < 0); /* once only */
}

CASE(test_quiet_error)
{
    open_driver(0);
    f->fail = "cuCtxSynchronize";
    f->error = 2;
    CHECK(ops->ctx_sync(dev) == 2);
    f->fail = NULL;
    CHECK(ops->ctx_sync(dev) == 0 && faults == 0);
}

/* Memory is there when it is pinned, and is what it was. */
CASE(test_pool_pages)
{
    const size_t len = 17 * MIB + 4096;
    uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static uint8_t there[(17 * MIB >> 12) + 1];
    size_t n = 0;

    open_driver(0);
    CHECK(p != MAP_FAILED);
    p[0] = p[8 * MIB] = p[len - 1] = 0x5a;
    CHECK(ops->pool_add(dev, p, len) == 0);
    CHECK(p[0] == 0x5a && p[8 * MIB] == 0x5a && p[len - 1] == 0x5a && p[1] == 0);
    CHECK(mincore(p, len, there) == 0);
    for (size_t i = 0; i < sizeof(there); i++)
        n += there[i] & 1;
    CHECK(n == sizeof(there) || sysconf(_SC_NPROCESSORS_ONLN) < 2 ||
          madvise(p, 4096, 23 /* MADV_POPULATE_WRITE */));
}

/* Whatever fails while a worker gets ready, a guest finds all its memory and no fault. */
CASE(test_prepare)
{
    static const char *const fails[] = {NULL, "cuModuleLoadDataEx", "cuMemCreate",
                                        "cuMemcpyHtoDAsync_v2", "cuStreamCreateWithPriority"};
    static uint32_t counters[4096] __attribute__((aligned(4096)));
    static uint8_t pool[1 << 20] __attribute__((aligned(4096)));
    uint64_t left, total;

    open_driver(64 * MIB);
    for (size_t i = 0; i < sizeof(fails) / sizeof(fails[0]); i++) {
        f->fail = fails[i];
        f->error = 2;
        ops->prepare(dev, i % 2 ? NULL : pool, i % 2 ? NULL : counters, 4096);
        f->fail = NULL;
        CHECK(ops->mem_info(dev, &left, &total) == 0 && left == 64 * MIB && total == 64 * MIB);
        CHECK(faults == 0 && counters[0] == 0 && counters[4095] == 0);
    }
    CHECK(strstr(f->calls, "cuLaunchHostFunc"));
}

CASE(test_output)
{
    open_driver(0);
    f->print = "hello from a kernel\n";
    CHECK(ops->ctx_sync(dev) == 0);
    CHECK(text_len == strlen(f->print) && !memcmp(text, f->print, text_len));
}

/* ---- memory of other processes */

static unsigned calls_of(const char *name)
{
    unsigned n = 0;

    for (const char *p = f->calls; (p = strstr(p, name)); p++)
        n++;
    return n;
}

/* Two allocations in one chunk; what a worker is given of the second one, and what it makes of it. */
CASE(test_share)
{
    struct dev_share s;
    uint64_t a, b, p, size, used;
    unsigned maps;

    open_driver(8 * MIB);
    CHECK(ops->mem_alloc(dev, 3000, &a) == 0 && ops->mem_alloc(dev, 5000, &b) == 0);
    CHECK(ops->share->mem_export(dev, b + 512, &s) == 1);
    CHECK(ops->share->mem_export(dev, b, &s) == 0);
    CHECK(s.fd >= 0 && s.meta[0] == 2 * MIB && s.meta[1] == b - a && s.meta[2] == 5000);
    used = f->used;
    maps = f->maps;
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 0);
    CHECK(size == 5000 && (p - s.meta[1]) % (2 * MIB) == 0 && p != b);
    CHECK(ops->share->mem_close(dev, p + 512) == 1);
    f->calls[0] = '\0';
    CHECK(ops->share->mem_close(dev, p) == 0);
    CHECK(strstr(f->calls, "cuCtxSynchronize") < strstr(f->calls, "cuMemUnmap"));
    CHECK(f->used == used && f->maps == maps);
    CHECK(ops->share->mem_close(dev, p) == 1);
    /* Nothing is left of an import that the driver refuses half-way. */
    f->fail = "cuMemSetAccess";
    f->error = 1;
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(f->used == used && f->maps == maps);
    f->fail = "cuMemMap";
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    f->fail = "cuMemImportFromShareableHandle";
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(f->used == used && f->maps == maps);
    f->fail = NULL;
    /* It counts against the quota here as well. */
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 2);
    CHECK(ops->share->mem_close(dev, p) == 0);
    CHECK(ops->share->mem_import(dev, &s, &a, &size) == 0);
}

/* What another worker says is checked before the driver sees any of it. */
CASE(test_share_lies)
{
    static const uint64_t lies[][3] = {
        {0, 0, 100},
        {2 * MIB - 4096, 0, 100},
        {2 * MIB, 2 * MIB, 1},
        {2 * MIB, 0, 0},
        {2 * MIB, 0, 2 * MIB + 1},
        {2 * MIB, 4096, UINT64_MAX},
        {2 * MIB, UINT64_MAX - 4095, 4096},
    };
    struct dev_share s = {.fd = 2};
    struct dev_memory *m;
    uint64_t p, size;

    open_driver(0);
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        memcpy(s.meta, lies[i], sizeof(lies[i]));
        CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    }
    s = (struct dev_share){.fd = -1, .meta = {2 * MIB, 0, 100}};
    CHECK(ops->share->mem_import(dev, &s, &p, &size) == 1);
    CHECK(ops->share->memory_import(dev, &s, &m, &size) == 1);
    CHECK(calls_of("cuMemImport") == 0);
    CHECK(f->maps == 0);
}

/* ---- memory of others */

static bool all_zero(uint64_t at, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (f->vram[at - f->base + i])
            return false;
    return true;
}

/* What the driver hands out is full of FAKE_DIRT. */
CASE(test_cleared)
{
    struct dev_mempool *pool;
    struct dev_memory *m;
    uint64_t p, q, r;

    open_driver(0);
    CHECK(ops->mem_alloc(dev, 100, &p) == 0 && all_zero(p, 2 * MIB));
    CHECK(ops->mem_alloc(dev, 4 * MIB, &q) == 0 && all_zero(q, 4 * MIB));
    CHECK(f->filled == 6 * MIB);
    CHECK(calls_of("cuStreamSynchronize") == 2); /* before the guest knows the address */
    CHECK(ops->mem_free(dev, p) == 0);
    CHECK(ops->mem_alloc(dev, 200, &r) == 0 && r == p);
    CHECK(f->filled == 6 * MIB); /* its own of before */

    f->filled = 0;
    CHECK(ops->memory->mempool_default(dev, &pool) == 0);
    CHECK(ops->memory->mempool_alloc(dev, NULL, pool, 5000, &p) == 0);
    CHECK(all_zero(p, 5000) && f->filled == 5000);

    f->filled = 0;
    CHECK(ops->memory->vmm_create(dev, 2 * MIB, &m) == 0);
    CHECK(f->filled == 2 * MIB && f->maps == 2); /* not mapped any more */
    CHECK(ops->memory->vmm_release(dev, m) == 0);
}

/* A fill would wait for kernels, and one of them perhaps for this call. */
CASE(test_cleared_while_busy)
{
    uint64_t p;

    open_driver(0);
    f->fail = "cuEventQuery";
    f->error = 600;
    CHECK(ops->mem_alloc(dev, 5 * MIB, &p) == 0 && all_zero(p, 6 * MIB));
    CHECK(f->filled == 0 && calls_of("cuMemcpyHtoDAsync_v2") == 3);
}

/* Of cuda.h, which this test does without. */
enum { FORMAT_U8 = 1, FORMAT_U32 = 3, FORMAT_HALF = 0x10, FORMAT_FLOAT = 0x20 };
enum { FLAG_LAYERED = 1, FLAG_CUBEMAP = 4 };

CASE(test_cleared_arrays)
{
    const struct dev_array_desc one = {1000, 0, 0, FORMAT_FLOAT, 4, 0},
                                cube = {33, 33, 6, FORMAT_HALF, 1, FLAG_CUBEMAP},
                                large = {4096, 1023, 3, FORMAT_U8, 2, 0},
                                levels = {64, 32, 5, FORMAT_U32, 1, FLAG_LAYERED},
                                flat = {4, 2, 0, FORMAT_U8, 1, 0};
    struct dev_mipmap *m;
    struct dev_array *a;

    open_driver(0);
    CHECK(ops->texture->array_create(dev, &one, &a) == 0 && f->to_arrays == 16000);
    f->to_arrays = 0;
    CHECK(ops->texture->array_create(dev, &cube, &a) == 0 && f->to_arrays == 33 * 33 * 6 * 2);
    f->to_arrays = 0;
    CHECK(ops->texture->array_create(dev, &large, &a) == 0 && f->to_arrays == 4096 * 1023 * 6);
    f->to_arrays = 0;
    CHECK(ops->texture->mipmap_create(dev, &levels, 3, &m) == 0);
    CHECK(f->to_arrays == (64 * 32 + 32 * 16 + 16 * 8) * 5 * 4);
    f->to_arrays = 0; /* natively, too, 99 levels are as many as there are */
    CHECK(ops->texture->mipmap_create(dev, &flat, 99, &m) == 0);
    CHECK(f->to_arrays == (4 * 2 + 2 * 1 + 1));
}

/* Memory that cannot be cleared is not handed on. */
CASE(test_not_cleared)
{
    const struct dev_array_desc desc = {10, 10, 0, FORMAT_FLOAT, 1, 0};
    struct dev_mempool *pool;
    struct dev_memory *m;
    struct dev_array *a;
    uint64_t p, left, total;

    open_driver(0);
    CHECK(ops->memory->mempool_default(dev, &pool) == 0);
    f->fail = "cuMemsetD8Async";
    f->error = 999;
    CHECK(ops->mem_alloc(dev, MIB, &p) == 999);
    CHECK(ops->memory->vmm_create(dev, 2 * MIB, &m) == 999);
    CHECK(ops->memory->mempool_alloc(dev, NULL, pool, 5000, &p) == 999);
    CHECK(calls_of("cuMemFreeAsync") == 1);
    CHECK(f->maps == 0 && f->used == 0);
    CHECK(ops->mem_info(dev, &left, &total) == 0 && left == total);
    f->fail = "cuMemcpy3DAsync_v2";
    CHECK(ops->texture->array_create(dev, &desc, &a) == 999);
    CHECK(calls_of("cuArrayDestroy") == 1);
}

/* ---- another process off the GPU */

enum { STATE_RUNNING, STATE_LOCKED, STATE_CHECKPOINTED }; /* CUprocessState */

CASE(test_park)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    f->process_state = STATE_CHECKPOINTED;
    CHECK(ops->park(1234, 500, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessLock cuCheckpointProcessCheckpoint ") == 0);
    f->calls[0] = '\0';
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessGetState cuCheckpointProcessRestore "
                           "cuCheckpointProcessUnlock ") == 0);
    /* Whoever parked it has ended half way. */
    f->calls[0] = '\0';
    f->process_state = STATE_LOCKED;
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(calls_of("cuCheckpointProcessRestore") == 0 &&
          calls_of("cuCheckpointProcessUnlock") == 1);
    f->calls[0] = '\0';
    f->process_state = STATE_RUNNING;
    CHECK(ops->unpark(1234, &why) == 0);
    CHECK(strcmp(f->calls, "cuInit cuCheckpointProcessGetState ") == 0);
}

/* What cannot be taken off is left as it was. */
CASE(test_park_refused)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", DRIVER, 1);
    f = dlsym(dlopen(DRIVER, RTLD_NOW), "fake");
    f->process_state = STATE_CHECKPOINTED;
    f->fail = "cuCheckpointProcessLock";
    f->error = 600;
    CHECK(ops->park(1234, 500, &why) == 600 && strstr(why, "not ended within 500 ms"));
    CHECK(calls_of("cuCheckpointProcessCheckpoint") == 0);
    f->error = 3;
    CHECK(ops->park(1234, 500, &why) == 3 && strstr(why, "names of its own threads"));
    CHECK(calls_of("cuCheckpointProcessCheckpoint") == 0);
    f->fail = "cuCheckpointProcessCheckpoint";
    f->error = 304;
    CHECK(ops->park(1234, 500, &why) == 304 && strstr(why, "(304)"));
    CHECK(calls_of("cuCheckpointProcessUnlock") == 1);
    f->fail = "cuCheckpointProcessRestore";
    CHECK(ops->unpark(1234, &why) == 304);
    CHECK(calls_of("cuCheckpointProcessUnlock") == 1);
}

CASE(test_park_old_driver)
{
    const char *why = NULL;

    setenv("GVM_LIBCUDA", BARE, 1);
    CHECK(ops->park(1234, 500, &why) == 801 && strstr(why, "R570"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_park),
        cmocka_unit_test(test_park_refused),
        cmocka_unit_test(test_park_old_driver),
        cmocka_unit_test(test_no_library),
        cmocka_unit_test(test_shim_is_refused),
        cmocka_unit_test(test_old_driver),
        cmocka_unit_test(test_missing_family),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_share_lies),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_select_index),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_guest_quota),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_reserved_all),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_spare),
        cmocka_unit_test(test_no_pin),
        cmocka_unit_test(test_images),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_event_order),
        cmocka_unit_test(test_fault),
        cmocka_unit_test(test_quiet_error),
        cmocka_unit_test(test_output),
        cmocka_unit_test(test_streams_again),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_prints),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_channel),
        cmocka_unit_test(test_pool_pages),
        cmocka_unit_test(test_cleared),
        cmocka_unit_test(test_not_cleared),
        cmocka_unit_test(test_cleared_arrays),
        cmocka_unit_test(test_cleared_while_busy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
