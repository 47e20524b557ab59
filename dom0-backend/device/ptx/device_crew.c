/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/device_int.h"

/* Takes chunks of the job until none is left or one has failed. */
static void work_on(struct crew *c, struct crew_job *job, struct ptx_exec *x)
{
    while (!__atomic_load_n(job->launch->stop, __ATOMIC_RELAXED)) {
        uint64_t first = atomic_fetch_add_explicit(&job->next, job->chunk, memory_order_relaxed);
        struct ptx_fault fault;
        uint64_t count;
        int err;

        if (first >= job->total)
            return;
        count = job->total - first < job->chunk ? job->total - first : job->chunk;
        fault.err = 0;
        err = ptx_exec_ctas(job->kernel, job->launch, x, first, count, &fault);
        if (!err)
            continue;
        atomic_store(&job->next, job->total); /* no further chunk is started */
        pthread_mutex_lock(&c->lock);
        if (!job->err) {
            job->err = err;
            job->fault = fault;
        }
        pthread_mutex_unlock(&c->lock);
        return;
    }
}

static struct crew_job *find_job(struct crew *c)
{
    struct crew_job *best = NULL;

    for (struct crew_job *j = c->jobs; j; j = j->link)
        if (atomic_load(&j->next) < j->total && (!best || j->helpers < best->helpers))
            best = j;
    return best;
}

static void *helper(void *arg)
{
    struct crew *c = arg;
    void *stack = thread_enter();
    struct ptx_exec *x = ptx_exec_new();

    pthread_mutex_lock(&c->lock);
    while (x && !c->quit) {
        struct crew_job *job = find_job(c);

        if (!job) {
            pthread_cond_wait(&c->work, &c->lock);
            continue;
        }
        job->helpers++;
        pthread_mutex_unlock(&c->lock);
        work_on(c, job, x);
        pthread_mutex_lock(&c->lock);
        if (--job->helpers == 0)
            pthread_cond_signal(&job->done);
    }
    pthread_mutex_unlock(&c->lock);
    if (x)
        ptx_exec_free(x);
    thread_leave(stack);
    return NULL;
}

int crew_start(struct crew *c, unsigned nthread)
{
    memset(c, 0, sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->work, NULL);
    c->threads = calloc(nthread ? nthread : 1, sizeof(*c->threads));
    if (!c->threads)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < nthread; i++) {
        if (thread_start(&c->threads[i], false, helper, c))
            return CUDA_ERROR_OUT_OF_MEMORY;
        c->nthread++;
    }
    return 0;
}

void crew_stop(struct crew *c)
{
    pthread_mutex_lock(&c->lock);
    c->quit = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    for (unsigned i = 0; i < c->nthread; i++)
        pthread_join(c->threads[i], NULL);
    free(c->threads);
    pthread_mutex_destroy(&c->lock);
    pthread_cond_destroy(&c->work);
}

int crew_run(struct crew *c, struct crew_job *job, struct ptx_exec *x)
{
    bool shared = c->nthread && job->total > job->chunk;
    struct crew_job **at;

    if (shared) {
        pthread_cond_init(&job->done, NULL);
        pthread_mutex_lock(&c->lock);
        for (at = &c->jobs; *at; at = &(*at)->link)
            ;
        *at = job;
        pthread_cond_broadcast(&c->work);
        pthread_mutex_unlock(&c->lock);
    }
    work_on(c, job, x);
    if (shared) {
        pthread_mutex_lock(&c->lock);
        for (at = &c->jobs; *at != job; at = &(*at)->link)
            ;
        *at = job->link;
        while (job->helpers)
            pthread_cond_wait(&job->done, &c->lock);
        pthread_mutex_unlock(&c->lock);
        pthread_cond_destroy(&job->done);
    }
    return job->err;
}
