/* SPDX-License-Identifier: MIT */
/*
 * Device memory of device/cuda: quotas, blocks, and what others left in it.
 */
#include "dom0-backend/device/device_memory.h"
#include "dom0-backend/device/device_texture.h"
#include "tests/unit/cuda_case.h"

/* ---- quotas and blocks */

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

/* All of the guest's processes together, and every kind of memory. */
CASE(test_guest_quota)
{
    uint64_t a, b, left, total;
    struct dev_memory *m;

    CHECK(open_quota(64 * MIB) == 0);
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

/* What suspended processes come back to is neither given nor shown, whatever the quota. */
CASE(test_reserved)
{
    uint64_t a, b, left, total, all;
    struct dev_memory *m;

    guest_left = UINT64_MAX / 2;
    for_others = 0;
    CHECK(open_quota(0) == 0);
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

    for_others = UINT64_MAX;
    CHECK(open_quota(0) == 2);
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

/* ---- what is not handed on */

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

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota),          cmocka_unit_test(test_guest_quota),
        cmocka_unit_test(test_reserved),       cmocka_unit_test(test_reserved_all),
        cmocka_unit_test(test_blocks),         cmocka_unit_test(test_spare),
        cmocka_unit_test(test_cleared),        cmocka_unit_test(test_cleared_while_busy),
        cmocka_unit_test(test_cleared_arrays), cmocka_unit_test(test_not_cleared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
