/* SPDX-License-Identifier: MIT */
#include "crew.h"
#include "lock.h"
#include "log.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define STACK   (256u << 10)
#define POLL_NS 50000u /* about what it costs to sleep and to be woken */
#define POLLS   32

static struct {
    pthread_mutex_t lock;
    struct gvm_job *jobs;
    unsigned size, started; /* helpers wanted, there */
    bool sized;
    uint32_t posted;   /* atomic; changes when pieces are opened */
    uint32_t sleeping; /* atomic; helpers that sleep on it */
} crew = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The threads stay with the parent, and so do the jobs, which other threads of it may have had. */
static void child_of_fork(void)
{
    pthread_mutex_init(&crew.lock, NULL);
    crew.jobs = NULL;
    crew.started = 0;
    crew.sleeping = 0;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, child_of_fork);
}

/* ---- pieces ------------------------------------------------------------------------------- */

/* With the lock held. */
static bool take(struct gvm_job *j, uint32_t *piece)
{
    if (j->taken == j->open)
        return false;
    *piece = j->taken++;
    return true;
}

bool gvm_crew_help(struct gvm_job *j)
{
    uint32_t piece;
    bool any;

    pthread_mutex_lock(&crew.lock);
    any = take(j, &piece);
    pthread_mutex_unlock(&crew.lock);
    if (any)
        j->piece(j->arg, piece);
    return any;
}

/* One piece of the first job that has one; that job goes to the end, so that all get on. */
static bool work(void)
{
    struct gvm_job **at, *j;
    uint32_t piece;

    pthread_mutex_lock(&crew.lock);
    for (at = &crew.jobs; (j = *at) && !take(j, &piece); at = &j->next)
        ;
    if (!j) {
        pthread_mutex_unlock(&crew.lock);
        return false;
    }
    if (j->next) {
        *at = j->next;
        while (*at)
            at = &(*at)->next;
        *at = j;
        j->next = NULL;
    }
    j->users++;
    j->given++;
    pthread_mutex_unlock(&crew.lock);

    j->piece(j->arg, piece);

    /* The owner may not go while this looks at the job. */
    __atomic_fetch_add(&j->progress, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&j->watched, __ATOMIC_SEQ_CST))
        gvm_futex(&j->progress, FUTEX_WAKE, 1, NULL);
    pthread_mutex_lock(&crew.lock);
    j->users--;
    pthread_mutex_unlock(&crew.lock);
    return true;
}

static void *helper(void *arg)
{
    for (;;) {
        uint32_t seen = __atomic_load_n(&crew.posted, __ATOMIC_SEQ_CST);
        uint64_t end;

        if (work())
            continue;
        end = now_ns() + POLL_NS;
        do {
            for (int i = 0; i < POLLS; i++)
                gvm_relax();
        } while (__atomic_load_n(&crew.posted, __ATOMIC_RELAXED) == seen && now_ns() < end);
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
    struct gvm_job **at;

    pthread_once(&fork_once, watch_forks);
    j->next = NULL;
    j->taken = j->open = j->users = j->given = j->progress = j->watched = 0;
    pthread_mutex_lock(&crew.lock);
    start();
    for (at = &crew.jobs; *at; at = &(*at)->next)
        ;
    *at = j;
    pthread_mutex_unlock(&crew.lock);
}

void gvm_crew_open(struct gvm_job *j, uint32_t n)
{
    pthread_mutex_lock(&crew.lock);
    j->open += n;
    pthread_mutex_unlock(&crew.lock);
    __atomic_fetch_add(&crew.posted, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&crew.sleeping, __ATOMIC_SEQ_CST))
        gvm_futex(&crew.posted, FUTEX_WAKE, n, NULL);
}

void gvm_crew_wait(struct gvm_job *j, uint32_t seen)
{
    uint64_t end = now_ns() + POLL_NS;

    do {
        for (int i = 0; i < POLLS; i++) {
            if (gvm_crew_progress(j) != seen)
                return;
            gvm_relax();
        }
    } while (now_ns() < end);
    __atomic_store_n(&j->watched, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&j->progress, __ATOMIC_SEQ_CST) == seen)
        gvm_futex(&j->progress, FUTEX_WAIT, seen, NULL);
    __atomic_store_n(&j->watched, 0, __ATOMIC_RELAXED);
}

void gvm_crew_leave(struct gvm_job *j)
{
    struct gvm_job **at;

    pthread_mutex_lock(&crew.lock);
    for (at = &crew.jobs; *at && *at != j; at = &(*at)->next)
        ;
    if (*at)
        *at = j->next;
    j->taken = j->open;
    while (j->users) {
        uint32_t given = j->given, ended = gvm_crew_progress(j);

        pthread_mutex_unlock(&crew.lock);
        if (given != ended)
            gvm_crew_wait(j, ended);
        else
            sched_yield(); /* the last of them has counted its piece and only has to let go */
        pthread_mutex_lock(&crew.lock);
    }
    pthread_mutex_unlock(&crew.lock);
}
