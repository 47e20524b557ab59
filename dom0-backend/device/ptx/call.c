/* SPDX-License-Identifier: MIT */
/* Functions of the guest in a stream: the runner waits at a gate until somebody opens it. */
#include <stdlib.h>
#include <time.h>

#include "dom0-backend/device/ptx/device_int.h"

#define LOOK_NS 100000000 /* how often a waiting runner looks whether the context has faulted */

struct dev_gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    unsigned refs; /* the runner's and the function's */
    bool open;
};

static void gate_put(struct dev_gate *g, bool open)
{
    bool last;

    pthread_mutex_lock(&g->lock);
    if (open) {
        g->open = true;
        pthread_cond_signal(&g->opened);
    }
    last = --g->refs == 0;
    pthread_mutex_unlock(&g->lock);
    if (last) {
        pthread_mutex_destroy(&g->lock);
        pthread_cond_destroy(&g->opened);
        free(g);
    }
}

void call_run(struct dev *d, dev_call_fn *fn, void *arg)
{
    struct dev_gate *g = calloc(1, sizeof(*g));
    struct timespec ts;

    if (!g) {
        dev_fail(d, CUDA_ERROR_OUT_OF_MEMORY, "no memory to call a function of the guest");
        return;
    }
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->opened, NULL);
    g->refs = 2;
    fn(arg, g);
    pthread_mutex_lock(&g->lock);
    while (!g->open && !dev_stopped(d)) {
        clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_nsec += LOOK_NS;
        if (ts.tv_nsec >= 1000000000) {
            ts.tv_sec++;
            ts.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&g->opened, &g->lock, &ts);
    }
    pthread_mutex_unlock(&g->lock);
    gate_put(g, false);
}

void swdev_call_done(struct dev *d, struct dev_gate *g)
{
    gate_put(g, true);
}

int swdev_stream_call(struct dev *d, struct dev_stream *s, dev_call_fn *fn, void *arg)
{
    struct op *op;
    int err = dev_sticky(d);

    if (err)
        return err;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_CALL;
    op->call.fn = fn;
    op->call.arg = arg;
    return stream_push(stream_of(d, s), op);
}
