/* SPDX-License-Identifier: MIT */
/* The shim's local knowledge: free extents of the pool, allocation ranges, handles, error texts,
 * module tables from a worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "libcudart-shim/driver/errors.h"
#include "libcudart-shim/driver/extent.h"
#include "libcudart-shim/driver/idtab.h"
#include "libcudart-shim/driver/ranges.h"
#include "libcudart-shim/driver/table.h"

static void extents_join_and_split(void **state)
{
    struct gvm_extents e = {0};
    uintptr_t a, b, c;

    assert_int_equal(gvm_extents_alloc(&e, 1, 1), 0);
    assert_int_equal(gvm_extents_free(&e, 0x10000, 0x1000), 0);
    assert_int_equal(gvm_extents_free(&e, 0x12000, 0x1000), 0);
    assert_int_equal(gvm_extents_alloc(&e, 0x1001, 16), 0);
    assert_int_equal(gvm_extents_free(&e, 0x11000, 0x1000), 0); /* closes the hole */
    assert_int_equal(e.n, 1);
    assert_int_equal(gvm_extents_total(&e), 0x3000);
    a = gvm_extents_alloc(&e, 0x200, 0x200);
    b = gvm_extents_alloc(&e, 0x1000, 0x1000);
    c = gvm_extents_alloc(&e, 0x1e00, 0x200);
    assert_int_equal(a, 0x10000);
    assert_int_equal(b, 0x11000);
    assert_int_equal(c, 0); /* what is left lies on both sides of b */
    assert_int_equal(gvm_extents_free(&e, b, 0x1000), 0);
    assert_int_equal(gvm_extents_alloc(&e, 0x2e00, 0x200), 0x10200);
    assert_int_equal(gvm_extents_total(&e), 0);
    assert_int_equal(gvm_extents_free(&e, 0x20000, 0x1000), 0);
    assert_int_equal(gvm_extents_take(&e, 0x20400, 0x400), 0);
    assert_int_not_equal(gvm_extents_take(&e, 0x20600, 0x400), 0);
    assert_int_equal(gvm_extents_total(&e), 0xc00);
    gvm_extents_clear(&e);
}

/* Blocks of random sizes never overlap, and everything comes together again. */
static void extents_random(void **state)
{
    enum { N = 200, TOTAL = 1 << 20 };
    struct gvm_extents e = {0};
    uintptr_t at[N] = {0};
    size_t len[N];
    static uint8_t owner[TOTAL / 64];
    unsigned seed = 12345;

    assert_int_equal(gvm_extents_free(&e, 1 << 20, TOTAL), 0);
    for (int round = 0; round < 20000; round++) {
        unsigned i;

        seed = seed * 1664525u + 1013904223u;
        i = seed >> 8 & 0xffff;
        i %= N;
        if (at[i]) {
            for (size_t k = 0; k < len[i] / 64; k++)
                owner[(at[i] - (1 << 20)) / 64 + k] = 0;
            assert_int_equal(gvm_extents_free(&e, at[i], len[i]), 0);
            at[i] = 0;
            continue;
        }
        len[i] = 64 * (1 + (seed >> 20) % 200);
        at[i] = gvm_extents_alloc(&e, len[i], 64u << (seed >> 28) % 4);
        for (size_t k = 0; at[i] && k < len[i] / 64; k++) {
            assert_int_equal(owner[(at[i] - (1 << 20)) / 64 + k], 0);
            owner[(at[i] - (1 << 20)) / 64 + k] = 1;
        }
    }
    for (int i = 0; i < N; i++)
        if (at[i])
            assert_int_equal(gvm_extents_free(&e, at[i], len[i]), 0);
    assert_int_equal(e.n, 1);
    assert_int_equal(gvm_extents_total(&e), TOTAL);
    gvm_extents_clear(&e);
}

static void ranges_find_what_holds_an_address(void **state)
{
    struct gvm_ranges r = GVM_RANGES_INIT;
    struct gvm_range g;
    int owner;

    assert_false(gvm_ranges_find(&r, 0, &g));
    for (uint64_t i = 0; i < 100; i++) {
        struct gvm_range n = {.base = 0x1000 * (100 - i), .size = 0x800, .kind = GVM_DEVICE};

        if (i % 10 == 0)
            n.owner = &owner;
        assert_int_equal(gvm_ranges_add(&r, &n), 0);
    }
    assert_true(gvm_ranges_find(&r, 0x1000 * 7, &g));
    assert_int_equal(g.base, 0x7000);
    assert_true(gvm_ranges_find(&r, 0x77ff, &g));
    assert_false(gvm_ranges_find(&r, 0x7800, &g));
    assert_false(gvm_ranges_find(&r, 0xfff, &g));
    assert_false(gvm_ranges_find(&r, UINT64_MAX, &g));
    g = (struct gvm_range){.base = 0x77ff, .size = 2, .kind = GVM_DEVICE};
    assert_int_not_equal(gvm_ranges_add(&r, &g), 0); /* overlaps below */
    g.base = 0x7fff;
    assert_int_not_equal(gvm_ranges_add(&r, &g), 0);                   /* and above */
    assert_false(gvm_ranges_remove(&r, 0x7010, 1u << GVM_DEVICE, &g)); /* inside: no base */
    assert_false(gvm_ranges_remove(&r, 0x7000, 1u << GVM_PINNED, &g)); /* another kind */
    assert_true(gvm_ranges_remove(&r, 0x7000, 1u << GVM_DEVICE, &g));
    assert_false(gvm_ranges_remove(&r, 0x7000, 1u << GVM_DEVICE, &g)); /* twice */
    for (int i = 0; i < 10; i++)
        assert_true(gvm_ranges_take_owned(&r, &owner, &g));
    assert_false(gvm_ranges_take_owned(&r, &owner, &g));
    gvm_ranges_clear(&r);
    free(r.v);
}

struct thing {
    struct gvm_obj o;
    int v;
};

static void count(void *obj, void *n)
{
    ++*(int *)n;
}

static void handles_end_with_their_object(void **state)
{
    static struct gvm_idtab t = GVM_IDTAB_INIT(1, struct thing);
    static struct gvm_idtab other = GVM_IDTAB_INIT(2, struct thing);
    struct thing *a = gvm_id_new(&t), *b = gvm_id_new(&t);
    uint64_t ha = gvm_handle(&t, a), hb = gvm_handle(&t, b);
    int n = 0;

    assert_int_equal(a->o.id, GVM_ID_FIRST);
    assert_ptr_equal(gvm_id_get(&t, ha), a);
    assert_ptr_equal(gvm_id_get(&t, hb), b);
    assert_null(gvm_id_get(&other, ha)); /* an event given as a stream */
    for (uint64_t h = 0; h < 70000; h++) /* small numbers are never handles */
        assert_null(gvm_id_get(&t, h));
    assert_null(gvm_id_get(&t, ha + 100));
    assert_null(gvm_id_get(&t, UINT64_MAX));
    gvm_id_free(&t, a);
    assert_null(gvm_id_get(&t, ha));
    assert_null(gvm_id_get(&t, ha + (1ull << 32))); /* nor a guessed generation */
    gvm_id_each(&t, count, &n);
    assert_int_equal(n, 1);
    gvm_id_free(&t, b);
    /* All ids can be in use, no more; one given back is minted again under another handle. */
    for (uint32_t i = 0; i < GVM_ID_LAST + 1 - GVM_ID_FIRST; i++) {
        a = gvm_id_new(&t);
        assert_non_null(a);
    }
    assert_null(gvm_id_new(&t));
    ha = gvm_handle(&t, a);
    gvm_id_free(&t, a);
    b = gvm_id_new(&t);
    assert_ptr_equal(a, b);
    assert_int_not_equal(ha, gvm_handle(&t, b));
    assert_null(gvm_id_get(&t, ha));
}

static void errors_have_names(void **state)
{
    assert_string_equal(gvm_error_find(0)->runtime, "cudaSuccess");
    assert_string_equal(gvm_error_find(700)->text, "an illegal memory access was encountered");
    assert_string_equal(gvm_error_find(700)->runtime, "cudaErrorIllegalAddress");
    assert_string_equal(gvm_error_find(700)->driver, "CUDA_ERROR_ILLEGAL_ADDRESS");
    assert_null(gvm_error_find(9)->driver);
    assert_null(gvm_error_find(-1));
    assert_null(gvm_error_find(8888));
    assert_non_null(gvm_error_find(999));
}

/* A table of two kernels, then every truncation of it and damaged lengths. */
static void module_tables_are_checked(void **state)
{
    struct {
        struct vgpu_table_head h;
        struct vgpu_table_func f1;
        struct vgpu_table_param p1[2];
        char n1[8];
        struct vgpu_table_func f2;
        char n2[16];
    } t = {
        .h = {VGPU_TABLE_MAGIC, 2, 0, sizeof(t)},
        .f1 = {.name_len = 3, .nparam = 2, .param_bytes = 12},
        .p1 = {{0, 8}, {8, 4}},
        .n1 = "one",
        .f2 = {.name_len = 8, .nparam = 0},
        .n2 = "function",
    };
    struct gvm_table_count n;
    struct gvm_table_func f;

    assert_int_equal(gvm_table_count((uint8_t *)&t, sizeof(t), &n), 0);
    assert_int_equal(n.nfunc, 2);
    assert_int_equal(n.nparam, 2);
    assert_int_equal(n.name_bytes, 4 + 9);
    gvm_table_next((uint8_t *)&t, &n, &f);
    assert_int_equal(f.nparam, 2);
    assert_int_equal(f.params[1].offset, 8);
    assert_memory_equal(f.name, "one", 3);
    gvm_table_next((uint8_t *)&t, &n, &f);
    assert_int_equal(f.name_len, 8);
    assert_memory_equal(f.name, "function", 8);
    for (size_t len = 0; len < sizeof(t); len++) {
        t.h.bytes = (uint32_t)len;
        assert_int_not_equal(gvm_table_count((uint8_t *)&t, len, &n), 0);
    }
    t.h.bytes = sizeof(t);
    t.f2.name_len = 0xffff;
    assert_int_not_equal(gvm_table_count((uint8_t *)&t, sizeof(t), &n), 0);
    t.f2.name_len = 8;
    t.h.nfunc = 0xffffffff;
    assert_int_not_equal(gvm_table_count((uint8_t *)&t, sizeof(t), &n), 0);
    t.h.nfunc = 2;
    t.f1.param_bytes = 0x10000;
    assert_int_not_equal(gvm_table_count((uint8_t *)&t, sizeof(t), &n), 0);
}

/* Marks go to the range that holds an address, and to no other. */
static void ranges_keep_marks(void **state)
{
    struct gvm_ranges r = GVM_RANGES_INIT;
    struct gvm_range a = {.base = 0x1000, .size = 0x100, .kind = GVM_MANAGED};
    struct gvm_range b = {.base = 0x1100, .size = 0x100, .kind = GVM_DEVICE}, g;

    assert_int_equal(gvm_ranges_add(&r, &a), 0);
    assert_int_equal(gvm_ranges_add(&r, &b), 0);
    assert_true(gvm_ranges_mark(&r, 0x10ff, GVM_MARK_READ_MOSTLY | GVM_MARK_AT_DEV, 0));
    assert_true(gvm_ranges_mark(&r, 0x1000, GVM_MARK_AT_HOST, GVM_MARK_AT_DEV));
    assert_false(gvm_ranges_mark(&r, 0x1200, GVM_MARK_AT_HOST, 0));
    assert_true(gvm_ranges_find(&r, 0x1001, &g));
    assert_int_equal(g.marks, GVM_MARK_READ_MOSTLY | GVM_MARK_AT_HOST);
    assert_true(gvm_ranges_find(&r, 0x1100, &g));
    assert_int_equal(g.marks, 0);
    gvm_ranges_clear(&r);
    free(r.v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extents_join_and_split),
        cmocka_unit_test(extents_random),
        cmocka_unit_test(ranges_find_what_holds_an_address),
        cmocka_unit_test(ranges_keep_marks),
        cmocka_unit_test(handles_end_with_their_object),
        cmocka_unit_test(errors_have_names),
        cmocka_unit_test(module_tables_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
