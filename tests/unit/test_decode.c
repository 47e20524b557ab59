/* SPDX-License-Identifier: MIT */
/*
 * Stubs and decoder: every call of calls.spec goes through both with every field checked, every
 * bound is tried from both sides, and a few records are compared with their octets as vgpuif.h and
 * calls.spec describe them, so that both ends cannot be wrong together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "decode.h"
#include "stubs.h"
#include "trace.h"

#define LANE ((struct wk_lane *)(uintptr_t)0x1a0e)
#define CHAN ((struct gvm_chan *)(uintptr_t)0xc4a0)

static char pattern[VGPU_REC_MAX]; /* no NUL inside */

static struct {
    /* of the handlers */
    unsigned handled;
    bool unchecked; /* any values will do */
    int status;
    uint32_t len, out_len;
    int resolve_status;
    /* of the channel */
    uint16_t op;
    unsigned flags;
    uint32_t payload_len;
    bool begun, posted, called;
    int begin_error;
    _Alignas(16) uint8_t rec[VGPU_REC_MAX + 16];
    struct vgpu_result res;
} fake;

static void *object(enum vgpu_handle kind, uint32_t id)
{
    return (void *)(uintptr_t)(0x100000u * (kind + 1u) + id);
}

static void *pool_address(uint32_t chunk, uint64_t off)
{
    return (void *)(uintptr_t)(0x7000000000ull + ((uint64_t)chunk << 26) + off);
}

#define assert_pattern(p, n) assert_memory_equal((p), pattern, (n))

#include "roundtrip.h"

#define NCALLS (sizeof(calls) / sizeof(calls[0]))

/* ---- what the worker provides */

int wk_resolve(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id, void **obj)
{
    assert_ptr_equal(lane, LANE);
    *obj = object(kind, id);
    return fake.resolve_status;
}

int wk_resolve_new(struct wk_lane *lane, enum vgpu_handle kind, uint32_t id)
{
    assert_ptr_equal(lane, LANE);
    assert_in_range(id, 16, 65535);
    return fake.resolve_status;
}

int wk_resolve_pool(struct wk_lane *lane, uint32_t chunk, uint64_t off, uint64_t len, void **ptr)
{
    assert_ptr_equal(lane, LANE);
    *ptr = pool_address(chunk, off);
    return fake.resolve_status;
}

/* ---- what the channel provides */

void *gvm_chan_begin(struct gvm_chan *ch, uint16_t op, uint32_t payload_len, unsigned flags,
                     int *err)
{
    assert_ptr_equal(ch, CHAN);
    assert_false(fake.begun);
    if (fake.begin_error) {
        *err = fake.begin_error;
        return NULL;
    }
    assert_int_equal(payload_len % VGPU_REC_ALIGN, 0);
    assert_true(payload_len <= VGPU_REC_MAX - sizeof(struct vgpu_rec));
    fake.begun = true;
    fake.op = op;
    fake.flags = flags;
    fake.payload_len = payload_len;
    memset(fake.rec, 0xee, sizeof(fake.rec)); /* what a stub does not write is seen */
    return fake.rec + sizeof(struct vgpu_rec);
}

static void deliver(void)
{
    struct vgpu_rec h = {.len = (uint32_t)sizeof(h) + fake.payload_len,
                         .op = fake.op,
                         .ticket = 1,
                         .flags = fake.flags};

    assert_true(fake.begun);
    fake.begun = false;
    memcpy(fake.rec, &h, sizeof(h));
    /* Padding is zeroed, so none of the stub's stack or the ring's past is left in it. */
    for (uint32_t i = 0; i < fake.payload_len; i++)
        assert_int_not_equal(fake.rec[sizeof(h) + i], 0xee);
    memset(&fake.res, 0xdd, sizeof(fake.res));
    assert_int_equal(vgpu_dispatch(LANE, fake.rec, &fake.res), 0);
    assert_null(fake.res.violation);
    assert_true(fake.res.len <= VGPU_REPLY_MAX);
}

int gvm_chan_post(struct gvm_chan *ch)
{
    assert_ptr_equal(ch, CHAN);
    fake.posted = true;
    deliver();
    return 0;
}

int gvm_chan_call(struct gvm_chan *ch, void *out, uint32_t out_max, uint32_t *got)
{
    assert_ptr_equal(ch, CHAN);
    assert_int_equal(fake.flags, VGPU_REC_REPLY);
    fake.called = true;
    deliver();
    *got = fake.res.len < out_max ? fake.res.len : out_max;
    if (*got)
        memcpy(out, fake.res.payload, *got);
    return fake.res.status;
}

static int setup(void **state)
{
    memset(&fake, 0, sizeof(fake));
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (char)('A' + i % 47);
    return 0;
}

/* ---- tests */

static const uint32_t lengths[] = {0, 1, 7, 8, 9, 15, 16, 17, 100, 0xffffffff};
#define NLENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static void test_roundtrip(void **state)
{
    for (size_t i = 0; i < NCALLS; i++) {
        for (size_t k = 0; k < NLENGTHS; k++) {
            setup(state);
            fake.out_len = lengths[k];
            assert_int_equal(calls[i].send(0, lengths[k]), 0);
            assert_int_equal(fake.handled, 1);
            assert_int_equal(fake.op, calls[i].op);
            assert_int_equal(fake.posted, calls[i].posted);
            assert_int_equal(fake.called, !calls[i].posted);
        }
    }
}

static void test_posted_with_reply(void **state)
{
    for (size_t i = 0; i < NCALLS; i++) {
        setup(state);
        fake.status = 700;
        assert_int_equal(calls[i].send(VGPU_REC_REPLY, 5), 700);
        assert_false(fake.posted);
        assert_int_equal(fake.handled, 1);
    }
}

/* An object or range that is not there: the call's error, not the channel's end. */
static void test_lookup_fails(void **state)
{
    for (size_t i = 0; i < NCALLS; i++) {
        if (!calls[i].looks)
            continue;
        setup(state);
        fake.resolve_status = 400;
        assert_int_equal(calls[i].send(VGPU_REC_REPLY, 5), 400);
        assert_int_equal(fake.handled, 0);
        assert_int_equal(fake.res.len, 0);
    }
}

static void test_dead_channel(void **state)
{
    for (size_t i = 0; i < NCALLS; i++) {
        setup(state);
        fake.begin_error = 46;
        assert_int_equal(calls[i].send(0, 5), 46);
        assert_int_equal(fake.handled, 0);
    }
}

static void test_classes(void **state)
{
    for (size_t i = 0; i < NCALLS; i++) {
        const struct vgpu_call_desc *d = vgpu_call_desc(calls[i].op);

        assert_non_null(d);
        assert_string_equal(d->name, calls[i].name);
        assert_int_equal(d->class, vgpu_class_of(calls[i].op));
        assert_int_equal(d->class == VGPU_POSTED, calls[i].posted);
        assert_true(d->in_size <= d->in_max && d->out_size <= d->out_max);
    }
    assert_int_equal(NCALLS, VGPU_NCALLS);
}

static int run(uint16_t op, uint32_t flags, const void *payload, uint32_t len)
{
    struct vgpu_rec h = {.op = op, .ticket = 1, .flags = flags};
    /* The exact size, so that a sanitizer sees an octet read beyond the record. */
    uint32_t total = ((uint32_t)sizeof(h) + len + 15u) & ~15u;
    uint8_t *rec = aligned_alloc(16, total);
    int rc;

    assert_non_null(rec);
    h.len = total;
    memset(rec, 0, total);
    memcpy(rec, &h, sizeof(h));
    if (len)
        memcpy(rec + sizeof(h), payload, len);
    memset(&fake.res, 0xdd, sizeof(fake.res));
    rc = vgpu_dispatch(LANE, rec, &fake.res);
    free(rec);
    return rc;
}

static void test_refused(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        setup(state);
        if (run(refused[i].op, VGPU_REC_REPLY, refused[i].payload, refused[i].len) != -1 ||
            !fake.res.violation)
            fail_msg("%s was accepted", refused[i].what);
        if (!strstr(fake.res.violation, refused[i].word))
            fail_msg("%s: '%s' does not name it", refused[i].what, fake.res.violation);
        assert_int_equal(fake.res.len, 0);
    }
}

static void test_accepted(void **state)
{
    for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
        setup(state);
        fake.unchecked = true;
        if (run(accepted[i].op, 0, accepted[i].payload, accepted[i].len) != 0)
            fail_msg("%s: %s", accepted[i].what, fake.res.violation);
        assert_int_equal(fake.handled, 1);
    }
}

static void test_unknown(void **state)
{
    bool known[0x10000] = {false};

    for (size_t i = 0; i < NCALLS; i++)
        known[calls[i].op] = true;
    for (uint32_t op = 0; op < 0x10000; op++) {
        if (known[op])
            continue;
        assert_int_equal(run((uint16_t)op, 0, NULL, 0), -1);
        assert_non_null(strstr(fake.res.violation, "operation"));
        assert_int_equal(vgpu_class_of((uint16_t)op), VGPU_CLASS_UNKNOWN);
        assert_null(vgpu_call_desc((uint16_t)op));
    }
    assert_int_equal(fake.handled, 0);
}

static void test_header(void **state)
{
    _Alignas(16) uint8_t rec[64] = {0};
    const uint32_t lens[] = {0, 8, 15, 17, 24, VGPU_REC_MAX + 16, 0xfffffff0u};

    for (unsigned bit = 1; bit < 32; bit++) {
        assert_int_equal(run(VGPU_OP_LaneOpen, 1u << bit, NULL, 0), -1);
        assert_non_null(strstr(fake.res.violation, "flags"));
    }
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct vgpu_rec h = {.len = lens[i], .op = VGPU_OP_LaneOpen};

        memcpy(rec, &h, sizeof(h));
        assert_int_equal(vgpu_dispatch(LANE, rec, &fake.res), -1);
        assert_non_null(strstr(fake.res.violation, "length"));
    }
}

static void test_str(void **state)
{
    struct {
        uint32_t module, len;
        char text[16];
    } q = {.module = 20, .len = 8, .text = "abc\0efgh"};

    assert_int_equal(run(VGPU_OP_ModuleGlobal, 0, &q, sizeof(q)), -1);
    assert_non_null(strstr(fake.res.violation, "NUL"));
}

static void test_too_long(void **state)
{
    static char name[VGPU_MAX_ModuleGlobal_name + 2];
    uint64_t a = 5;

    memset(name, 'x', sizeof(name) - 1);
    assert_int_equal(vgpu_ModuleGlobal(CHAN, 0, 20, name, &a, NULL), 1);
    assert_int_equal(vgpu_CopyInline(CHAN, 0, 0, 0, pattern, VGPU_MAX_CopyInline_bytes + 1), 1);
    assert_int_equal(vgpu_CopyInline(CHAN, 0, 0, 0, pattern, 0xffffffff), 1);
    assert_int_equal(fake.handled, 0);
    assert_int_equal(a, 5);
}

/* A caller's buffer that is smaller than what the worker sends. */
static void test_short_buffer(void **state)
{
    uint8_t buf[16];
    uint32_t len = 0;

    memset(buf, 0x55, sizeof(buf));
    fake.out_len = 100;
    assert_int_equal(vgpu_CopyFetch(CHAN, 0, 20, 0x1223344556677889ull, 480, buf, 8, &len), 0);
    assert_int_equal(len, 8);
    assert_pattern(buf, 8);
    assert_int_equal(buf[8], 0x55);
}

/* The octets, written down by hand from the text of calls.spec. */
static void test_octets(void **state)
{
    /* clang-format off */
    static const uint8_t launch[] = {
        20, 0, 0, 0,  21, 0, 0, 0,  0xff, 0xff, 0, 0,  4, 0, 0, 0, /* module stream func shmem */
        1, 0, 0, 0,   2, 0, 0, 0,   3, 0, 0, 0,                    /* grid */
        4, 0, 0, 0,   5, 0, 0, 0,   6, 0, 0, 0,                    /* block */
        0, 0, 0, 0,   0, 0, 0, 0,   0, 0, 0, 0,                    /* cluster */
        1, 0, 0, 0,   3, 0, 0, 0,   0, 0, 0, 0,                    /* flags, length, to 8 */
        'A', 'B', 'C', 0, 0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0,
    };
    static const uint8_t to_device[] = {
        20, 0, 0, 0,  0, 0, 0, 0,   0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,
        7, 0, 0, 0,   0, 0, 0, 0,   0, 0x10, 0, 0, 0, 0, 0, 0,  0x40, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0,   0, 0, 0, 0,
    };
    static const uint8_t global[] = {
        20, 0, 0, 0,  8, 0, 0, 0,  'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0,
    };
    /* clang-format on */
    const uint32_t grid[] = {1, 2, 3}, block[] = {4, 5, 6}, cluster[] = {0, 0, 0};

    fake.resolve_status = 400; /* the handlers expect other values */
    vgpu_Launch(CHAN, 0, 20, 21, 0xffff, 4, grid, block, cluster, 1, "ABC", 3);
    assert_int_equal(fake.payload_len, sizeof(launch));
    assert_memory_equal(fake.rec + 16, launch, sizeof(launch));
    vgpu_CopyToDevice(CHAN, 0, 20, 0x1122334455667788ull, 7, 0x1000, 0x40);
    assert_int_equal(fake.payload_len, sizeof(to_device));
    assert_memory_equal(fake.rec + 16, to_device, sizeof(to_device));
    vgpu_ModuleGlobal(CHAN, 0, 20, "ABCDEFGH", NULL, NULL);
    assert_int_equal(fake.payload_len, sizeof(global));
    assert_memory_equal(fake.rec + 16, global, sizeof(global));
    assert_int_equal(VGPU_OP_Launch, 0x38);
}

static void test_reply_octets(void **state)
{
    static const uint8_t fetch[] = {3, 0, 0, 0, 0, 0, 0, 0, 'A', 'B', 'C', 0, 0, 0, 0, 0};

    fake.out_len = 3;
    assert_int_equal(calls[0].send(0, 0), 0);
    for (size_t i = 0; i < NCALLS; i++) {
        if (calls[i].op != VGPU_OP_CopyFetch)
            continue;
        assert_int_equal(calls[i].send(0, 0), 0);
        assert_int_equal(fake.res.len, sizeof(fetch));
        assert_memory_equal(fake.res.payload, fetch, sizeof(fetch));
        return;
    }
    fail();
}

/* ---- trace */

static char *traced(const void *rec, uint32_t len)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    vgpu_trace(f, rec, len);
    fclose(f);
    return text;
}

static void test_trace(void **state)
{
    const uint32_t grid[] = {1, 2, 3}, block[] = {4, 5, 6}, cluster[] = {0, 0, 0};
    char *text;

    fake.resolve_status = 400;
    vgpu_Launch(CHAN, VGPU_REC_REPLY, 20, 0, 1, 4, grid, block, cluster, 1, "ABC", 3);
    text = traced(fake.rec, 16 + fake.payload_len);
    assert_string_equal(text,
                        "#1 lane 0 Launch (reply) module=20 stream=0 func=1 shmem=4 grid=1,2,3 "
                        "block=4,5,6 cluster=0,0,0 flags=0x1 params=[3]:41 42 43");
    free(text);
    vgpu_ModuleGlobal(CHAN, 0, 20, "na\"me\n", NULL, NULL);
    text = traced(fake.rec, 16 + fake.payload_len);
    assert_string_equal(text, "#1 lane 0 ModuleGlobal (reply) module=20 name=\"na?me?\"");
    free(text);
}

/* Whatever the lengths say, nothing beyond the given octets is read (a sanitizer watches). */
static void test_trace_cut(void **state)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        uint32_t total = (uint32_t)sizeof(struct vgpu_rec) + refused[i].len;
        struct vgpu_rec h = {.len = total, .op = refused[i].op, .ticket = 1};

        for (uint32_t cut = 0; cut <= total && cut < 120; cut += cut < 96 ? 1 : 8) {
            uint8_t *rec = malloc(cut ? cut : 1);
            uint8_t all[120];
            char *text;

            assert_non_null(rec);
            memset(all, 0, sizeof(all));
            memcpy(all, &h, sizeof(h));
            for (uint32_t k = 0; k < refused[i].len && 16 + k < sizeof(all); k++)
                all[16 + k] = refused[i].payload[k];
            memcpy(rec, all, cut);
            text = traced(rec, cut);
            assert_true(strlen(text) > 0);
            assert_null(strchr(text, '\n'));
            free(text);
            free(rec);
        }
    }
}

static void test_trace_reply(void **state)
{
    const struct vgpu_rep_MemInfo r = {.free_bytes = 10, .total_bytes = 20};
    char text[256] = "";
    FILE *f = fmemopen(text, sizeof(text), "w");

    assert_non_null(f);
    vgpu_trace_reply(f, VGPU_OP_MemInfo, 0, &r, sizeof(r));
    fclose(f);
    assert_string_equal(text, "MemInfo -> 0 free_bytes=10 total_bytes=20");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_roundtrip, setup),
        cmocka_unit_test_setup(test_posted_with_reply, setup),
        cmocka_unit_test_setup(test_lookup_fails, setup),
        cmocka_unit_test_setup(test_dead_channel, setup),
        cmocka_unit_test_setup(test_classes, setup),
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_accepted, setup),
        cmocka_unit_test_setup(test_unknown, setup),
        cmocka_unit_test_setup(test_header, setup),
        cmocka_unit_test_setup(test_str, setup),
        cmocka_unit_test_setup(test_too_long, setup),
        cmocka_unit_test_setup(test_short_buffer, setup),
        cmocka_unit_test_setup(test_octets, setup),
        cmocka_unit_test_setup(test_reply_octets, setup),
        cmocka_unit_test_setup(test_trace, setup),
        cmocka_unit_test_setup(test_trace_cut, setup),
        cmocka_unit_test_setup(test_trace_reply, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
