/* SPDX-License-Identifier: MIT */
/*
 * What the gvm tool makes of gvm-backd's answers and of a worker's trace ring, which may hold anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>

#include "calls.h"
#include "tools/gvm/backd.h"
#include "tools/gvm/trace_show.h"

/* ---- answers */

static void test_sample(void **state)
{
    struct sample *s = sample_parse(
        "backd version=0.1~x mode=xen now_ns=12 pid=3 pages=4 max_pages=5 workers=6 warm=1 "
        "newer=7\n"
        "rumour domid=1\n"
        "device domid=5 devid=1 state=4 device=GPU-1 mem=4096 weight=2 calls=10 mem_used=99\n"
        "process domid=5 devid=1 channel=2 pid=77 uid=8 worker=9 calls=10 busy_ns=11 sticky=700\n");
    const struct vgpu_device *d;
    struct vgpu_process like = {.domid = 5, .devid = 1, .channel = 2, .pid = 77, .worker = 9};
    const struct vgpu_process *p;

    assert_non_null(s);
    assert_false(s->local);
    assert_string_equal(s->version, "0.1~x");
    assert_int_equal(s->now_ns, 12);
    assert_int_equal(s->warm, 1);
    assert_int_equal(s->ndevices, 1);
    d = sample_device(s, 5, 1);
    assert_non_null(d);
    assert_string_equal(d->device, "GPU-1");
    assert_int_equal(d->c.calls, 10);
    assert_int_equal(d->c.mem_used, 99);
    assert_null(sample_device(s, 5, 0));
    p = sample_process(s, &like);
    assert_non_null(p);
    assert_int_equal(p->c.busy_ns, 11);
    assert_int_equal(p->c.sticky, 700);
    like.worker++; /* the pid is another process's by now */
    assert_null(sample_process(s, &like));
    sample_free(s);
}

/* A key is not found in the value or in the line of another one. */
static void test_sample_keys(void **state)
{
    struct sample *s = sample_parse("device domid=1 devid=2 device=mem=3 \nprocess pid=4\nprocess");

    assert_non_null(s);
    assert_int_equal(s->devices[0].mem, 0);
    assert_string_equal(s->devices[0].device, "mem=3");
    assert_int_equal(s->nprocesses, 1);
    assert_int_equal(s->processes[0].domid, 0);
    sample_free(s);
    s = sample_parse("");
    assert_non_null(s);
    assert_int_equal(s->ndevices, 0);
    sample_free(s);
}

static void test_json(void **state)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    json_str(f, "a\"b\\c\n\x7f\xc3");
    fclose(f);
    assert_string_equal(text, "\"a\\\"b\\\\c\\u000a\\u007f\\u00c3\"");
    free(text);
}

static void test_human(void **state)
{
    char b[24];

    human(0, b, sizeof(b));
    assert_string_equal(b, "0B");
    human(1536, b, sizeof(b));
    assert_string_equal(b, "1.5K");
    human(UINT64_MAX, b, sizeof(b));
    assert_string_equal(b, "15E");
}

/* ---- rings */

struct ring_test {
    struct trace_ring r;
    struct tr_head *map;
};

static int ring_new(void **state)
{
    struct ring_test *t = calloc(1, sizeof(*t));

    t->map = mmap(NULL, TR_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(t->map, MAP_FAILED);
    t->r.map = t->map;
    t->r.who = (struct tr_msg){.domid = 5, .devid = 1, .pid = 77};
    *state = t;
    return 0;
}

static int ring_free(void **state)
{
    struct ring_test *t = *state;

    munmap(t->map, TR_SIZE);
    free(t);
    return 0;
}

static struct tr_slot *slot(struct ring_test *t, uint64_t n)
{
    return (struct tr_slot *)((uint8_t *)t->map + TR_HEAD) + n % TR_SLOTS;
}

/* What a worker stores for MemAlloc of `bytes`, and for its end if `end`. */
static void put_call(struct ring_test *t, uint32_t ticket, uint64_t bytes, bool end)
{
    struct vgpu_rec h = {.len = sizeof(h) + 16, .op = VGPU_OP_MemAlloc, .ticket = ticket};
    uint64_t dptr = 0xabc000, n = t->map->next++;
    struct tr_slot *s = slot(t, n);

    *s = (struct tr_slot){
        .seq = n + 1, .t_ns = 1000, .kind = TR_BEGIN, .len = h.len, .ticket = ticket, .op = h.op};
    memcpy(s->data, &h, sizeof(h));
    memcpy(s->data + sizeof(h), &bytes, sizeof(bytes));
    if (!end)
        return;
    n = t->map->next++;
    s = slot(t, n);
    *s = (struct tr_slot){
        .seq = n + 1, .t_ns = 3500, .kind = TR_END, .len = 8, .ticket = ticket, .op = h.op};
    memcpy(s->data, &dptr, sizeof(dptr));
}

static char *show(struct ring_test *t, unsigned long most, unsigned long *shown)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    unsigned long k = trace_show(f, &t->r, 0, most);

    fclose(f);
    if (shown)
        *shown = k;
    return text;
}

static void test_ring_calls(void **state)
{
    struct ring_test *t = *state;
    unsigned long shown;
    char *text;

    put_call(t, 3, 4096, true);
    put_call(t, 4, 1, false); /* began long ago, and is not over */
    text = show(t, 100, &shown);
    assert_int_equal(shown, 1);
    assert_non_null(strstr(text, ".000001 d5.1/77 #3 lane 0 MemAlloc bytes=4096 = 0 "
                                 "dptr=0xabc000 <2.5 us>\n"));
    assert_non_null(strstr(text, "#4 lane 0 MemAlloc bytes=1 (not over yet)\n"));
    free(text);
    text = show(t, 100, &shown); /* once only */
    assert_int_equal(shown, 0);
    assert_string_equal(text, "");
    free(text);
}

static void test_ring_count(void **state)
{
    struct ring_test *t = *state;
    unsigned long shown;

    for (uint32_t i = 0; i < 10; i++)
        put_call(t, i, i, true);
    free(show(t, 4, &shown));
    assert_int_equal(shown, 4);
    free(show(t, 100, &shown));
    assert_int_equal(shown, 6);
}

/* What was overwritten before it was read is counted, and the rest is shown. */
static void test_ring_lost(void **state)
{
    struct ring_test *t = *state;
    unsigned long shown;
    char *text;

    for (uint32_t i = 0; i < TR_SLOTS; i++)
        put_call(t, i, i, true);
    text = show(t, TR_SLOTS, &shown);
    assert_non_null(strstr(text, "... 24576 entries came faster"));
    assert_int_equal(shown, TR_SLOTS / 4);
    free(text);
}

/* A slot that is being written is waited for. */
static void test_ring_unfinished(void **state)
{
    struct ring_test *t = *state;
    unsigned long shown;

    put_call(t, 1, 1, true);
    put_call(t, 2, 2, true);
    slot(t, 2)->seq = 0;
    free(show(t, 100, &shown));
    assert_int_equal(shown, 1);
    slot(t, 2)->seq = 3;
    free(show(t, 100, &shown));
    assert_int_equal(shown, 1);
}

/* A worker that a guest has taken over writes what it likes. */
static void test_ring_hostile(void **state)
{
    struct ring_test *t = *state;

    srandom(1);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < TR_SLOTS; i++) {
            struct tr_slot *s = slot(t, i);
            uint8_t *p = (uint8_t *)s;

            for (size_t k = 0; k < sizeof(*s) && i < 512; k++)
                p[k] = (uint8_t)random();
            s->seq = t->r.next + (i - t->r.next) % TR_SLOTS + 1;
            if (round % 2) { /* else the kind is none that there is */
                s->kind = TR_BEGIN + i % 2;
                s->op = (uint16_t)(random() % 0x200);
                s->lane = (uint16_t)random();
                if (s->kind == TR_BEGIN)
                    memcpy(s->data + 4, &s->op, sizeof(s->op));
            }
        }
        t->map->next =
            round % 3 ? t->r.next + 512 : ((uint64_t)random() << 33) + (uint64_t)random();
        t->r.ended = round % 5 == 0;
        free(show(t, 1000, NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_sample_keys),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_human),
        cmocka_unit_test_setup_teardown(test_ring_calls, ring_new, ring_free),
        cmocka_unit_test_setup_teardown(test_ring_count, ring_new, ring_free),
        cmocka_unit_test_setup_teardown(test_ring_lost, ring_new, ring_free),
        cmocka_unit_test_setup_teardown(test_ring_unfinished, ring_new, ring_free),
        cmocka_unit_test_setup_teardown(test_ring_hostile, ring_new, ring_free),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
