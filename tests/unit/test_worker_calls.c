/* SPDX-License-Identifier: MIT */
/*
 * Every call, from the guest's stub through ring, decoder and handler to the device and back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <blake2.h>
#include <cmocka.h>

#include "calls.h"
#include "dom0-backend/common/log.h"
#include "protocol/graph_proto.h"
#include "tests/unit/worker_fixture.h"

static int setup(void **state)
{
    *state = fix_new(true);
    return 0;
}

static int teardown(void **state)
{
    struct fix *f = *state;

    fix_free(f);
    assert_int_equal(mock_live(), 0); /* whatever the test left behind was destroyed */
    return 0;
}

static uint32_t lane_err(struct fix *f, unsigned lane)
{
    return f->guest.back->lane_err[lane] & 0xffff;
}

static uint64_t device_base(struct fix *f)
{
    uint64_t base, size;

    mock_ops.window(f->w.dev, &base, &size);
    return base;
}

#define TABLE 1024u /* room for one, at 4096 of the pool */

static uint32_t load(struct gvm_chan *ch, uint32_t id)
{
    uint32_t nfunc = 0, nglobal = 0, log_len = 0;
    uint64_t size = 0;
    char log[400];

    memcpy(ch->f->pool + 64, "MOCK image", 10);
    assert_int_equal(vgpu_ModuleLoad(ch, 0, id, 0, 0, 64, 10, 0, 4096, TABLE, &nfunc, &nglobal,
                                     &size, log, sizeof(log), &log_len),
                     0);
    assert_true(size > 16 && size < TABLE);
    assert_int_equal(nfunc, 2);
    assert_int_equal(nglobal, 1);
    return id;
}

static void test_info(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    struct vgpu_device_info v;
    uint32_t size = 0;

    assert_int_equal(vgpu_Info(&ch, 0, 0, 0, sizeof(v), &size), 0);
    assert_int_equal(size, sizeof(v));
    memcpy(&v, f->pool, sizeof(v));
    assert_string_equal(v.name, "Mock device");
    assert_int_equal(v.total_mem, MOCK_MEM_SIZE);
    assert_int_equal(v.attr[16], 7);
    memset(f->pool, 0xff, 4096);
    assert_int_equal(vgpu_Info(&ch, 0, 0, 0, 4, &size), 0); /* a shorter view of it */
    assert_memory_equal(f->pool, "Mock\xff", 5);
    assert_int_equal(vgpu_Info(&ch, 0, 0, FIX_POOL - 3, 4, &size), 1);
    assert_int_equal(vgpu_Info(&ch, 0, 64, 0, 4, &size), 1);
}

static void test_memory(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t p = 0, base = 0, size = 0, total = 0, left = 0;

    assert_int_equal(vgpu_MemAlloc(&ch, 0, 1000, &p), 0);
    assert_int_equal(vgpu_MemRange(&ch, 0, p + 10, &base, &size), 0);
    assert_true(base == p && size == 1024);
    assert_int_equal(vgpu_MemInfo(&ch, 0, &left, &total), 0);
    assert_int_equal(total - left, 1024);
    assert_int_equal(vgpu_MemFree(&ch, 0, p), 0);
    assert_int_equal(vgpu_MemFree(&ch, 0, p), 1);
    assert_int_equal(vgpu_MemRange(&ch, 0, p, &base, &size), 1);
    assert_int_equal(f->stats.mem_used, 0);
}

static void test_copies(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t d = device_base(f);
    uint8_t got[480];
    uint32_t n = 0;

    for (int i = 0; i < 4096; i++)
        f->pool[i] = (uint8_t)(i * 7);
    assert_int_equal(vgpu_CopyToDevice(&ch, 0, 0, d, 0, 0, 4096), 0);
    assert_int_equal(vgpu_CopyDevice(&ch, 0, 1, d + 8192, d, 4096), 0);
    assert_int_equal(vgpu_CopyFromDevice(&ch, 0, 2, d + 8192, 0, 8192, 4096), 0);
    assert_memory_equal(f->pool, f->pool + 8192, 4096);
    assert_int_equal(vgpu_CopyFetch(&ch, 0, 0, d + 8192, 480, got, sizeof(got), &n), 0);
    assert_int_equal(n, 480);
    assert_memory_equal(got, f->pool, 480);
    assert_int_equal(vgpu_CopyInline(&ch, 0, 0, d, "inline", 6), 0);
    assert_int_equal(vgpu_CopyInline(&ch, 0, 0, d, "", 0), 0);
    assert_int_equal(vgpu_CopyFetch(&ch, 0, 0, d, 6, got, sizeof(got), &n), 0);
    assert_memory_equal(got, "inline", 6);
    assert_int_equal(lane_err(f, 0), 0);
    assert_int_equal(f->stats.bytes_in, 4096 + 6);
    assert_int_equal(f->stats.bytes_out, 4096 + 480 + 6);
    /* Stream 2 is a stream of the lane's own, made at its first use and once. */
    assert_int_equal(mock_count("stream_create"), 1);
    assert_int_equal(vgpu_CopyFromDevice(&ch, 0, 2, d, 0, 0, 16), 0);
    assert_int_equal(mock_count("stream_create"), 1);
    ch.lane = 9;
    assert_int_equal(vgpu_CopyFromDevice(&ch, 0, 2, d, 0, 0, 16), 0);
    assert_int_equal(mock_count("stream_create"), 2);
    assert_int_equal(vgpu_LaneClose(&ch, 0), 0);
    assert_int_equal(mock_count("stream_destroy"), 1);
    ch.lane = 0;

    /* Beyond the pool, beyond the device, a chunk that is not there. */
    assert_int_equal(vgpu_CopyToDevice(&ch, 1, 0, d, 0, FIX_POOL - 15, 16), 1);
    assert_int_equal(vgpu_CopyToDevice(&ch, 1, 0, d, 0, ~0ull - 7, 16), 1);
    assert_int_equal(vgpu_CopyToDevice(&ch, 1, 0, d, 0, 16, ~0ull - 7), 1);
    assert_int_equal(vgpu_CopyToDevice(&ch, 1, 0, d, 1, 0, 16), 1);
    assert_int_equal(vgpu_CopyToDevice(&ch, 1, 0, d + MOCK_MEM_SIZE, 0, 0, 16), 1);
    assert_int_equal(vgpu_CopyToDevice(&ch, 0, 0, d, 1, 0, 16), 0); /* posted: latched */
    assert_int_equal(lane_err(f, 0), 1);
}

/* A failing device must not leak or free twice what an inline copy holds. */
static void test_inline_fails(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t d = device_base(f);

    mock_fail("stream_host", 700);
    assert_int_equal(vgpu_CopyInline(&ch, 1, 0, d, "inline", 6), 700);
    mock_fail("copy_h2d", 1);
    assert_int_equal(vgpu_CopyInline(&ch, 1, 0, d, "inline", 6), 1);
    mock_fail(NULL, 0);
    assert_int_equal(f->w.inline_bytes, 0);
}

static void test_mem_ops(void **state)
{
    static struct vgpu_mem_op op[VGPU_MEM_OPS];
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    const uint32_t all = sizeof(op);

    for (unsigned i = 0; i < VGPU_MEM_OPS; i++)
        op[i] = (struct vgpu_mem_op){VGPU_MEM_WRITE32, 0, device_base(f) + 4, 9};
    op[0] = (struct vgpu_mem_op){VGPU_MEM_WAIT64, VGPU_WAIT_NOR, device_base(f) + 8, 5};
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 0);
    assert_string_equal(mock_notes(), "mem 256 first 4/3 5 last 2;");
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, 0), 1);
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, 23), 1);
    op[0].flags = VGPU_WAIT_NOR + 1;
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 1);
    op[0].flags = 0;
    op[0].addr = device_base(f) + 4;
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 1);
    op[0].addr = device_base(f);
    op[255].flags = 1;
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 1);
    op[255].flags = 0;
    for (uint32_t bad = 0; bad < 10; bad++) {
        op[255].op = bad == VGPU_MEM_WAIT32                              ? 100
                     : bad == VGPU_MEM_WRITE32                           ? 0
                     : bad >= VGPU_MEM_WAIT64 && bad <= VGPU_MEM_BARRIER ? UINT32_MAX
                                                                         : bad;
        assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 1);
    }
    op[255] = (struct vgpu_mem_op){VGPU_MEM_BARRIER, 2, 0, 0};
    assert_int_equal(vgpu_StreamMemOps(&ch, 1, 0, op, all), 1);
}

/* A graph with a conditional node of two bodies, as words of 32 bits:
 * 0 empty, 1 chooses between { 2 empty, 3 after 2 } and { 4 empty }, 5 after 1. */
struct graph_image {
    struct vgpu_graph_head head;
    struct vgpu_graph_node empty;
    struct {
        struct vgpu_graph_node n;
        uint32_t dep, pad;
        struct vgpu_graph_choice choice;
        uint32_t total[2];
    } cond;
    struct vgpu_graph_node two;
    struct {
        struct vgpu_graph_node n;
        uint32_t dep, pad;
    } three;
    struct vgpu_graph_node four;
    struct {
        struct vgpu_graph_node n;
        uint32_t dep, pad;
    } five;
    struct vgpu_graph_cond value;
};

static const struct graph_image good_graph = {
    .head = {VGPU_GRAPH_MAGIC, 6, 1, 0},
    .empty = {16, VGPU_NODE_EMPTY, 0, 0, 0},
    .cond = {{48, VGPU_NODE_COND, 0, 1, 0}, 0, 0, {77, VGPU_COND_IF, 2}, {2, 1}},
    .two = {16, VGPU_NODE_EMPTY, 0, 0, 0},
    .three = {{24, VGPU_NODE_EMPTY, 0, 1, 0}, 2, 0},
    .four = {16, VGPU_NODE_EMPTY, 0, 0, 0},
    .five = {{24, VGPU_NODE_EMPTY, 0, 1, 0}, 1, 0},
    .value = {77, 1000, 1, 1, 1},
};

static int instantiate(struct fix *f, const struct graph_image *g, uint32_t len)
{
    struct gvm_chan ch = {.f = f};
    uint32_t bad = 0;
    int rc;

    memcpy(f->pool, g, sizeof(*g));
    rc = vgpu_GraphInstantiate(&ch, 0, 40, 0, 0, len, &bad);
    if (rc == 0)
        assert_int_equal(vgpu_GraphExecDestroy(&ch, 1, 40), 0);
    return rc;
}

static void test_graph_bodies(void **state)
{
    const uint32_t len = sizeof(good_graph);
    struct graph_image g = good_graph;
    struct fix *f = *state;

    assert_int_equal(instantiate(f, &g, len), 0);
    assert_string_equal(mock_notes(), "exec 6/1 sum 1006;exec_destroy;");
    for (uint32_t n = 0; n < len; n += 8)
        assert_int_equal(instantiate(f, &g, n), 1);
#define WRONG(member, value)                                                                       \
    do {                                                                                           \
        g = good_graph;                                                                            \
        g.member = value;                                                                          \
        assert_int_equal(instantiate(f, &g, len), 1);                                              \
    } while (0)
    WRONG(head.nnode, UINT32_MAX);
    WRONG(head.ncond, 2);
    WRONG(head.ncond, UINT32_MAX);
    WRONG(cond.choice.type, 3);
    WRONG(cond.choice.nbody, 0);
    WRONG(cond.choice.nbody, 3);
    WRONG(cond.total[0], 5);
    WRONG(cond.total[1], UINT32_MAX);
    WRONG(three.dep, 0); /* outside of its body */
    WRONG(five.dep, 3);  /* inside of one */
    WRONG(five.dep, 4);
    WRONG(four.type, VGPU_NODE_CALL);
    WRONG(four.type, VGPU_NODE_MEM);
    WRONG(value.owner, 0);
    WRONG(value.owner, 6);
    WRONG(value.body, 2);
#undef WRONG
}

static void test_fill(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    assert_int_equal(vgpu_Fill(&ch, 1, 0, device_base(f), 512, 7, 2, 100, 3), 0);
    assert_string_equal(mock_notes(), "fill 7 x2 100x3;");
    assert_int_equal(vgpu_Fill(&ch, 1, 0, device_base(f), 512, 7, 3, 100, 3), 1);
}

static void test_modules(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint32_t nfunc = 0, nglobal = 0, log_len = 0;
    uint64_t dptr = 0, size = 0;
    uint8_t hash[32];
    char log[400] = "";

    blake2b(hash, "MOCK image", NULL, 32, 10, 0);
    assert_int_equal(vgpu_ModuleFind(&ch, 0, 16, hash, 0, 4096, TABLE, &nfunc, &nglobal, &size),
                     500);
    load(&ch, 16);
    assert_int_equal(vgpu_ModuleFind(&ch, 0, 17, hash, 0, 4096, TABLE, &nfunc, &nglobal, &size), 0);
    assert_int_equal(nfunc, 2);
    assert_int_equal(mock_count("module_load 10"), 2);
    hash[0] ^= 1;
    assert_int_equal(vgpu_ModuleFind(&ch, 0, 18, hash, 0, 4096, TABLE, &nfunc, &nglobal, &size),
                     500);

    memcpy(f->pool, "JUNK", 4);
    assert_int_equal(vgpu_ModuleLoad(&ch, 0, 18, 0, 0, 0, 4, 0, 4096, TABLE, &nfunc, &nglobal,
                                     &size, log, sizeof(log), &log_len),
                     200);
    blake2b(hash, "JUNK", NULL, 32, 4, 0);
    assert_int_equal(vgpu_ModuleFind(&ch, 0, 18, hash, 0, 4096, TABLE, &nfunc, &nglobal, &size),
                     500); /* not kept */
    assert_int_equal(vgpu_ModuleLoad(&ch, 0, 18, 0, 0, 0, 0, 0, 4096, TABLE, &nfunc, &nglobal,
                                     &size, log, sizeof(log), &log_len),
                     1);

    assert_int_equal(vgpu_ModuleGlobal(&ch, 0, 16, "coef", &dptr, &size), 0);
    assert_int_equal(size, 64);
    assert_int_equal(vgpu_ModuleGlobal(&ch, 0, 16, "none", &dptr, &size), 500);
    assert_int_equal(vgpu_ModuleGlobal(&ch, 0, 99, "coef", &dptr, &size), 400);

    assert_int_equal(vgpu_ModuleUnload(&ch, 0, 16), 0);
    assert_int_equal(vgpu_ModuleUnload(&ch, 0, 16), 400);
    assert_int_equal(mock_count("module_unload"), 1);
    assert_int_equal(f->w.images.loaded, 10 + WK_MODULE_OWN);
}

/* Small images cost more than their octets: room for one more of them, and no other after it. */
static void test_modules_limit(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    const uint64_t others = WK_IMAGES_MAX - 10 - WK_MODULE_OWN;
    uint32_t nfunc, nglobal, log_len;
    uint64_t size;
    char log[400];

    assert_int_equal(wk_image_charge(&f->w.images, others), 0);
    load(&ch, 16);
    assert_int_equal(vgpu_ModuleLoad(&ch, 0, 17, 0, 0, 64, 10, 0, 4096, TABLE, &nfunc, &nglobal,
                                     &size, log, sizeof(log), &log_len),
                     2);
    assert_int_equal(mock_count("module_load 10"), 1);
    assert_int_equal(vgpu_ModuleUnload(&ch, 0, 16), 0);
    load(&ch, 17);
    wk_image_uncharge(&f->w.images, others);
}

/* With the answer to a load; what is loaded ahead must need no compiler, and the mock says nothing. */
static void test_load_table(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint32_t nfunc, nglobal, log_len;
    struct vgpu_table_head head;
    uint64_t size = 0, again = 0;
    char log[400];
    uint8_t hash[32];

    load(&ch, 16);
    memcpy(&head, f->pool + 4096, sizeof(head));
    assert_int_equal(head.nfunc, 2);
    assert_non_null(memmem(f->pool + 4096, TABLE, "vecAdd", 7));
    assert_int_equal(vgpu_ModuleTable(&ch, 0, 16, 0, 0, 0, &size), 0);
    assert_int_equal(head.bytes, size);
    memset(f->pool + 4096, 0, TABLE);
    blake2b(hash, "MOCK image", NULL, 32, 10, 0);
    assert_int_equal(vgpu_ModuleFind(&ch, 0, 17, hash, 0, 4096, size - 1, &nfunc, &nglobal, &again),
                     0);
    assert_true(again == size && f->pool[4096] == 0); /* too small: nothing is written */
    assert_int_equal(vgpu_ModuleLoad(&ch, 0, 18, 1, 0, 64, 10, 0, 4096, TABLE, &nfunc, &nglobal,
                                     &size, log, sizeof(log), &log_len),
                     801);
    assert_int_equal(mock_count("module_load 10"), 2);
    assert_int_equal(vgpu_ModuleTable(&ch, 0, 18, 0, 0, 0, &size), 400);
}

static void test_first_launch(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    const uint32_t one[3] = {1, 1, 1}, none[3] = {0, 0, 0};
    uint8_t params[64] = {0};
    int32_t attr[16] = {0}, same[16];
    uint32_t known = 0;

    load(&ch, 16);
    assert_int_equal(vgpu_LaunchFirst(&ch, 0, 16, 0, 0, 0, one, one, none, 0, params,
                                      sizeof(params), &known, attr),
                     0);
    assert_int_equal(known, 1);
    assert_int_equal(vgpu_FuncInfo(&ch, 0, 16, 0, same), 0);
    assert_memory_equal(attr, same, sizeof(attr));
    assert_int_equal(
        vgpu_LaunchFirst(&ch, 0, 16, 0, 0, 0, one, one, none, 0, params, 1, &known, attr), 1);
    assert_int_equal(vgpu_LaunchFirst(&ch, 0, 16, 0, 99, 0, one, one, none, 0, params,
                                      sizeof(params), &known, attr),
                     400);
}

static void test_table(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    struct vgpu_table_head head;
    uint64_t size = 0, again = 0;

    load(&ch, 16);
    assert_int_equal(vgpu_ModuleTable(&ch, 0, 16, 0, 0, 0, &size), 0); /* how much is it? */
    assert_true(size > sizeof(head) && size < 4096);
    memset(f->pool, 0, 4096);
    assert_int_equal(vgpu_ModuleTable(&ch, 0, 16, 0, 0, size - 1, &again), 0);
    assert_true(again == size && f->pool[0] == 0); /* too small: nothing is written */
    assert_int_equal(vgpu_ModuleTable(&ch, 0, 16, 0, 0, size, &again), 0);
    memcpy(&head, f->pool, sizeof(head));
    assert_int_equal(head.nfunc, 2);
    assert_int_equal(head.nglobal, 1);
    assert_non_null(memmem(f->pool, size, "vecAdd", 7));
    assert_non_null(memmem(f->pool, size, "coef", 5));
}

static void test_functions(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    int32_t attr[16], blocks = 0;

    load(&ch, 16);
    assert_int_equal(vgpu_FuncInfo(&ch, 0, 16, 1, attr), 0);
    assert_int_equal(attr[0], 1024);
    assert_int_equal(vgpu_FuncInfo(&ch, 0, 16, 2, attr), 400);
    assert_int_equal(vgpu_FuncSetAttr(&ch, 0, 16, 0, 8, 65536), 0);
    assert_int_equal(mock_count("func_set_attr 8 65536"), 1);
    assert_int_equal(vgpu_Occupancy(&ch, 0, 16, 0, 256, 0, 0, &blocks), 0);
    assert_int_equal(blocks, 8);
    assert_int_equal(vgpu_Occupancy(&ch, 0, 16, 0, 0, 0, 0, &blocks), 1);
}

static void test_launch(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    const uint32_t grid[3] = {5, 1, 1}, block[3] = {32, 1, 1}, none[3] = {0, 0, 0};
    uint8_t params[16] = {0};

    load(&ch, 16);
    mock_clear();
    assert_int_equal(vgpu_Launch(&ch, 0, 16, 0, 0, 0, grid, block, none, 0, params, 12), 0);
    assert_int_equal(lane_err(f, 0), 0);
    assert_string_equal(mock_notes(), "launch vecAdd 5 s0;");
    assert_int_equal(f->stats.launches, 1);
    /* Parameters that are not all there, a kernel, a module, a stream that do not exist. */
    assert_int_equal(vgpu_Launch(&ch, 1, 16, 0, 0, 0, grid, block, none, 0, params, 11), 1);
    assert_int_equal(vgpu_Launch(&ch, 1, 16, 0, 0, 0, grid, block, none, 0, params, 0), 1);
    assert_int_equal(vgpu_Launch(&ch, 1, 16, 0, 1, 0, grid, block, none, 0, params, 0), 0);
    assert_int_equal(vgpu_Launch(&ch, 1, 16, 0, 2, 0, grid, block, none, 0, params, 12), 400);
    assert_int_equal(vgpu_Launch(&ch, 1, 17, 0, 0, 0, grid, block, none, 0, params, 12), 400);
    assert_int_equal(vgpu_Launch(&ch, 1, 16, 20, 0, 0, grid, block, none, 0, params, 12), 400);
    assert_int_equal(f->stats.launches, 2);
}

static void test_streams(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    assert_int_equal(vgpu_StreamCreate(&ch, 1, 16, 1, 0), 0);
    assert_int_equal(vgpu_StreamCreate(&ch, 1, 65535, 0, -1), 0);
    assert_int_not_equal(vgpu_StreamCreate(&ch, 1, 16, 1, 0), 0); /* taken */
    assert_int_equal(vgpu_StreamQuery(&ch, 0, 16), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 16), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 0), 0);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 17), 400);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 65536), 400);
    assert_int_equal(vgpu_StreamSync(&ch, 0, 0xffffffffu), 400);
    assert_int_equal(vgpu_StreamDestroy(&ch, 1, 0), 400);
    assert_int_equal(vgpu_StreamDestroy(&ch, 1, 16), 0);
    assert_int_equal(vgpu_StreamDestroy(&ch, 1, 16), 400);
    assert_int_equal(mock_count("stream_destroy"), 1);
    assert_int_equal(vgpu_CtxSync(&ch, 0), 0);
}

/* A copy to the lane's reply slot, and its counter; the reply only says that it has been issued. */
static void test_land(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f, .lane = 3};
    uint64_t d, size;

    mock_ops.window(f->w.dev, &d, &size);
    memcpy((void *)(uintptr_t)d, "\5\6\7\10", 4);
    assert_int_equal(vgpu_CopyLand(&ch, VGPU_REC_REPLY, 0, d, 4, 9, 1), 801);
    assert_int_equal(f->guest.counters[9], 0);
    f->w.direct = true;
    f->guest.front->waiting[3] = 1;
    f->rings = 0;
    assert_int_equal(vgpu_CopyLand(&ch, 0, 0, d, 4, 9, 1), 0);
    assert_memory_equal(f->guest.replies[3].payload, "\5\6\7\10", 4);
    assert_int_equal(f->guest.counters[9], 1);
    assert_int_equal(f->rings, 1);
    f->guest.front->waiting[3] = 0;
    assert_int_equal(vgpu_CopyLand(&ch, VGPU_REC_REPLY, 0, d - 1, 4, 9, 2), 1);
    assert_int_equal(f->guest.counters[9], 1);
    mock_fail("write32", 999);
    assert_int_equal(vgpu_CopyLand(&ch, VGPU_REC_REPLY, 0, d, 4, 9, 3), 999);
    mock_fail(NULL, 0);
}

static int late; /* questions after which a stream is idle */

static int late_query(struct dev *d, struct dev_stream *s)
{
    return late-- > 0 ? 600 : 0;
}

/* Who has seen the counter behind a stream's work is not told that there is work left. */
static void test_mark_and_query(void **state)
{
    static struct dev_ops ops;
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    ops = mock_ops;
    ops.stream_query = late_query;
    f->w.ops = &ops;
    assert_int_equal(vgpu_StreamCreate(&ch, 0, 16, 0, 0), 0);
    assert_int_equal(vgpu_StreamMark(&ch, VGPU_REC_REPLY, 16, 9, 1, 0), 0);
    assert_int_equal(f->guest.counters[9], 1);
    late = 3;
    assert_int_equal(vgpu_StreamQuery(&ch, 0, 16), 0);
    assert_int_equal(late, -1);
    assert_int_equal(vgpu_EventCreate(&ch, 0, 16, 0, 1), 0);
    assert_int_equal(vgpu_EventMark(&ch, 0, 16, 16), 0); /* more work */
    late = 3;
    assert_int_equal(vgpu_StreamQuery(&ch, 0, 16), 600);
    assert_int_equal(late, 2);
}

static void test_events(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    float ms = 0;

    assert_int_equal(vgpu_EventCreate(&ch, 0, 16, 0, 4095), 0);
    assert_int_equal(vgpu_EventCreate(&ch, 0, 17, 2, 0), 0);
    assert_int_equal(vgpu_EventRecord(&ch, 0, 16, 0, 41), 0);
    assert_int_equal(f->guest.counters[4095], 41);
    assert_int_equal(f->rings, 0);
    f->guest.front->waiting[100] = 1; /* any lane: who waits for the counter is not known */
    assert_int_equal(vgpu_EventRecord(&ch, 0, 16, 0, 42), 0);
    assert_int_equal(f->guest.counters[4095], 42);
    assert_int_equal(f->rings, 1);
    f->guest.front->waiting[100] = 0;
    assert_int_equal(vgpu_StreamWaitEvent(&ch, 0, 1, 16), 0);
    assert_int_equal(vgpu_EventSync(&ch, 0, 16), 0);
    assert_int_equal(vgpu_EventElapsed(&ch, 0, 16, 17, &ms), 0);
    assert_true(ms == 1.5f);
    assert_int_equal(lane_err(f, 0), 0);
    mock_fail("event_record", 400);
    assert_int_equal(vgpu_EventRecord(&ch, 0, 16, 0, 43), 0);
    assert_int_equal(f->guest.counters[4095], 42); /* not recorded, so not reached */
    assert_int_equal(lane_err(f, 0), 400);
    mock_fail(NULL, 0);
    assert_int_equal(vgpu_EventDestroy(&ch, 1, 16), 0);
    assert_int_equal(vgpu_EventSync(&ch, 0, 16), 400);
}

/* A point of a stream without an event: only the counter. */
static void test_marks(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};

    assert_int_equal(vgpu_StreamMark(&ch, 0, 1, 4095, 7, 0), 0);
    assert_int_equal(f->guest.counters[4095], 7);
    assert_int_equal(f->rings, 0);
    f->guest.front->waiting[3] = 1;
    assert_int_equal(vgpu_StreamMark(&ch, 0, 2, 0, 8, 1000000), 0);
    assert_int_equal(f->guest.counters[0], 8);
    assert_int_equal(f->rings, 1);
    f->guest.front->waiting[3] = 0;
    assert_int_equal(vgpu_StreamMark(&ch, 0, 99, 5, 1, 0), 0); /* no such stream */
    assert_int_equal(f->guest.counters[5], 0);
    assert_int_equal(lane_err(f, 0), 400);
}

static void test_limits(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t v = 0;

    assert_int_equal(vgpu_SetLimit(&ch, 0, 0, 4096), 0);
    assert_int_equal(vgpu_GetLimit(&ch, 0, 0, &v), 0);
    assert_int_equal(v, 4096);
    assert_int_equal(vgpu_GetLimit(&ch, 0, 77, &v), 215);
}

static void test_output(void **state)
{
    struct fix *f = *state;
    struct gvm_chan ch = {.f = f};
    uint64_t size = 0;
    uint16_t len;

    assert_int_equal(vgpu_OutputFetch(&ch, 0, 0, 0, 4096, &size), 0);
    assert_int_equal(size, 0);
    mock_print(1, "hello\n");
    mock_print(2, "error");
    assert_int_equal(f->guest.back->output, 1);
    assert_int_equal(vgpu_OutputFetch(&ch, 0, 0, 0, 12, &size), 0); /* the first piece only */
    assert_int_equal(size, 10);
    memcpy(&len, f->pool + 2, 2);
    assert_int_equal(f->pool[0], 1);
    assert_int_equal(len, 6);
    assert_memory_equal(f->pool + 4, "hello\n", 6);
    assert_int_equal(f->guest.back->output, 1);
    assert_int_equal(vgpu_OutputFetch(&ch, 0, 0, 0, 12, &size), 0);
    assert_int_equal(size, 9);
    assert_int_equal(f->pool[0], 2);
    assert_memory_equal(f->pool + 4, "error", 5);
    assert_int_equal(f->guest.back->output, 0);

    /* Bounded, whatever a kernel prints. */
    for (int i = 0; i < 100000; i++)
        mock_print(1, "0123456789012345678901234567890123456789");
    assert_true(f->w.out_len <= WK_OUTPUT_MAX && f->w.out_lost > 0);
    do {
        assert_int_equal(vgpu_OutputFetch(&ch, 0, 0, 0, FIX_POOL, &size), 0);
    } while (size);
    assert_int_equal(f->guest.back->output, 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_info),         TEST(test_memory),     TEST(test_copies),
        TEST(test_inline_fails), TEST(test_fill),       TEST(test_mem_ops),
        TEST(test_graph_bodies), TEST(test_modules),    TEST(test_modules_limit),
        TEST(test_table),        TEST(test_functions),  TEST(test_launch),
        TEST(test_streams),      TEST(test_events),     TEST(test_marks),
        TEST(test_limits),       TEST(test_load_table), TEST(test_first_launch),
        TEST(test_output),       TEST(test_land),       TEST(test_mark_and_query),
    };

    log_init("test", LOG_ERR_);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
