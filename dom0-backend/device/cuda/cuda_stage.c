/* SPDX-License-Identifier: MIT */
/*
 * cuda_stage.c - copies between the device and pool memory that the driver must not pin: grant
 * mappings of a PV backend. The driver itself would do them on the calling thread, which issues for
 * all threads of the guest, and might pin what it is given.
 *
 * A copy is a step of its stream: the GPU writes one word when the stream gets there and waits for
 * another. A crew of threads takes the copy in pieces through pinned memory of this process, each
 * with two slots, so that the CPU copies one piece while the GPU moves another. To the device, the
 * stream that carries the pieces ends with the word that is waited for; from it, the CPU writes the
 * word after the last piece, so that whatever follows in the stream, completion included, follows
 * the CPU's copy.
 *
 * That serves memory which the program sees, and which later steps of the stream may use. Staging
 * buffers of the guest's library are used by nothing but their copy: no stream has to wait for the
 * CPU, and the GPU for no word (cudev_stage_put(), cudev_stage_get()). The octets pass through a berth,
 * pinned memory for one buffer: to the device, the caller and the crew fill it at once; from it, the
 * crew empties it when the GPU has said that it is full. With all berths taken, which may last as long
 * as what is before them in their streams, such a copy goes the other way.
 *
 * The pieces' streams have the highest priority, for a queue to the GPU of their own: in a queue
 * shared with a stream that waits for them they would wait for ever.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cuda_int.h"
#include "cuda_memory.h"
#include "cuda_stage_int.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/log.h"

#define PIECE_MIN (64u << 10)
#define HOLD_NS   1000000000ull
#define IDLE_NS   200000u
#define LOOK_US   20

void cudev_stage_tell(const char *what, int err)
{
    static _Atomic bool said;

    if (err && !atomic_exchange(&said, true))
        log_warn("a staged copy fails: %s: CUDA error %d", what, err);
}

/* ---- the crew ------------------------------------------------------------------------------ */

/* Until the slot's transfer is through. False: the context has faulted, it never may be. */
static bool slot_wait(struct cudev_stage *st, struct slot *s)
{
    for (unsigned i = 1; !come_to(s->word, s->value); i++) {
        __builtin_ia32_pause();
        if (i % 64 == 0 && atomic_load_explicit(&st->d->sticky, memory_order_relaxed))
            return false;
        if (i % 256 == 0) {
            sched_yield();
            if (i % 65536 == 0 && cudev_enter(st->d) == 0) /* a fault is told to who asks */
                cudev_rc(st->d,
                         cu.cuStreamQuery(s->job && s->job->kind == JOB_IN ? st->to : st->from),
                         "cuStreamQuery");
        }
    }
    return true;
}

/* The word behind a transfer that was issued. */
static void slot_mark(struct cudev_stage *st, struct slot *s, CUstream stream, int err)
{
    cudev_stage_tell("cuMemcpyAsync", err);
    s->value++;
    err = cudev_rc(st->d,
                   cu.cuStreamWriteValue32_v2(stream, (CUdeviceptr)(uintptr_t)s->word, s->value, 0),
                   "cuStreamWriteValue32");
    if (err) /* nobody else will */
        __atomic_store_n(s->word, s->value, __ATOMIC_RELEASE);
    cudev_stage_tell("cuStreamWriteValue32", err);
}

void cudev_piece_move(struct cudev_stage *st, struct slot *s)
{
    struct job *j = s->job;

    if (j->kind == JOB_FILL)
        memcpy(j->berth->mem + s->at, j->host + s->at, s->n);
    else
        memcpy(j->host + s->at, j->berth->mem + s->at, s->n);
    s->job = NULL;
    cudev_job_finish(st, j, s->n);
}

static void piece_start(struct cudev_stage *st, struct slot *s)
{
    struct job *j = s->job;
    uint64_t dev = j->dev + s->at;
    int err;

    if (j->kind == JOB_FILL || j->kind == JOB_LAND) {
        cudev_piece_move(st, s);
        return;
    }
    err = cudev_enter(st->d);
    if (j->kind == JOB_OUT) {
        if (!err)
            err = cudev_rc(st->d, cu.cuMemcpyDtoHAsync_v2(s->mem, dev, s->n, st->from),
                           "cuMemcpyDtoHAsync");
        slot_mark(st, s, st->from, err);
        return;
    }
    if (slot_wait(st, s))
        memcpy(s->mem, j->host + s->at, s->n);
    if (!err)
        err = cudev_rc(st->d, cu.cuMemcpyHtoDAsync_v2(dev, s->mem, s->n, st->to),
                       "cuMemcpyHtoDAsync");
    slot_mark(st, s, st->to, err);
    s->job = NULL;
    cudev_job_finish(st, j, s->n);
}

static void piece_end(struct cudev_stage *st, struct slot *s)
{
    struct job *j = s->job;

    if (slot_wait(st, s))
        memcpy(j->host + s->at, s->mem, s->n);
    s->job = NULL;
    cudev_job_finish(st, j, s->n);
}

/* Waits for a piece. Polls for a short time, as copies come in rows; then one of the crew looks at
 * the words of copies whose streams are not there yet, now and then, and the others sleep. */
static void claim_wait(struct cudev_stage *st, struct slot *s)
{
    uint64_t end = now_ns() + IDLE_NS;

    while (st->may_spin && now_ns() < end) {
        for (unsigned i = 0; i < 32 && !atomic_load_explicit(&st->open, memory_order_relaxed); i++)
            __builtin_ia32_pause();
        if (!atomic_load_explicit(&st->open, memory_order_relaxed) ||
            pthread_mutex_trylock(&st->lock))
            continue;
        if (cudev_job_look(st)) {
            cudev_job_claim(st, st->ready, s);
            pthread_mutex_unlock(&st->lock);
            return;
        }
        pthread_mutex_unlock(&st->lock);
    }
    pthread_mutex_lock(&st->lock);
    while (!cudev_job_look(st)) {
        if (!st->waiting || st->looking) {
            pthread_cond_wait(&st->come, &st->lock);
            continue;
        }
        st->looking = true;
        pthread_mutex_unlock(&st->lock);
        usleep(LOOK_US);
        pthread_mutex_lock(&st->lock);
        st->looking = false;
    }
    cudev_job_claim(st, st->ready, s);
    if (st->waiting) /* whoever sleeps goes on looking */
        pthread_cond_signal(&st->come);
    pthread_mutex_unlock(&st->lock);
}

static bool claim_now(struct cudev_stage *st, struct slot *s)
{
    bool got = false;

    if (!atomic_load_explicit(&st->open, memory_order_relaxed))
        return false;
    pthread_mutex_lock(&st->lock);
    if (cudev_job_look(st)) {
        cudev_job_claim(st, st->ready, s);
        got = true;
    }
    pthread_mutex_unlock(&st->lock);
    return got;
}

static void *crew(void *arg)
{
    struct hand *h = arg;
    struct cudev_stage *st = h->st;

    cu.cuCtxSetCurrent(st->d->ctx);
    for (;;) {
        struct slot *s = &h->slot[h->turn], *other = &h->slot[1 - h->turn];

        if (s->job)
            piece_end(st, s);
        if (other->job) {
            /* The GPU fills one slot while the other is emptied. */
            if (claim_now(st, s))
                piece_start(st, s);
        } else {
            claim_wait(st, s);
            piece_start(st, s);
        }
        h->turn = 1 - h->turn;
    }
    return NULL;
}

/* ---- called by the device ------------------------------------------------------------------ */

bool cudev_stage_owns(struct dev *d, const void *host)
{
    return d->stage && (uintptr_t)host - (uintptr_t)d->cfg.pool_base < d->cfg.pool_size;
}

bool cudev_stage_inside(struct dev *d, uint64_t dev, uint64_t n)
{
    uint64_t base, size;

    if (cudev_addr_holds(d, dev, n))
        return true;
    return cudev_mem_range(d, dev, &base, &size) == 0 && dev - base < size &&
           n <= size - (dev - base);
}

int cudev_stage_copy(struct dev *d, struct dev_stream *s, bool in, uint64_t dev, void *host,
                     size_t n)
{
    struct cudev_stage *st = d->stage;
    CUdeviceptr done;
    struct job *j;
    int err = cudev_enter(d);

    if (err || !n)
        return err;
    if (!cudev_stage_inside(d, dev, n))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&st->lock);
    j = cudev_job_await(st);
    pthread_mutex_unlock(&st->lock);
    if (!j) {
        err = cudev_enter(d);
        return err ? err : CUDA_ERROR_OUT_OF_MEMORY;
    }
    j->kind = in ? JOB_IN : JOB_OUT;
    j->dev = dev;
    j->host = host;
    j->n = n;
    j->next = j->done = 0;
    j->piece = (n / st->nhand + 4095) & ~4095ull;
    j->piece = j->piece < PIECE_MIN ? PIECE_MIN : j->piece > STEP_MAX ? STEP_MAX : j->piece;
    j->value++;
    err = cudev_rc(d,
                   cu.cuStreamWriteValue32_v2(
                       cudev_stream(s), (CUdeviceptr)(uintptr_t)&j->word[REACHED], j->value, 0),
                   "cuStreamWriteValue32");
    if (err) {
        free(j); /* its words are not used again */
        return err;
    }
    done = (CUdeviceptr)(uintptr_t)&j->word[in ? DONE_GPU : DONE_CPU];
    err = cudev_rc(
        d, cu.cuStreamWaitValue32_v2(cudev_stream(s), done, j->value, CU_STREAM_WAIT_VALUE_GEQ),
        "cuStreamWaitValue32");
    pthread_mutex_lock(&st->lock);
    cudev_job_wait_for(st, j);
    pthread_mutex_unlock(&st->lock);
    return err;
}

static bool overlaps(const struct job *j, const uint8_t *at, size_t n)
{
    for (; j; j = j->link) {
        if (j->host < at + n && at < j->host + j->n)
            return true;
    }
    return false;
}

void cudev_stage_leave(struct dev *d, const void *addr, size_t n)
{
    struct cudev_stage *st = d->stage;

    if (!st)
        return;
    pthread_mutex_lock(&st->lock);
    for (;;) {
        if (atomic_load(&d->sticky))
            cudev_job_drop_open(st);
        if (!overlaps(st->waiting, addr, n) && !overlaps(st->ready, addr, n) &&
            !overlaps(st->busy, addr, n))
            break;
        pthread_cond_wait(&st->gone, &st->lock);
    }
    pthread_mutex_unlock(&st->lock);
}

bool cudev_stage_idle(struct dev *d)
{
    struct cudev_stage *st = d->stage;
    bool idle = true;

    if (!st)
        return true;
    pthread_mutex_lock(&st->lock);
    if (atomic_load(&d->sticky))
        cudev_job_drop_open(st);
    idle = !st->waiting && !st->ready && !st->busy;
    pthread_mutex_unlock(&st->lock);
    return idle;
}

void cudev_stage_hold(struct dev *d)
{
    struct cudev_stage *st = d->stage;
    uint64_t end;

    if (!st)
        return;
    end = now_ns() + HOLD_NS;
    pthread_mutex_lock(&st->lock);
    st->held++;
    while (st->steps && now_ns() < end) {
        if (atomic_load(&d->sticky))
            cudev_job_drop_open(st);
        cudev_stage_until(&st->gone, &st->lock, end);
    }
    pthread_mutex_unlock(&st->lock);
}

void cudev_stage_release(struct dev *d)
{
    struct cudev_stage *st = d->stage;

    if (!st)
        return;
    pthread_mutex_lock(&st->lock);
    st->held--;
    pthread_cond_broadcast(&st->gone);
    pthread_mutex_unlock(&st->lock);
}

static int make_slots(struct cudev_stage *st)
{
    const size_t slots = (size_t)st->nhand * SLOTS, size = slots * STEP_MAX + BERTHS * BERTH_MAX;
    uint8_t *mem = NULL;
    int err = (int)cu.cuMemHostAlloc((void **)&mem, size, CU_MEMHOSTALLOC_PORTABLE);

    if (!err)
        err = (int)cu.cuMemHostAlloc((void **)&st->words, WORDS * sizeof(*st->words),
                                     CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE);
    if (!err)
        memset(st->words, 0, WORDS * sizeof(*st->words));
    for (unsigned i = 0; i < st->nhand && !err; i++) {
        for (unsigned k = 0; k < SLOTS && !err; k++) {
            struct slot *s = &st->hand[i].slot[k];

            s->mem = mem + (size_t)(i * SLOTS + k) * STEP_MAX;
            s->word = cudev_words_get(st, 1);
            if (!s->word)
                err = CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    for (unsigned i = 0; i < BERTHS && !err; i++) {
        st->berth[i].mem = mem + slots * STEP_MAX + i * BERTH_MAX;
        st->berth[i].word = cudev_words_get(st, 1);
        if (!st->berth[i].word)
            err = CUDA_ERROR_OUT_OF_MEMORY;
    }
    return err;
}

int cudev_stage_open(struct dev *d)
{
    struct cudev_stage *st = calloc(1, sizeof(*st));
    pthread_condattr_t clock;
    cpu_set_t set;
    unsigned cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    int err;

    if (!st)
        return CUDA_ERROR_OUT_OF_MEMORY;
    st->d = d;
    st->waiting_end = &st->waiting;
    st->ready_end = &st->ready;
    st->may_spin = cpus > 1;
    /* Half of the processors: guests have threads of their own that copy. */
    st->nhand = cpus / 2 > HANDS_MAX ? HANDS_MAX : cpus / 2 > 2 ? cpus / 2 : 2;
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->come, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&st->gone, &clock);
    pthread_condattr_destroy(&clock);
    err =
        (int)cu.cuStreamCreateWithPriority(&st->to, CU_STREAM_NON_BLOCKING, d->info.prio_greatest);
    if (!err)
        err = (int)cu.cuStreamCreateWithPriority(&st->from, CU_STREAM_NON_BLOCKING,
                                                 d->info.prio_greatest);
    if (!err)
        err = make_slots(st);
    d->stage = st;
    for (unsigned i = 0; i < st->nhand && !err; i++) {
        pthread_t t;

        st->hand[i].st = st;
        if (pthread_create(&t, NULL, crew, &st->hand[i])) {
            /* Fewer do as well, but for none. */
            err = i ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
            break;
        }
        pthread_detach(t);
    }
    if (err)
        log_error("no buffers for copies of memory that is not pinned: CUDA error %d", err);
    return err; /* what was made goes with the process */
}
