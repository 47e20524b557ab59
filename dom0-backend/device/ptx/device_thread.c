/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "dom0-backend/device/ptx/device_int.h"

#define THREAD_STACK (1u << 20)
#define ALT_STACK    (64u << 10)

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGFPE};
#define NFAULT (sizeof(fault_signals) / sizeof(fault_signals[0]))

static struct sigaction old_action[NFAULT];
static unsigned users;
static pthread_mutex_t users_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- threads ----------------------------------------------------------------------------- */

int thread_start(pthread_t *out, bool detached, void *(*fn)(void *), void *arg)
{
    sigset_t all, before;
    pthread_attr_t attr;
    int err;

    /* Other signals belong to the worker's main thread. */
    sigfillset(&all);
    for (unsigned i = 0; i < NFAULT; i++)
        sigdelset(&all, fault_signals[i]);
    sigdelset(&all, SIGABRT);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    if (detached)
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(out, &attr, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err ? CUDA_ERROR_OUT_OF_MEMORY : 0;
}

void *thread_enter(void)
{
    stack_t st = {.ss_size = ALT_STACK};

    st.ss_sp = mmap(NULL, ALT_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (st.ss_sp == MAP_FAILED)
        return NULL; /* the handler runs on the thread's stack then, which has room */
    sigaltstack(&st, NULL);
    return st.ss_sp;
}

void thread_leave(void *stack)
{
    stack_t off = {.ss_flags = SS_DISABLE};

    if (!stack)
        return;
    sigaltstack(&off, NULL);
    munmap(stack, ALT_STACK);
}

/* ---- faults ------------------------------------------------------------------------------ */

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
    (void)ctx;
    if (ptx_exec_signal(sig, si))
        return;
    /* A crash of the worker itself: repeat it under what was set before. A signal that somebody
     * sent does not repeat by itself. */
    for (unsigned i = 0; i < NFAULT; i++)
        if (fault_signals[i] == sig)
            sigaction(sig, &old_action[i], NULL);
    if (si->si_code <= 0)
        raise(sig);
}

int signals_get(void)
{
    struct sigaction sa = {.sa_sigaction = on_signal,
                           .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK};
    int err = 0;

    sigemptyset(&sa.sa_mask);
    pthread_mutex_lock(&users_lock);
    if (users++ == 0)
        for (unsigned i = 0; i < NFAULT && !err; i++)
            err = sigaction(fault_signals[i], &sa, &old_action[i]);
    pthread_mutex_unlock(&users_lock);
    return err ? CUDA_ERROR_INVALID_VALUE : 0;
}

void signals_put(void)
{
    pthread_mutex_lock(&users_lock);
    if (--users == 0)
        for (unsigned i = 0; i < NFAULT; i++)
            sigaction(fault_signals[i], &old_action[i], NULL);
    pthread_mutex_unlock(&users_lock);
}
