/* SPDX-License-Identifier: MIT */
/* Freed device memory that the guest's library keeps: what is sent, and when it is waited for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "libcudart-shim/driver/blocks.h"
#include "libcudart-shim/driver/objects.h"
#include "stubs.h"

#define MIB ((uint64_t)1 << 20)

/* What the rest of the library would do. */
static struct {
    bool quiet;
    int err;
    unsigned settled, freed, pooled;
    uint32_t stream;
    uint64_t last;
} be;

bool gvm_chan_quiet(struct gvm_chan *c)
{
    return be.quiet;
}

int gvm_ctx_settle(struct gvm_chan *c)
{
    be.settled++;
    be.quiet = be.err == 0;
    return be.err;
}

int vgpu_MemFree(struct gvm_chan *ch, unsigned flags, uint64_t dptr)
{
    be.freed++;
    be.last = dptr;
    return 0;
}

int vgpu_MemPoolFree(struct gvm_chan *ch, unsigned flags, uint32_t stream, uint64_t dptr)
{
    be.pooled++;
    be.last = dptr;
    be.stream = stream;
    return 0;
}

static int clean(void **state)
{
    gvm_blocks_reset();
    memset(&be, 0, sizeof(be));
    be.quiet = true;
    return 0;
}

static void a_freed_block_comes_back(void **state)
{
    assert_int_equal(gvm_blocks_take(MIB), 0);
    assert_int_equal(gvm_blocks_put(NULL, 0x1000, MIB), 0);
    assert_int_equal(gvm_blocks_take(MIB - 1), 0);
    assert_int_equal(gvm_blocks_take(MIB + 1), 0);
    assert_int_equal(gvm_blocks_take(0), 0);
    assert_int_equal(gvm_blocks_take(MIB), 0x1000);
    assert_int_equal(gvm_blocks_take(MIB), 0);
    assert_int_equal(be.freed + be.settled, 0);
}

static void the_last_one_comes_first(void **state)
{
    for (uint64_t i = 1; i <= 3; i++)
        assert_int_equal(gvm_blocks_put(NULL, i * MIB, 512), 0);
    assert_int_equal(gvm_blocks_take(512), 3 * MIB);
    assert_int_equal(gvm_blocks_take(512), 2 * MIB);
}

static void work_is_waited_for_once(void **state)
{
    be.quiet = false;
    assert_int_equal(gvm_blocks_put(NULL, 0x1000, 512), 0);
    assert_int_equal(gvm_blocks_put(NULL, 0x2000, 512), 0);
    assert_int_equal(be.settled, 1);
    assert_int_equal(be.freed, 0);
}

static void a_lost_context_keeps_nothing(void **state)
{
    be.quiet = false;
    be.err = 700;
    assert_int_equal(gvm_blocks_put(NULL, 0x1000, 512), 700);
    assert_int_equal(gvm_blocks_take(512), 0);
}

static void large_blocks_go(void **state)
{
    be.quiet = false; /* the worker waits */
    assert_int_equal(gvm_blocks_put(NULL, 0x1000, GVM_BLOCK_MAX + 1), 0);
    assert_int_equal(be.freed, 1);
    assert_int_equal(be.settled, 0);
    assert_int_equal(gvm_blocks_take(GVM_BLOCK_MAX + 1), 0);
}

static void what_is_kept_is_bounded(void **state)
{
    for (unsigned i = 0; i < GVM_BLOCKS_BYTES / GVM_BLOCK_MAX; i++)
        assert_int_equal(gvm_blocks_put(NULL, (i + 1) * 16 * MIB, GVM_BLOCK_MAX), 0);
    assert_int_equal(be.freed, 0);
    assert_int_equal(gvm_blocks_put(NULL, 0x1000, 1), 0);
    assert_int_equal(be.freed, 1);
    assert_int_equal(be.last, 16 * MIB);
    assert_true(gvm_blocks_give_back(NULL));
    assert_int_equal(be.freed, 1 + GVM_BLOCKS_BYTES / GVM_BLOCK_MAX);
    assert_false(gvm_blocks_give_back(NULL));

    be.freed = 0;
    for (unsigned i = 0; i <= GVM_BLOCKS_N; i++)
        assert_int_equal(gvm_blocks_put(NULL, (i + 1) * 4096, 512), 0);
    assert_int_equal(be.freed, 1);
    assert_int_equal(be.last, 4096);
}

static void memory_of_a_pool_stays_on_its_stream(void **state)
{
    be.quiet = false;
    assert_int_equal(gvm_blocks_put_async(NULL, 7, 20, 0x1000, 512), 0);
    assert_int_equal(gvm_blocks_put_async(NULL, 7, 21, 0x2000, 512), 0);
    assert_int_equal(be.settled + be.pooled, 0); /* the stream's order is enough */
    assert_int_equal(gvm_blocks_take(512), 0);
    assert_int_equal(gvm_blocks_take_async(8, 20, 512), 0);
    assert_int_equal(gvm_blocks_take_async(7, 22, 512), 0);
    assert_int_equal(gvm_blocks_take_async(7, 20, 512), 0x1000);
    assert_int_equal(gvm_blocks_take_async(7, 20, 512), 0);
    be.quiet = true;
    assert_int_equal(gvm_blocks_put(NULL, 0x3000, 512), 0);
    gvm_blocks_flush(NULL);
    assert_int_equal(be.pooled, 1);
    assert_int_equal(be.freed, 0);
    assert_int_equal(be.last, 0x2000);
    assert_int_equal(be.stream, 21);
    assert_int_equal(gvm_blocks_take_async(7, 21, 512), 0);
    assert_int_equal(gvm_blocks_take(512), 0x3000);
    assert_int_equal(gvm_blocks_put_async(NULL, 7, 20, 0x1000, GVM_BLOCK_MAX + 1), 0);
    assert_int_equal(be.pooled, 2);
}

static unsigned asked;

static int refuses(int first)
{
    return asked++ ? 0 : first;
}

static void a_refusal_is_final_only_without_kept_blocks(void **state)
{
    int rc;

    asked = 0;
    GVM_MAKE_ROOM(rc, NULL, refuses(2));
    assert_int_equal(rc, 2);
    assert_int_equal(asked, 1);

    assert_int_equal(gvm_blocks_put(NULL, 0x1000, 512), 0);
    asked = 0;
    GVM_MAKE_ROOM(rc, NULL, refuses(1));
    assert_int_equal(rc, 1);
    assert_int_equal(be.freed, 0);

    asked = 0;
    GVM_MAKE_ROOM(rc, NULL, refuses(2));
    assert_int_equal(rc, 0);
    assert_int_equal(asked, 2);
    assert_int_equal(be.freed, 1);
    assert_int_equal(be.settled, 0);

    assert_int_equal(gvm_blocks_put_async(NULL, 7, 20, 0x1000, 512), 0);
    asked = 0;
    GVM_MAKE_ROOM(rc, NULL, refuses(2));
    assert_int_equal(rc, 0);
    assert_int_equal(be.pooled, 1);
    assert_int_equal(be.settled, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_freed_block_comes_back, clean),
        cmocka_unit_test_setup(the_last_one_comes_first, clean),
        cmocka_unit_test_setup(work_is_waited_for_once, clean),
        cmocka_unit_test_setup(a_lost_context_keeps_nothing, clean),
        cmocka_unit_test_setup(large_blocks_go, clean),
        cmocka_unit_test_setup(what_is_kept_is_bounded, clean),
        cmocka_unit_test_setup(memory_of_a_pool_stays_on_its_stream, clean),
        cmocka_unit_test_setup(a_refusal_is_final_only_without_kept_blocks, clean),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
