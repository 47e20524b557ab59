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
#define POLL_NS 50000u  /* about what it costs to sleep and to be woken */
#define NEAR_NS 400000u /* copies that follow each other within this time are likely to go on so */
#define POLLS   8
#define DESKS   8 /* jobs at a time that get help */
#define FEW     3 /* helpers with `few`: more take longer, as they wait for the owner's cache */
#define NEAR    2 /* copies near to the one before in a row from which on more are expected */

/* Helpers that are woken together. */
struct watch {
    uint32_t posted;   /* atomic; changes when pieces are opened */
    uint32_t sleeping; /* atomic; helpers that sleep on it */
};

static struct {
    pthread_mutex_t lock; /* guards what is not atomic; no piece is taken under it */
    struct gvm_crew_desk desk[DESKS];
    unsigned size, started; /* helpers wanted, there */
    bool sized;
    struct watch few, rest;
    uint64_t last; /* atomic; when the last copy with `few` began */
    uint32_t near; /* atomic; so many in a row were near to the one before, NEAR at most */
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

/* The threads stay with the parent, and so do the jobs, which other threads of it may have had. */
static void child_of_fork(void)
{
    pthread_mutex_init(&crew.lock, NULL);
    memset(crew.desk, 0, sizeof(crew.desk));
    crew.started = 0;
    crew.few.sleeping = crew.rest.sleeping = 0;
    crew.near = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_of_fork);
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* Of each group the pieces that `bits` has. */
static uint64_t of_each(uint8_t bits)
{
    _Static_assert(GVM_CREW_GROUPS == 8 && GVM_CREW_GROUP == 8, "a group is an octet of `open`");
    return 0x0101010101010101ull * bits;
}

/* One piece, of those that `mine` has if there are any. */
static bool take(struct gvm_crew_desk *d, uint64_t mine, uint32_t *piece)
{
    const unsigned first =
        __atomic_load_n(&d->first, __ATOMIC_RELAXED) % GVM_CREW_GROUPS * GVM_CREW_GROUP;
    uint64_t was = __atomic_load_n(&d->open, __ATOMIC_ACQUIRE), from;

    do {
        if (!was)
            return false;
        from = was & mine ? was & mine : was;
        from = first ? from >> first | from << (64 - first) : from;
        *piece = ((uint32_t)__builtin_ctzll(from) + first) % 64;
    } while (!__atomic_compare_exchange_n(&d->open, &was, was & ~(1ull << *piece), true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
    return true;
}

bool gvm_crew_help(struct gvm_job *j)
{
    uint32_t piece;

    /* What is copied often lies in this thread's cache: it has half, helpers share the rest. */
    if (!take(j->desk, of_each(0x0f), &piece))
        return false;
    j->mine++;
    j->piece(j->arg, piece);
    return true;
}

/* One piece, of the jobs in turn. */
static bool work(unsigned id, unsigned *turn)
{
    uint32_t piece;

    for (unsigned i = 0; i < DESKS; i++) {
        struct gvm_crew_desk *d = &crew.desk[(*turn + i) % DESKS];

        if (!take(d, of_each((uint8_t)(0x10u << id % 4)), &piece))
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

/* How many of `size` helpers stay awake for small copies. */
static unsigned few(unsigned size)
{
    return size / 2 + 1 < FEW ? size / 2 + 1 : FEW;
}

static void *helper(void *arg)
{
    const unsigned id = (unsigned)(uintptr_t)arg;
    const bool stays = id < few(crew.size);
    struct watch *w = stays ? &crew.few : &crew.rest;
    unsigned turn = 0;

    for (;;) {
        uint32_t seen = __atomic_load_n(&w->posted, __ATOMIC_SEQ_CST);
        uint64_t end;

        if (work(id, &turn))
            continue;
        end = stays && __atomic_load_n(&crew.near, __ATOMIC_RELAXED) == NEAR ? NEAR_NS : POLL_NS;
        end += gvm_clock();
        do {
            for (int i = 0; i < POLLS && __atomic_load_n(&w->posted, __ATOMIC_RELAXED) == seen; i++)
                gvm_relax();
        } while (__atomic_load_n(&w->posted, __ATOMIC_RELAXED) == seen && gvm_clock() < end);
        if (__atomic_load_n(&w->posted, __ATOMIC_RELAXED) != seen)
            continue;
        __atomic_fetch_add(&w->sleeping, 1, __ATOMIC_SEQ_CST);
        gvm_futex(&w->posted, FUTEX_WAIT, seen, NULL);
        __atomic_fetch_sub(&w->sleeping, 1, __ATOMIC_SEQ_CST);
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
    while (crew.started < crew.size &&
           pthread_create(&t, &attr, helper, (void *)(uintptr_t)crew.started) == 0)
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

bool gvm_crew_near(void)
{
    uint64_t now = gvm_clock(), was = __atomic_exchange_n(&crew.last, now, __ATOMIC_RELAXED);
    uint32_t near = __atomic_load_n(&crew.near, __ATOMIC_RELAXED);

    near = now - was >= NEAR_NS ? 0 : near < NEAR ? near + 1 : NEAR;
    __atomic_store_n(&crew.near, near, __ATOMIC_RELAXED);
    return near == NEAR;
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
    j->opened = j->mine = 0;
    j->base = gvm_crew_progress(j);
    j->desk->job = j;
    gvm_crew_first(j, 0);
}

static void call(struct watch *w, uint32_t n)
{
    __atomic_fetch_add(&w->posted, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&w->sleeping, __ATOMIC_SEQ_CST))
        gvm_futex(&w->posted, FUTEX_WAKE, n, NULL);
}

void gvm_crew_open(struct gvm_job *j, uint32_t group, uint32_t n)
{
    j->opened += n;
    __atomic_fetch_or(&j->desk->open, ((1ull << n) - 1) << group * GVM_CREW_GROUP,
                      __ATOMIC_RELEASE);
    if (j->desk == &j->own)
        return;
    call(&crew.few, n);
    if (!j->few)
        call(&crew.rest, n);
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
    uint64_t left = __atomic_exchange_n(&d->open, 0, __ATOMIC_ACQUIRE);
    uint32_t helped = j->opened - j->mine - (uint32_t)__builtin_popcountll(left), ended;

    while ((ended = gvm_crew_progress(j)) - j->base != helped)
        gvm_crew_wait(j, ended);
    if (d == &j->own)
        return;
    pthread_mutex_lock(&crew.lock);
    d->used = false;
    pthread_mutex_unlock(&crew.lock);
}
