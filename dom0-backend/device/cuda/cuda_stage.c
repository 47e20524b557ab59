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
#include "cuda_stage.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/log.h"

#define PIECE_MAX (2u << 20)
#define PIECE_MIN (64u << 10)
#define HANDS_MAX 6u
#define SLOTS     2u
#define WORDS     4096u /* so many copies under way at a time, nearly times three */
#define HOLD_NS   1000000000ull
#define IDLE_NS   200000u
#define LOOK_US   20

/* Written by the GPU when the stream is there; by the GPU, and by the CPU, when the copy is done.
 * Each has one writer, so that values only ever grow. */
enum { REACHED, DONE_GPU, DONE_CPU, JOB_WORDS };

struct job {
    bool in; /* to the device */
    uint64_t dev;
    uint8_t *host;
    uint64_t n, piece;
    uint64_t next, done; /* octets handed out, octets finished */
    uint32_t *word;
    uint32_t value;
    struct job *link;
};

struct slot {
    uint8_t *mem;
    uint32_t *word; /* written by the GPU behind the slot's transfer */
    uint32_t value;
    struct job *job; /* whose piece is on its way from the device */
    uint64_t at, n;
};

struct hand {
    struct cudev_stage *st;
    struct slot slot[SLOTS];
    unsigned turn;
};

struct cudev_stage {
    struct dev *d;
    pthread_mutex_t lock;
    pthread_cond_t come, gone;
    struct job *waiting, **waiting_end; /* not reached yet, as issued */
    struct job *ready, **ready_end;     /* with pieces left */
    struct job *busy;                   /* all pieces handed out */
    struct job *free;
    _Atomic unsigned open; /* jobs waiting or ready: looked at without the lock */
    bool looking;          /* somebody looks at the words of waiting ones now and then */
    unsigned held;
    uint32_t *words;
    unsigned words_used;
    CUstream to, from;
    unsigned nhand;
    struct hand hand[HANDS_MAX];
    bool may_spin;
};

static bool come_to(const uint32_t *word, uint32_t value)
{
    return (int32_t)(__atomic_load_n(word, __ATOMIC_ACQUIRE) - value) >= 0;
}

static void tell(const char *what, int err)
{
    static _Atomic bool said;

    if (err && !atomic_exchange(&said, true))
        log_warn("a staged copy fails: %s: CUDA error %d", what, err);
}

/* ---- jobs; with the lock held -------------------------------------------------------------- */

/* All are allocated at the start: later, with copies under way, that call might wait for them. */
static uint32_t *words_get(struct cudev_stage *st, unsigned n)
{
    if (st->words_used + n > WORDS)
        return NULL;
    st->words_used += n;
    return st->words + st->words_used - n;
}

static struct job *job_get(struct cudev_stage *st)
{
    struct job **at, *j;

    for (at = &st->free; (j = *at); at = &j->link) {
        /* The GPU may not have come to write its last word yet. */
        if (!j->in || come_to(&j->word[DONE_GPU], j->value)) {
            *at = j->link;
            return j;
        }
    }
    j = calloc(1, sizeof(*j));
    if (j)
        j->word = words_get(st, JOB_WORDS);
    if (j && !j->word) {
        free(j);
        j = NULL;
    }
    return j;
}

static void wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ns)
{
    struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

    pthread_cond_timedwait(c, m, &t);
}

/* A job, as soon as there are words for it. NULL: the context has faulted, or no memory. */
static struct job *job_wait(struct cudev_stage *st)
{
    struct job *j;

    for (;;) {
        if (atomic_load(&st->d->sticky))
            return NULL;
        j = st->held ? NULL : job_get(st);
        if (j || (!st->held && st->words_used + JOB_WORDS <= WORDS))
            return j;
        /* The GPU tells nobody when it has written a word. */
        wait_until(&st->gone, &st->lock, now_ns() + 1000000);
    }
}

static void append(struct job ***end, struct job *j)
{
    j->link = NULL;
    **end = j;
    *end = &j->link;
}

static void close_one(struct cudev_stage *st)
{
    atomic_fetch_sub(&st->open, 1);
}

/* The context is gone: nothing is reached any more. Jobs are not used again, as the GPU may write
 * their words at any time, or never. */
static void drop_open(struct cudev_stage *st)
{
    struct job *j;

    while ((j = st->waiting)) {
        st->waiting = j->link;
        close_one(st);
        free(j);
    }
    st->waiting_end = &st->waiting;
    while ((j = st->ready)) {
        st->ready = j->link;
        close_one(st);
        j->n = j->next;
        if (j->done == j->n) {
            free(j);
        } else {
            j->link = st->busy;
            st->busy = j;
        }
    }
    st->ready_end = &st->ready;
    pthread_cond_broadcast(&st->gone);
}

/* Streams that have got to their copies. True if there is work. */
static bool look(struct cudev_stage *st)
{
    struct job **at = &st->waiting, *j;
    bool more = false;

    if (atomic_load_explicit(&st->d->sticky, memory_order_relaxed)) {
        drop_open(st);
        return false;
    }
    while ((j = *at)) {
        if (!come_to(&j->word[REACHED], j->value)) {
            at = &j->link;
            continue;
        }
        *at = j->link;
        append(&st->ready_end, j);
        more = true;
    }
    st->waiting_end = at;
    if (more && st->ready->n > st->ready->piece)
        pthread_cond_broadcast(&st->come);
    return st->ready != NULL;
}

/* A piece of the first job that has one, into the slot. */
static void claim(struct cudev_stage *st, struct slot *s)
{
    struct job *j = st->ready;

    s->job = j;
    s->at = j->next;
    s->n = j->n - j->next < j->piece ? j->n - j->next : j->piece;
    j->next += s->n;
    if (j->next < j->n)
        return;
    st->ready = j->link;
    if (!st->ready)
        st->ready_end = &st->ready;
    j->link = st->busy;
    st->busy = j;
    close_one(st);
}

/* A piece is finished (from the device) or on its way (to it). */
static void finish(struct cudev_stage *st, struct job *j, uint64_t n)
{
    struct job **at;

    pthread_mutex_lock(&st->lock);
    j->done += n;
    if (j->done == j->n && j->next == j->n) {
        for (at = &st->busy; *at && *at != j; at = &(*at)->link)
            ;
        if (*at)
            *at = j->link;
        if (j->in) {
            int err = cudev_rc(st->d,
                               cu.cuStreamWriteValue32_v2(
                                   st->to, (CUdeviceptr)(uintptr_t)&j->word[DONE_GPU], j->value, 0),
                               "cuStreamWriteValue32");
            tell("cuStreamWriteValue32", err);
        } else {
            __atomic_store_n(&j->word[DONE_CPU], j->value, __ATOMIC_RELEASE);
        }
        j->link = st->free;
        st->free = j;
        pthread_cond_broadcast(&st->gone);
    }
    pthread_mutex_unlock(&st->lock);
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
                cudev_rc(st->d, cu.cuStreamQuery(s->job && s->job->in ? st->to : st->from),
                         "cuStreamQuery");
        }
    }
    return true;
}

/* The word behind a transfer that was issued. */
static void slot_mark(struct cudev_stage *st, struct slot *s, CUstream stream, int err)
{
    tell("cuMemcpyAsync", err);
    s->value++;
    err = cudev_rc(st->d,
                   cu.cuStreamWriteValue32_v2(stream, (CUdeviceptr)(uintptr_t)s->word, s->value, 0),
                   "cuStreamWriteValue32");
    if (err) /* nobody else will */
        __atomic_store_n(s->word, s->value, __ATOMIC_RELEASE);
    tell("cuStreamWriteValue32", err);
}

static void piece_start(struct cudev_stage *st, struct slot *s)
{
    struct job *j = s->job;
    uint64_t dev = j->dev + s->at;
    int err = cudev_enter(st->d);

    if (!j->in) {
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
    finish(st, j, s->n);
}

static void piece_end(struct cudev_stage *st, struct slot *s)
{
    struct job *j = s->job;

    if (slot_wait(st, s))
        memcpy(j->host + s->at, s->mem, s->n);
    s->job = NULL;
    finish(st, j, s->n);
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
        if (look(st)) {
            claim(st, s);
            pthread_mutex_unlock(&st->lock);
            return;
        }
        pthread_mutex_unlock(&st->lock);
    }
    pthread_mutex_lock(&st->lock);
    while (!look(st)) {
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
    claim(st, s);
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
    if (look(st)) {
        claim(st, s);
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

static bool in_device(struct dev *d, uint64_t dev, uint64_t n)
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
    CUdeviceptr reached, done;
    struct job *j;
    int err = cudev_enter(d);

    if (err || !n)
        return err;
    if (!in_device(d, dev, n))
        return CUDA_ERROR_INVALID_VALUE;
    pthread_mutex_lock(&st->lock);
    j = job_wait(st);
    pthread_mutex_unlock(&st->lock);
    if (!j) {
        err = cudev_enter(d);
        return err ? err : CUDA_ERROR_OUT_OF_MEMORY;
    }
    j->in = in;
    j->dev = dev;
    j->host = host;
    j->n = n;
    j->next = j->done = 0;
    j->piece = (n / st->nhand + 4095) & ~4095ull;
    j->piece = j->piece < PIECE_MIN ? PIECE_MIN : j->piece > PIECE_MAX ? PIECE_MAX : j->piece;
    j->value++;
    reached = (CUdeviceptr)(uintptr_t)&j->word[REACHED];
    done = (CUdeviceptr)(uintptr_t)&j->word[in ? DONE_GPU : DONE_CPU];
    err = cudev_rc(d, cu.cuStreamWriteValue32_v2(cudev_stream(s), reached, j->value, 0),
                   "cuStreamWriteValue32");
    if (err) {
        free(j); /* its words are not used again */
        return err;
    }
    err = cudev_rc(
        d, cu.cuStreamWaitValue32_v2(cudev_stream(s), done, j->value, CU_STREAM_WAIT_VALUE_GEQ),
        "cuStreamWaitValue32");
    pthread_mutex_lock(&st->lock);
    append(&st->waiting_end, j);
    atomic_fetch_add(&st->open, 1);
    pthread_cond_signal(&st->come);
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
            drop_open(st);
        if (!overlaps(st->waiting, addr, n) && !overlaps(st->ready, addr, n) &&
            !overlaps(st->busy, addr, n))
            break;
        pthread_cond_wait(&st->gone, &st->lock);
    }
    pthread_mutex_unlock(&st->lock);
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
    while ((st->waiting || st->ready || st->busy) && now_ns() < end) {
        if (atomic_load(&d->sticky))
            drop_open(st);
        wait_until(&st->gone, &st->lock, end);
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
    const size_t size = (size_t)st->nhand * SLOTS * PIECE_MAX;
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

            s->mem = mem + (size_t)(i * SLOTS + k) * PIECE_MAX;
            s->word = words_get(st, 1);
            if (!s->word)
                err = CUDA_ERROR_OUT_OF_MEMORY;
        }
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
