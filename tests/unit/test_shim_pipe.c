/* SPDX-License-Identifier: MIT */
/* Copies of pageable memory through staging buffers, and the threads that help with them, against a
 * device that is a thread here: what arrives, how often an octet is copied, how many buffers there
 * are, several copies at once, failures, forks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcudart-shim/driver/crew.h"
#include "libcudart-shim/driver/pipe.h"
#include "libcudart-shim/driver/settle.h"
#include "libcudart-shim/driver/stage.h"
#include "stubs.h"

#define MIB  (1u << 20)
#define POOL (64u * MIB)
#define OPS  256u
#define STAGES                                                                                     \
    (GVM_STAGE_SMALLS * GVM_STAGE_SMALL +                                                          \
     GVM_STAGE_OTHERS *                                                                            \
         (GVM_STAGE_MIDDLE + GVM_STAGE_LARGE)) /* all staging buffers there may be */
#define THREADS 4u

/* ---- what the library has elsewhere ------------------------------------------------------- */

struct gvm_state gvm;
uint32_t gvm_usable_word[] = {1};

static struct gvm_chan chan;
static uint8_t back_page[4096] __attribute__((aligned(4096)));
static uint32_t counters[VGPU_COUNTERS], values[VGPU_COUNTERS], next_slot;

static uint8_t *pool;
static size_t pool_used;

struct op {
    void *dst;
    const void *src;
    size_t n;
    uint32_t slot, value; /* stored behind the copy; value 0: none */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct op op[OPS];
    unsigned head, tail;
    bool held, fail_next; /* executes nothing; refuses the next copy */
    unsigned copies;      /* taken in */
} device = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void *run_device(void *arg)
{
    for (;;) {
        struct op o;

        pthread_mutex_lock(&device.lock);
        while (device.head == device.tail || device.held)
            pthread_cond_wait(&device.moved, &device.lock);
        o = device.op[device.head % OPS];
        pthread_mutex_unlock(&device.lock);
        if (o.n)
            memcpy(o.dst, o.src, o.n);
        if (o.value)
            __atomic_store_n(&counters[o.slot], o.value, __ATOMIC_RELEASE);
        pthread_mutex_lock(&device.lock);
        device.head++;
        pthread_cond_broadcast(&device.moved);
        pthread_mutex_unlock(&device.lock);
    }
    return NULL;
}

static int enqueue(struct op o)
{
    int rc = 0;

    pthread_mutex_lock(&device.lock);
    while (device.tail - device.head == OPS)
        pthread_cond_wait(&device.moved, &device.lock);
    if (o.n && device.fail_next) {
        device.fail_next = false;
        rc = 700;
    } else {
        device.op[device.tail++ % OPS] = o;
        device.copies += o.n != 0;
        pthread_cond_broadcast(&device.moved);
    }
    pthread_mutex_unlock(&device.lock);
    return rc;
}

int vgpu_CopyToDevice(struct gvm_chan *c, unsigned flags, uint32_t stream, uint64_t dst,
                      uint32_t chunk, uint64_t off, uint64_t len)
{
    return enqueue((struct op){.dst = (void *)(uintptr_t)dst, .src = pool + off, .n = len});
}

int vgpu_CopyFromDevice(struct gvm_chan *c, unsigned flags, uint32_t stream, uint64_t src,
                        uint32_t chunk, uint64_t off, uint64_t len)
{
    return enqueue((struct op){.dst = pool + off, .src = (void *)(uintptr_t)src, .n = len});
}

int vgpu_StagePut(struct gvm_chan *c, unsigned flags, uint32_t stream, uint64_t dst, uint32_t chunk,
                  uint64_t off, uint64_t len, uint32_t slot, uint32_t value)
{
    return enqueue((struct op){
        .dst = (void *)(uintptr_t)dst, .src = pool + off, .n = len, .slot = slot, .value = value});
}

int vgpu_StageGet(struct gvm_chan *c, unsigned flags, uint32_t stream, uint64_t src, uint32_t chunk,
                  uint64_t off, uint64_t len, uint32_t slot, uint32_t value)
{
    return enqueue((struct op){
        .dst = pool + off, .src = (void *)(uintptr_t)src, .n = len, .slot = slot, .value = value});
}

/* Rows one by one. */
int gvm_box_send(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b, bool put)
{
    int rc = 0;

    for (uint64_t z = 0; z < b->depth; z++)
        for (uint64_t y = 0; y < b->height && rc == 0; y++)
            rc = enqueue((struct op){
                .dst = (uint8_t *)(uintptr_t)b->dst.addr + (z * b->dst.height + y) * b->dst.pitch,
                .src = (uint8_t *)(uintptr_t)b->src.addr + (z * b->src.height + y) * b->src.pitch,
                .n = b->width});
    return rc;
}

int gvm_slot_take(struct gvm_chan *c)
{
    return (int)__atomic_fetch_add(&next_slot, 1, __ATOMIC_RELAXED);
}

void gvm_slot_give(uint32_t slot)
{
}

uint32_t gvm_slot_value(uint32_t slot)
{
    return __atomic_load_n(&values[slot], __ATOMIC_RELAXED);
}

uint32_t gvm_slot_next(uint32_t slot)
{
    return __atomic_add_fetch(&values[slot], 1, __ATOMIC_RELAXED);
}

int gvm_slot_mark(struct gvm_chan *c, uint32_t slot, const struct gvm_sref *s, uint32_t due,
                  uint32_t *value)
{
    *value = gvm_slot_next(slot);
    return enqueue((struct op){.slot = slot, .value = *value});
}

int gvm_counter_wait(struct gvm_chan *c, uint32_t slot, uint32_t value, bool spin)
{
    pthread_mutex_lock(&device.lock);
    while (!gvm_counter_done(c, slot, value))
        pthread_cond_wait(&device.moved, &device.lock);
    pthread_mutex_unlock(&device.lock);
    return 0;
}

int gvm_stream_wait_idle(struct gvm_chan *c, const struct gvm_sref *s)
{
    pthread_mutex_lock(&device.lock);
    while (device.head != device.tail)
        pthread_cond_wait(&device.moved, &device.lock);
    pthread_mutex_unlock(&device.lock);
    return 0;
}

bool gvm_has_printed(void)
{
    return false;
}

void gvm_shadow_push_all(void)
{
}

uint32_t gvm_shadow_live;

int gvm_chan_check(struct gvm_chan *c)
{
    return 0;
}

int gvm_chan_sticky(struct gvm_chan *c)
{
    return (int)VGPU_LOAD(&c->ch.back->sticky);
}

void *gvm_pool_alloc(size_t len)
{
    size_t at = __atomic_fetch_add(&pool_used, len, __ATOMIC_RELAXED);

    return at + len <= POOL ? pool + at : NULL;
}

void gvm_pool_free(void *p, size_t len)
{
}

bool gvm_pool_find(const void *p, size_t len, struct gvm_pool_ref *ref)
{
    *ref = (struct gvm_pool_ref){.off = (uint64_t)((const uint8_t *)p - pool), .len = len};
    return true;
}

/* ---- helpers ------------------------------------------------------------------------------ */

static const struct gvm_sref stream = {.id = 16};

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = (i + seed) * 0x9e3779b97f4a7c15u;

        memcpy(p + i, &v, n - i < 8 ? n - i : 8);
    }
}

static struct gvm_box row(void *dst, const void *src, size_t n)
{
    return (struct gvm_box){.dst = {.addr = (uintptr_t)dst, .pitch = n, .height = 1},
                            .src = {.addr = (uintptr_t)src, .pitch = n, .height = 1},
                            .width = n,
                            .height = 1,
                            .depth = 1};
}

/* There and back; not 0: something failed or is wrong. */
static size_t round_trip(size_t n, unsigned seed)
{
    uint8_t *a = malloc(n + 1), *d = malloc(n), *b = calloc(1, n + 1);
    struct gvm_box there = row(d, a + 1, n), back = row(b, d, n);
    size_t bad = 0;

    fill(a + 1, n, seed);
    bad += gvm_pipe_put(&chan, &stream, &there) != 0;
    /* The source is the caller's again. */
    memset(a + 1, 0, n);
    bad += gvm_pipe_get(&chan, &stream, &back) != 0;
    fill(a + 1, n, seed);
    bad += memcmp(b, a + 1, n) != 0;
    bad += b[n];
    free(a);
    free(b);
    free(d);
    return bad;
}

static int setup(void **state)
{
    pthread_t t;

    setenv("GVM_COPY_THREADS", "4", 1);
    pool = aligned_alloc(4096, POOL);
    chan.ch.counters = counters;
    chan.ch.back = (void *)back_page;
    chan.ch.back->alive = 1;
    chan.spin_max_ns = 1000;
    return !pool || pthread_create(&t, NULL, run_device, NULL);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void test_sizes(void **state)
{
    static const size_t n[] = {1,       4095,        65536,       65537,       MIB,
                               MIB + 1, 2 * MIB - 1, 3 * MIB + 5, 8 * MIB + 1, 18 * MIB + 4097};

    for (unsigned i = 0; i < sizeof(n) / sizeof(n[0]); i++)
        assert_int_equal(round_trip(n[i], i), 0);
}

static void test_copied_once(void **state)
{
    uint64_t before = gvm_pipe_stats.octets;

    assert_int_equal(round_trip(12 * MIB + 11, 3), 0);
    assert_int_equal(gvm_pipe_stats.octets - before, 2ull * (12 * MIB + 11));
    assert_true(gvm_pipe_stats.helped <= gvm_pipe_stats.octets);
}

static void test_boxes(void **state)
{
    enum { W = 777, H = 61, D = 50, PITCH = 1000, ROWS = 70, DROWS = 64, DPITCH = 800 };
    size_t host = (size_t)PITCH * ROWS * D, bad = 0;
    uint8_t *a = malloc(host), *b = calloc(1, host), *d = malloc((size_t)DPITCH * DROWS * D);
    struct gvm_end at_a = {.addr = (uintptr_t)a, .pitch = PITCH, .height = ROWS},
                   at_b = {.addr = (uintptr_t)b, .pitch = PITCH, .height = ROWS},
                   at_d = {.addr = (uintptr_t)d, .pitch = DPITCH, .height = DROWS};
    struct gvm_box there = {.dst = at_d, .src = at_a, .width = W, .height = H, .depth = D},
                   back = {.dst = at_b, .src = at_d, .width = W, .height = H, .depth = D};

    fill(a, host, 9);
    assert_int_equal(gvm_pipe_put(&chan, &stream, &there), 0);
    assert_int_equal(gvm_pipe_get(&chan, &stream, &back), 0);
    for (size_t z = 0; z < D; z++)
        for (size_t y = 0; y < ROWS; y++)
            for (size_t x = 0; x < PITCH; x++) {
                size_t i = (z * ROWS + y) * PITCH + x;

                bad += b[i] != (y < H && x < W ? a[i] : 0);
            }
    assert_int_equal(bad, 0);
    free(a);
    free(b);
    free(d);
}

static void *copier(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    size_t bad = 0;

    for (unsigned i = 0; i < 4; i++)
        bad += round_trip(2 * MIB + me * 70001 + i, me * 8 + i);
    return (void *)bad;
}

static void test_threads(void **state)
{
    pthread_t t[THREADS];
    void *bad;

    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, copier, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(t[i], &bad);
        assert_null(bad);
    }
}

/* Returns how many copies have been taken in so far. */
static unsigned hold(bool on)
{
    unsigned copies;

    pthread_mutex_lock(&device.lock);
    device.held = on;
    copies = device.copies;
    pthread_cond_broadcast(&device.moved);
    pthread_mutex_unlock(&device.lock);
    return copies;
}

static void *put_much(void *arg)
{
    return (void *)round_trip(32 * MIB, 77);
}

/* A device that does not move gets as much as there are buffers, and no more. */
static void test_bounded(void **state)
{
    unsigned before;
    pthread_t t;
    void *bad;

    gvm_stream_wait_idle(&chan, &stream);
    before = hold(true);
    assert_int_equal(pthread_create(&t, NULL, put_much, NULL), 0);
    pthread_mutex_lock(&device.lock);
    while (device.copies - before < 8)
        pthread_cond_wait(&device.moved, &device.lock);
    assert_int_equal(device.copies - before, 8);
    pthread_mutex_unlock(&device.lock);
    hold(false);
    pthread_join(t, &bad);
    assert_null(bad);
    assert_true(pool_used <= STAGES);
}

static void fail_next(void)
{
    pthread_mutex_lock(&device.lock);
    device.fail_next = true;
    pthread_mutex_unlock(&device.lock);
}

/* What failed leaves no buffer behind in use. */
static void test_failure(void **state)
{
    uint8_t *a = malloc(6 * MIB), *d = malloc(6 * MIB);
    struct gvm_box there = row(d, a, 6 * MIB), back = row(a, d, 6 * MIB);

    memset(a, 1, 6 * MIB);
    memset(d, 2, 6 * MIB);
    for (unsigned i = 0; i < 10; i++) {
        fail_next();
        assert_int_equal(gvm_pipe_put(&chan, &stream, &there), 700);
        fail_next();
        assert_int_equal(gvm_pipe_get(&chan, &stream, &back), 700);
    }
    gvm_stream_wait_idle(&chan, &stream);
    free(a);
    free(d);
    assert_int_equal(round_trip(10 * MIB, 5), 0);
    assert_true(pool_used <= STAGES);
}

/* Counters come although the context has faulted; what has not come is no success. */
static void test_fault(void **state)
{
    size_t n = 4 * MIB;
    uint8_t *a = malloc(n), *d = calloc(1, n);
    struct gvm_box back = row(a, d, n);

    VGPU_STORE(&chan.ch.back->sticky, 700);
    assert_int_equal(gvm_pipe_get(&chan, &stream, &back), 700);
    assert_int_equal(gvm_settle(&chan, &stream, n, true), 700);
    VGPU_STORE(&chan.ch.back->sticky, 0);
    gvm_stream_wait_idle(&chan, &stream);
    free(a);
    free(d);
    assert_int_equal(round_trip(4 * MIB, 6), 0);
}

static void test_settle(void **state)
{
    size_t n = 16 * MIB;
    uint8_t *d = malloc(n);

    fill(pool + STAGES, n, 4);
    for (unsigned i = 0; i < 12; i++) {
        memset(d, 0, n);
        assert_int_equal(vgpu_CopyToDevice(&chan, 0, 0, (uintptr_t)d, 0, STAGES, n), 0);
        assert_int_equal(gvm_settle(&chan, &stream, n, true), 0);
        assert_memory_equal(d, pool + STAGES, n);
    }
    free(d);
}

/* ---- the crew ----------------------------------------------------------------------------- */

#define ROUNDS 50u

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t met;
    unsigned inside, most, need, done;
    unsigned times[GVM_CREW_GROUPS * GVM_CREW_GROUP];
};

/* Ends only when `need` pieces are at work at the same time, once. */
static void meet(void *arg, uint32_t i)
{
    struct tally *t = arg;

    pthread_mutex_lock(&t->lock);
    t->times[i]++;
    if (++t->inside > t->most)
        t->most = t->inside;
    pthread_cond_broadcast(&t->met);
    while (t->most < t->need)
        pthread_cond_wait(&t->met, &t->lock);
    t->inside--;
    t->done++;
    pthread_cond_broadcast(&t->met);
    pthread_mutex_unlock(&t->lock);
}

/* All groups, again and again, each piece once in each round. */
static void crew_works(unsigned need, bool few)
{
    struct tally t = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .met = PTHREAD_COND_INITIALIZER, .need = need};
    struct gvm_job j = {.piece = meet, .arg = &t, .few = few};
    const unsigned n = few ? 8 : 5;

    gvm_crew_join(&j);
    for (unsigned r = 1; r <= ROUNDS; r++) {
        gvm_crew_first(&j, r % GVM_CREW_GROUPS);
        for (unsigned g = 0; g < GVM_CREW_GROUPS; g++)
            gvm_crew_open(&j, g, n);
        while (gvm_crew_help(&j))
            ;
        pthread_mutex_lock(&t.lock);
        while (t.done != r * GVM_CREW_GROUPS * n)
            pthread_cond_wait(&t.met, &t.lock);
        pthread_mutex_unlock(&t.lock);
        for (unsigned i = 0; i < GVM_CREW_GROUPS * GVM_CREW_GROUP; i++)
            assert_int_equal(t.times[i], i % GVM_CREW_GROUP < n ? r : 0);
    }
    gvm_crew_leave(&j);
    assert_int_equal(t.inside, 0);
    assert_true(t.most >= need && t.most <= 1 + gvm_crew_size());
}

static void test_crew(void **state)
{
    assert_int_equal(gvm_crew_size(), 3);
    crew_works(4, false);
}

/* Of three helpers, two are woken for a small job. */
static void test_crew_few(void **state)
{
    for (int i = 0; i < 20; i++)
        crew_works(3, true);
}

/* Copies are near to each other until there is a break between two. */
static void test_crew_near(void **state)
{
    const struct timespec pause = {.tv_nsec = 2000000};
    int i;

    for (i = 0; i < 100000 && !gvm_crew_near(); i++) /* three in a row, if nobody gets between */
        ;
    assert_true(i >= 2 && i < 100000);
    nanosleep(&pause, NULL);
    assert_false(gvm_crew_near());
    assert_false(gvm_crew_near()); /* one after the other is not yet a row */
    for (i = 0; i < 50; i++)
        assert_int_equal(round_trip(i % 2 ? MIB : MIB / 2 + 77, 5), 0);
}

/* A job that ends early leaves pieces undone, none half done. */
static void test_crew_leave(void **state)
{
    for (unsigned n = 0; n < 200; n++) {
        struct tally t = {.lock = PTHREAD_MUTEX_INITIALIZER, .met = PTHREAD_COND_INITIALIZER};
        struct gvm_job j = {.piece = meet, .arg = &t};

        gvm_crew_join(&j);
        gvm_crew_open(&j, n % GVM_CREW_GROUPS, 1 + n % GVM_CREW_GROUP);
        gvm_crew_help(&j);
        gvm_crew_leave(&j);
        assert_int_equal(t.inside, 0);
        assert_false(gvm_crew_help(&j));
    }
}

/* A child has none of the threads; it gets its own, while copies go on in the parent. */
static void test_fork(void **state)
{
    pthread_t t;
    void *bad;

#ifdef __SANITIZE_THREAD__
    skip(); /* it allows no threads in a child of a process that had some */
#endif
    assert_int_equal(pthread_create(&t, NULL, copier, (void *)1), 0);
    for (int i = 0; i < 5; i++) {
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            crew_works(4, false);
            _exit(7);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 7);
    }
    pthread_join(t, &bad);
    assert_null(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crew),      cmocka_unit_test(test_crew_few),
        cmocka_unit_test(test_crew_near), cmocka_unit_test(test_crew_leave),
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_copied_once),
        cmocka_unit_test(test_boxes),     cmocka_unit_test(test_threads),
        cmocka_unit_test(test_bounded),   cmocka_unit_test(test_failure),
        cmocka_unit_test(test_fault),     cmocka_unit_test(test_settle),
        cmocka_unit_test(test_fork),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
