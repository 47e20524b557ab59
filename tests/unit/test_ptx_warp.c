/* SPDX-License-Identifier: MIT */
/* Warps: divergence and reconvergence, member masks, barriers, atomics, independent progress. */
#include "tests/unit/ptx_fixture.h"

#define REGS ".reg .b32 %r<20>; .reg .b64 %rd<9>; .reg .pred %p<6>; .reg .b32 %t; .reg .b64 %o;\n"
/* %t: thread, %o: its word of the output */
#define K(name, body)                                                                              \
    ".visible .entry " name "(.param .u64 out)\n{\n" REGS                                          \
    "mov.u32 %t, %tid.x; mul.wide.u32 %rd1, %t, 4; ld.param.u64 %o, [out]; add.s64 %o, %o, "       \
    "%rd1;\n" body "\nret;\n}\n"

static uint32_t *out;
static int run(const char *kernel, unsigned grid, unsigned block)
{
    uint64_t a = pf_alloc(8192);
    out = pf_u32(a);
    return pf_run(kernel, grid, block, 1, a);
}

static void load(const char *text)
{
    if (pf_load_sm(text))
        fail_msg("%s", pf_log);
}

/* if / else by lane, nested, then everyone together again */
static void branches_reconverge(void **state)
{
    load(K("k", "and.b32 %r1, %t, 1; setp.eq.u32 %p1, %r1, 0; @%p1 bra EVEN;\n"
                "mov.u32 %r2, 100; setp.gt.u32 %p2, %t, 15; @%p2 bra HIGH;\n"
                "add.u32 %r2, %r2, 1; bra.uni END;\n"
                "HIGH: add.u32 %r2, %r2, 2; bra.uni END;\n"
                "EVEN: mov.u32 %r2, 200;\n"
                "END: activemask.b32 %r3; shl.b32 %r3, %r3, 0; add.u32 %r2, %r2, %r3;\n"
                "st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 1, 32), 0);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i] + 1, i & 1 ? (i > 15 ? 102 : 101) : 200); /* mask is -1 */
}

/* loops of different length per lane; block sizes that leave partial warps */
static void loops_diverge(void **state)
{
    static const unsigned sizes[] = {1, 2, 31, 32, 33, 63, 100, 1024};

    load(K("k", "mov.u32 %r1, %t; mov.u32 %r2, 0;\n"
                "L: setp.eq.u32 %p1, %r1, 0; @%p1 bra DONE;\n"
                "add.u32 %r2, %r2, %r1; sub.u32 %r1, %r1, 1;\n"
                "and.b32 %r3, %r1, 3; setp.eq.u32 %p2, %r3, 2; @%p2 bra L;\n"
                "add.u32 %r2, %r2, 1; bra L;\n"
                "DONE: st.global.u32 [%o], %r2;"));
    for (unsigned s = 0; s < 8; s++) {
        assert_int_equal(run("k", 1, sizes[s]), 0);
        for (unsigned i = 0; i < sizes[s]; i++) {
            unsigned want = 0;
            for (unsigned v = i; v;) {
                want += v--;
                want += (v & 3) != 2;
            }
            assert_int_equal(out[i], want);
        }
        assert_int_equal(out[sizes[s]], 0);
    }
}

/* code whose blocks are not in topological order */
static void blocks_out_of_order(void **state)
{
    load(K("k", "and.b32 %r1, %t, 3; mov.u32 %r2, 0; bra A;\n"
                "C: add.u32 %r2, %r2, 7; bra D;\n"
                "B: add.u32 %r2, %r2, 5; setp.eq.u32 %p2, %r1, 1; @%p2 bra C; bra D;\n"
                "A: setp.lt.u32 %p1, %r1, 2; @%p1 bra B; add.u32 %r2, %r2, 3; @!%p1 bra C;\n"
                "D: shfl.sync.bfly.b32 %r3, %r2, 1, 0x1f, -1; shl.b32 %r3, %r3, 8;\n"
                "or.b32 %r2, %r2, %r3; st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 1, 64), 0);
    static const uint32_t v[4] = {5, 12, 10, 10};
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(out[i], v[i & 3] | v[(i ^ 1) & 3] << 8);
}

/* a shuffle waits for members that come later, from another branch */
static void shuffles_wait_for_members(void **state)
{
    load(K("k", "setp.lt.u32 %p1, %t, 16; mov.u32 %r2, %t; @%p1 bra LOW;\n"
                "mov.u32 %r3, 50; L: sub.u32 %r3, %r3, 1; setp.ne.u32 %p2, %r3, 0; @%p2 bra L;\n"
                "add.u32 %r2, %r2, 1000;\n"
                "LOW: shfl.sync.idx.b32 %r4|%p3, %r2, 31, 0x1f, -1;\n"
                "selp.u32 %r5, 1, 0, %p3; shl.b32 %r5, %r5, 16; or.b32 %r4, %r4, %r5;\n"
                "st.global.u32 [%o], %r4;"));
    assert_int_equal(run("k", 1, 32), 0);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i], 1031 | 1 << 16);
}

/* the two halves shuffle, vote and match among themselves, each with its own mask */
static void member_masks(void **state)
{
    load(K("k",
           "setp.lt.u32 %p1, %t, 16; selp.b32 %r1, 0xffff, 0xffff0000, %p1;\n"
           "and.b32 %r2, %t, 1; setp.eq.u32 %p2, %r2, 0;\n"
           "@%p1 bra LOW;\n"
           "vote.sync.ballot.b32 %r3, %p2, 0xffff0000; vote.sync.any.pred %p3, %p2, 0xffff0000;\n"
           "bra END;\n"
           "LOW: vote.sync.ballot.b32 %r3, %p2, 0xffff; setp.lt.u32 %p4, %t, 99;\n"
           "vote.sync.all.pred %p3, %p4, 0xffff;\n"
           "END: match.any.sync.b32 %r4, %r2, %r1; redux.sync.add.u32 %r5, %t, %r1;\n"
           "selp.u32 %r6, 1, 0, %p3; xor.b32 %r3, %r3, %r4; add.u32 %r3, %r3, %r5;\n"
           "add.u32 %r3, %r3, %r6; st.global.u32 [%o], %r3;"));
    assert_int_equal(run("k", 1, 32), 0);
    for (unsigned i = 0; i < 32; i++) {
        uint32_t half = i < 16 ? 0xffff : 0xffff0000, even = 0x55555555 & half;
        uint32_t match = (i & 1 ? 0xaaaaaaaa : 0x55555555) & half;
        uint32_t sum = i < 16 ? 120 : 376;
        assert_int_equal(out[i], (even ^ match) + sum + 1);
    }
}

/* members that have exited are not waited for */
static void exited_lanes_do_not_count(void **state)
{
    load(K("k", "setp.gt.u32 %p1, %t, 9; @%p1 exit;\n"
                "bar.warp.sync -1; setp.eq.u32 %p2, %t, %t;\n"
                "vote.sync.ballot.b32 %r1, %p2, -1; bar.sync 0;\n"
                "st.global.u32 [%o], %r1;"));
    assert_int_equal(run("k", 1, 96), 0);
    for (unsigned i = 0; i < 96; i++)
        assert_int_equal(out[i], i < 10 ? 0x3ff : 0);
}

/* all threads of a CTA, values from the other end of it */
static void barriers_order_shared_memory(void **state)
{
    static const unsigned sizes[] = {32, 33, 96, 250, 1024};

    load(".shared .align 4 .b8 sm[4096];\n" K(
        "k", "mov.u32 %r9, sm; shl.b32 %r1, %t, 2; add.u32 %r1, %r1, %r9;\n"
             "mul.lo.u32 %r2, %t, 3; st.shared.u32 [%r1], %r2; bar.sync 0;\n"
             "mov.u32 %r3, %ntid.x; sub.u32 %r3, %r3, %t; sub.u32 %r3, %r3, 1;\n"
             "shl.b32 %r3, %r3, 2; add.u32 %r3, %r3, %r9; ld.shared.u32 %r4, [%r3];\n"
             "barrier.sync 1; st.shared.u32 [%r3], %r4; barrier.sync.aligned 0;\n"
             "ld.shared.u32 %r5, [%r1]; add.u32 %r4, %r4, %r5; st.global.u32 [%o], %r4;"));
    for (unsigned s = 0; s < 5; s++) {
        assert_int_equal(run("k", 1, sizes[s]), 0);
        for (unsigned i = 0; i < sizes[s]; i++)
            assert_int_equal(out[i], 3 * (sizes[s] - 1 - i) + 3 * i);
    }
}

/* producers arrive, consumers wait; the two pairs of warps use barriers with counts */
static void named_barriers(void **state)
{
    load(".shared .align 4 .b8 sm[512];\n" K(
        "k", "mov.u32 %r9, sm; and.b32 %r8, %t, 63; shl.b32 %r1, %r8, 2; add.u32 %r1, %r1, %r9;\n"
             "setp.lt.u32 %p1, %t, 64; @%p1 bra CONSUME;\n"
             "add.u32 %r2, %t, 7; st.shared.u32 [%r1], %r2; bar.arrive 3, 128; bra END;\n"
             "CONSUME: bar.sync 3, 128; xor.b32 %r1, %r1, 128; ld.shared.u32 %r3, [%r1];\n"
             "st.global.u32 [%o], %r3;\nEND:"));
    assert_int_equal(run("k", 1, 128), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(out[i], (i ^ 32) + 64 + 7);
}

static void barrier_reductions(void **state)
{
    load(K("k", "and.b32 %r1, %t, 1; setp.eq.u32 %p1, %r1, 0; setp.lt.u32 %p2, %t, 300;\n"
                "bar.red.popc.u32 %r2, 0, %p1; bar.red.and.pred %p3, 0, %p2;\n"
                "bar.red.or.pred %p4, 0, !%p2; selp.u32 %r3, 1000, 0, %p3;\n"
                "selp.u32 %r4, 2000, 0, %p4; add.u32 %r2, %r2, %r3; add.u32 %r2, %r2, %r4;\n"
                "st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 1, 101), 0);
    for (unsigned i = 0; i < 101; i++)
        assert_int_equal(out[i], 51 + 1000);
    assert_int_equal(run("k", 1, 512), 0);
    assert_int_equal(out[511], 256 + 2000);
}

/* half of each warp goes to a barrier inside a branch, the other half elsewhere first */
static void barriers_in_divergent_code(void **state)
{
    load(".shared .align 4 .b8 sm[4];\n" K(
        "k", "mov.u32 %r9, sm; and.b32 %r1, %t, 1; setp.eq.u32 %p1, %r1, 0;\n"
             "setp.eq.u32 %p2, %t, 0; @%p2 st.shared.u32 [%r9], 0; barrier.sync 0;\n"
             "@%p1 bra A; red.shared.add.u32 [%r9], 1; barrier.sync 0; bra E;\n"
             "A: red.shared.add.u32 [%r9], 100; barrier.sync 0;\n"
             "E: ld.shared.u32 %r2, [%r9]; st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 1, 128), 0);
    for (unsigned i = 0; i < 128; i++)
        assert_int_equal(out[i], 64 + 6400);
}

static void barrier_errors(void **state)
{
    load(K("never", "setp.lt.u32 %p1, %t, 32; @%p1 bar.sync 0; @!%p1 bar.sync 1;")
             K("badid", "bar.sync %t;") K("badcount", "bar.sync 0, 33;"));
    assert_int_equal(run("never", 1, 64), 719);
    assert_non_null(strstr(pf_fault.what, "never complete"));
    assert_int_equal(run("badid", 1, 17), 719);
    assert_int_equal(run("badcount", 1, 64), 719);
    assert_non_null(strstr(pf_fault.what, "33"));
}

/* threads of a warp take a lock one after the other; the holder must get on while others spin */
static void locks_within_a_warp(void **state)
{
    load(".global .u32 lock; .global .u32 count;\n" K(
        "k", "L: atom.global.cas.b32 %r1, [lock], 0, 1; setp.ne.u32 %p1, %r1, 0; @%p1 bra L;\n"
             "ld.volatile.global.u32 %r2, [count]; add.u32 %r2, %r2, 1;\n"
             "st.volatile.global.u32 [count], %r2; membar.gl;\n"
             "atom.global.exch.b32 %r3, [lock], 0; st.global.u32 [%o], %r2;"));
    assert_int_equal(run("k", 2, 64), 0);
    uint32_t max = 0;
    for (unsigned i = 0; i < 64; i++)
        max = out[i] > max ? out[i] : max;
    assert_int_equal(max, 128);
}

/* a warp waits for a flag that a later warp sets, and a thread for one that its neighbour sets */
static void flags_between_threads(void **state)
{
    load(
        ".global .u32 flag; .shared .align 4 .b8 sm[128];\n" K(
            "warps", "setp.lt.u32 %p1, %t, 32; @%p1 bra WAIT;\n"
                     "st.volatile.global.u32 [flag], 5; bra END;\n"
                     "WAIT: ld.volatile.global.u32 %r1, [flag]; setp.eq.u32 %p2, %r1, 0;\n"
                     "@%p2 bra WAIT; st.global.u32 [%o], %r1;\nEND:")
            K("lanes", "mov.u32 %r9, sm; setp.eq.u32 %p1, %t, 31; shl.b32 %r8, %t, 2;\n"
                       "add.u32 %r8, %r8, %r9; st.volatile.shared.u32 [%r8], 0; bar.warp.sync -1;\n"
                       "@%p1 bra SET;\n"
                       "WAIT: ld.volatile.shared.u32 %r1, [%r8+4]; setp.eq.u32 %p2, %r1, 0;\n"
                       "@%p2 bra WAIT;\n"
                       "SET: mov.u32 %r2, %clock; add.u32 %r3, %t, 1;\n"
                       "st.volatile.shared.u32 [%r8], %r3; st.global.u32 [%o], %r3;"));
    assert_int_equal(run("warps", 1, 64), 0);
    assert_int_equal(out[31], 5);
    assert_int_equal(run("lanes", 1, 32), 0);
    for (unsigned i = 0; i < 32; i++)
        assert_int_equal(out[i], i + 1);
}

static void atomics_across_ctas(void **state)
{
    load(K("k", "ld.param.u64 %rd2, [out]; atom.global.add.u32 %r1, [%rd2], 1;\n"
                "red.global.max.u32 [%rd2+4], %t; red.global.add.f32 [%rd2+8], 0f3f000000;\n"
                "red.global.inc.u32 [%rd2+12], 9; atom.or.b32 %r2, [%rd2+16], %t;\n"
                "red.global.min.s32 [%rd2+20], %r1; red.relaxed.gpu.global.add.u64 [%rd2+24], 3;\n"
                "atom.global.cas.b32 %r3, [%rd2+32], 0, 77; atom.add.f64 %rd3, [%rd2+40], "
                "0d3ff8000000000000;"));
    assert_int_equal(run("k", 5, 100), 0);
    assert_int_equal(out[0], 500);
    assert_int_equal(out[1], 99);
    float f;
    memcpy(&f, &out[2], 4);
    assert_true(f == 250);
    assert_int_equal(out[3], 0); /* 500 steps of a counter from 0 to 9 */
    assert_int_equal(out[4], 127);
    assert_int_equal(out[5], 0);
    assert_int_equal(out[6], 1500);
    assert_int_equal(out[8], 77);
    double d;
    memcpy(&d, &out[10], 8);
    assert_true(d == 750);
}

/* all block shapes: thread indices are right and every thread runs once */
static void block_shapes(void **state)
{
    static const uint32_t shapes[][3] = {{1, 1, 1}, {7, 3, 2},   {32, 1, 1}, {1, 32, 2},
                                         {5, 5, 5}, {16, 16, 4}, {1, 1, 64}, {1024, 1, 1}};

    load(".visible .entry k(.param .u64 out)\n{\n" REGS
         "mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z; mov.u32 %r4, %ntid.x;\n"
         "mov.u32 %r5, %ntid.y; mad.lo.u32 %r6, %r3, %r5, %r2; mad.lo.u32 %r6, %r6, %r4, %r1;\n"
         "mov.u32 %r7, %ctaid.x; mov.u32 %r8, %ctaid.y; mov.u32 %r9, %nctaid.x;\n"
         "mad.lo.u32 %r7, %r8, %r9, %r7; mov.u32 %r10, %ntid.z; mul.lo.u32 %r11, %r4, %r5;\n"
         "mul.lo.u32 %r11, %r11, %r10; mad.lo.u32 %r6, %r7, %r11, %r6;\n"
         "ld.param.u64 %o, [out]; mul.wide.u32 %rd1, %r6, 4; add.s64 %o, %o, %rd1;\n"
         "red.global.add.u32 [%o], 1;\nret;\n}\n");
    for (unsigned s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        uint64_t a = pf_alloc(65536);
        unsigned n = shapes[s][0] * shapes[s][1] * shapes[s][2] * 6;
        assert_int_equal(pf_run3("k", (uint32_t[]){2, 3, 1}, shapes[s], 1, &a), 0);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(pf_u32(a)[i], 1);
        assert_int_equal(pf_u32(a)[n], 0);
    }
}

static void indexed_branch(void **state)
{
    load(K("k", "ts: .branchtargets A, B, C, A;\nand.b32 %r1, %t, 3; mov.u32 %r2, 0;\n"
                "brx.idx %r1, ts;\nA: add.u32 %r2, %r2, 1; bra E;\nB: add.u32 %r2, %r2, 10;\n"
                "C: add.u32 %r2, %r2, 100;\nE: st.global.u32 [%o], %r2;")
             K("bad", "ts: .branchtargets A, A;\nbrx.idx %t, ts;\nA:"));
    assert_int_equal(run("k", 1, 64), 0);
    static const uint32_t want[4] = {1, 110, 100, 1};
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(out[i], want[i & 3]);
    assert_int_equal(run("bad", 1, 2), 0);
    assert_int_equal(run("bad", 1, 3), 718);
}

/* a cooperative launch: every CTA waits for all others */
static void cooperative_grid(void **state)
{
    load(".global .u32 n;\n" K(
        "k", "bar.sync 0; setp.ne.u32 %p1, %t, 0; @%p1 bra W; red.global.add.u32 [n], 1;\n"
             "L: ld.acquire.gpu.global.u32 %r1, [n]; setp.lt.u32 %p2, %r1, 7; @%p2 bra L;\n"
             "W: bar.sync 0; ld.global.u32 %r2, [n]; st.global.u32 [%o], %r2;"));
    pf_extra.cooperative = true;
    assert_int_equal(run("k", 7, 64), 0);
    for (unsigned i = 0; i < 64; i++)
        assert_int_equal(out[i], 7);
}

#define TEST(n) cmocka_unit_test_setup(n, pf_setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(branches_reconverge),
        TEST(loops_diverge),
        TEST(blocks_out_of_order),
        TEST(shuffles_wait_for_members),
        TEST(member_masks),
        TEST(exited_lanes_do_not_count),
        TEST(barriers_order_shared_memory),
        TEST(named_barriers),
        TEST(barrier_reductions),
        TEST(barriers_in_divergent_code),
        TEST(barrier_errors),
        TEST(locks_within_a_warp),
        TEST(flags_between_threads),
        TEST(atomics_across_ctas),
        TEST(block_shapes),
        TEST(indexed_branch),
        TEST(cooperative_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
