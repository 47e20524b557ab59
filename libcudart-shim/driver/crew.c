/* SPDX-License-Identifier: MIT */
#include "crew.h"
#include "clock.h"
#include "lock.h"
#include "log.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define STACK   (256u << 10)
#define POLL_NS 50000u /* about what it costs to sleep and to be woken */
#define POLLS   32
#define DESKS   8 /* jobs at a time that get help */

static struct {
    pthread_mutex_t lock; /* guards what is not atomic; no piece is taken under it */
    struct gvm_crew_desk desk[DESKS];
    unsigned size, started; /* helpers wanted, there */
    bool sized;
    uint32_t posted;   /* atomic; changes when pieces are opened */
    uint32_t sleeping; /* atomic; helpers that sleep on it */
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* The threads stay with the parent, and so do the jobs, which other threads of it may have had. */
static void child_of_fork(void)
{
    pthread_mutex_init(&crew.lock, NULL);
    memset(crew.desk, 0, sizeof(crew.desk));
    crew.started = 0;
    crew.sleeping = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_of_fork);
}

/* ---- pieces ------------------------------------------------------------------------------- */

static bool take(struct gvm_crew_desk *d, uint32_t *piece)
{
    uint64_t was = __atomic_load_n(&d->pieces, __ATOMIC_ACQUIRE);

    do {
        *piece = (uint32_t)(was >> 32);
        if (*piece == (uint32_t)was)
            return false;
    } while (!__atomic_compare_exchange_n(&d->pieces, &was, was + (1ull << 32), true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return true;
}

bool gvm_crew_help(struct gvm_job *j)
{
    uint32_t piece;

    if (!take(j->desk, &piece))
        return false;
    j->mine++;
    j->piece(j->arg, piece);
    return true;
}

/* One piece, of the jobs in turn. */
static bool work(unsigned *turn)
{
    uint32_t piece;

    for (unsigned i = 0; i < DESKS; i++) {
        struct gvm_crew_desk *d = &crew.desk[(*turn + i) % DESKS];

        if (!take(d, &piece))
            continue;
        *turn += i + 1;
        d->job->piece(d->job->arg, piece);
        /* Now the owner may go, and somebody else have the desk: a wake-up too many hurts nobody. */
        __atomic_fetch_add(&d->progress, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&d->watched, __ATOMIC_SEQ_CST))
            gvm_futex(&d->progress, FUTEX_WAKE, INT_MAX, NULL);
        return true;
    }
    return false;
}

static void *helper(void *arg)
{
    unsigned turn = 0;

    for (;;) {
        uint32_t seen = __atomic_load_n(&crew.posted, __ATOMIC_SEQ_CST);
        uint64_t end;

        if (work(&turn))
            continue;
        end = gvm_clock() + POLL_NS;
        do {
            for (int i = 0; i < POLLS; i++)
                gvm_relax();
        } while (__atomic_load_n(&crew.posted, __ATOMIC_RELAXED) == seen && gvm_clock() < end);
        if (__atomic_load_n(&crew.posted, __ATOMIC_RELAXED) != seen)
            continue;
        __atomic_fetch_add(&crew.sleeping, 1, __ATOMIC_SEQ_CST);
        gvm_futex(&crew.posted, FUTEX_WAIT, seen, NULL);
        __atomic_fetch_sub(&crew.sleeping, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

/* ---- the threads -------------------------------------------------------------------------- */

static unsigned wanted(void)
{
    uint64_t n;
    cpu_set_t set;

    n = sched_getaffinity(0, sizeof(set), &set) == 0 ? ((unsigned)CPU_COUNT(&set) + 1) / 2 : 1;
    if (n > GVM_CREW_MAX + 1)
        n = GVM_CREW_MAX + 1;
    gvm_env_number("GVM_COPY_THREADS", 1, GVM_CREW_MAX + 1, &n);
    return (unsigned)n - 1;
}

/* Lock held. A thread that is not to be had is done without, until the next job. */
static void start(void)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    pthread_attr_t attr;
    sigset_t mask, old;
    pthread_t t;

    if (!crew.sized)
        crew.size = wanted();
    crew.sized = true;
    if (crew.started == crew.size)
        return;
    /* The program's signals are for its own threads, but for those that a copy itself may cause:
     * programs do catch faults of their memory. */
    sigfillset(&mask);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        sigdelset(&mask, own[i]);
    pthread_sigmask(SIG_SETMASK, &mask, &old);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    while (crew.started < crew.size && pthread_create(&t, &attr, helper, NULL) == 0)
        crew.started++;
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

unsigned gvm_crew_size(void)
{
    unsigned n;

    pthread_mutex_lock(&crew.lock);
    if (!crew.sized)
        crew.size = wanted();
    crew.sized = true;
    n = crew.size;
    pthread_mutex_unlock(&crew.lock);
    return n;
}

/* ---- jobs --------------------------------------------------------------------------------- */

void gvm_crew_join(struct gvm_job *j)
{
    pthread_once(&fork_once, watch_forks);
    j->own = (struct gvm_crew_desk){0};
    j->desk = &j->own;
    pthread_mutex_lock(&crew.lock);
    start();
    for (unsigned i = 0; i < DESKS && crew.started; i++) {
        if (crew.desk[i].used)
            continue;
        j->desk = &crew.desk[i];
        j->desk->used = true;
        break;
    }
    pthread_mutex_unlock(&crew.lock);
    j->mine = 0;
    j->base = gvm_crew_progress(j);
    j->desk->job = j;
    __atomic_store_n(&j->desk->pieces, 0, __ATOMIC_RELEASE);
}

void gvm_crew_open(struct gvm_job *j, uint32_t n)
{
    __atomic_fetch_add(&j->desk->pieces, n, __ATOMIC_RELEASE);
    if (j->desk == &j->own)
        return;
    __atomic_fetch_add(&crew.posted, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew.sleeping, __ATOMIC_SEQ_CST))
        gvm_futex(&crew.posted, FUTEX_WAKE, n, NULL);
}

void gvm_crew_wait(struct gvm_job *j, uint32_t seen)
{
    uint64_t end = gvm_clock() + POLL_NS;

    do {
        for (int i = 0; i < POLLS; i++) {
            if (gvm_crew_progress(j) != seen)
                return;
            gvm_relax();
        }
    } while (gvm_clock() < end);
    __atomic_store_n(&j->desk->watched, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&j->desk->progress, __ATOMIC_SEQ_CST) == seen)
        gvm_futex(&j->desk->progress, FUTEX_WAIT, seen, NULL);
    __atomic_store_n(&j->desk->watched, 0, __ATOMIC_RELAXED);
}

void gvm_crew_leave(struct gvm_job *j)
{
    struct gvm_crew_desk *d = j->desk;
    uint64_t was = __atomic_load_n(&d->pieces, __ATOMIC_ACQUIRE);
    uint32_t helped, ended;

    while (!__atomic_compare_exchange_n(&d->pieces, &was, was >> 32 << 32 | was >> 32, true,
                                        __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
        ;
    helped = (uint32_t)(was >> 32) - j->mine;
    while ((ended = gvm_crew_progress(j)) - j->base != helped)
        gvm_crew_wait(j, ended);
    if (d == &j->own)
        return;
    pthread_mutex_lock(&crew.lock);
    d->used = false;
    pthread_mutex_unlock(&crew.lock);
}
