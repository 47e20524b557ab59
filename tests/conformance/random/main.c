/* SPDX-License-Identifier: MIT */
/*
 * random FIRST COUNT - random call sequences with the seeds FIRST, FIRST + 1, ...; one transcript
 * each, from "seed N" to "end N". See random.h; sequences.py compares them.
 */
#include "random.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>

struct worker {
    pthread_t thread;
    sem_t go, done;
    void (*step)(struct sequence *q);
    struct sequence *q;
    int id;
};

int random_say(struct sequence *q, int rc, char how, const char *fmt, ...)
{
    va_list ap;

    printf("t%d ", q->thread);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf(" %c %d\n", how, rc);
    if (how == '~')
        cudaGetLastError(); /* not ready, or not */
    return rc;
}

unsigned random_below(struct sequence *q, unsigned n)
{
    uint64_t z = q->random += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (unsigned)((z ^ z >> 31) >> 16) % n;
}

int random_once_in(struct sequence *q, unsigned n)
{
    return random_below(q, n) == 0;
}

struct random_stream random_stream(struct sequence *q)
{
    struct random_stream r = {NULL, 1, "NULL"};
    unsigned k = random_below(q, STREAMS + 3);

    if (k < STREAMS && q->stream[k]) {
        r = (struct random_stream){q->stream[k], 10 + (int)k, ""};
        snprintf(r.name, sizeof(r.name), "s%u", k);
    } else if (k == STREAMS) {
        r = (struct random_stream){cudaStreamPerThread, 2 + q->thread, "PerThread"};
    } else if (k == STREAMS + 1) {
        r = (struct random_stream){cudaStreamLegacy, 1, "Legacy"};
    }
    return r;
}

void all_clean(struct sequence *q)
{
    for (int i = 0; i < BUFFERS; i++)
        q->device[i].dirty = 0;
    for (int i = 0; i < PINNED; i++)
        q->pinned[i].dirty = 0;
}

void touch(struct sequence *q, struct memory *m, int key)
{
    if (m->dirty && m->dirty != key) {
        R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
        all_clean(q);
    }
    m->dirty = key;
}

struct memory *some(struct sequence *q, struct memory *m, int n)
{
    int first = (int)random_below(q, (unsigned)n);

    for (int i = 0; i < n; i++)
        if (m[(first + i) % n].p)
            return &m[(first + i) % n];
    return NULL;
}

static void step_errors(struct sequence *q)
{
    if (random_below(q, 2))
        R(cudaGetLastError(), "cudaGetLastError()");
    else
        R(cudaPeekAtLastError(), "cudaPeekAtLastError()");
}

/* Every object goes, and with it every error. */
static void clean_up(struct sequence *q)
{
    R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
    for (int i = 0; i < BUFFERS; i++) {
        if (q->device[i].p) {
            static uint8_t back[MAX];
            char name[24];

            snprintf(name, sizeof(name), "d%d", i);
            R(cudaMemcpy(back, q->device[i].p, q->device[i].size, cudaMemcpyDeviceToHost),
              "cudaMemcpy(back, %s)", name);
            T_DIGEST(name, back, q->device[i].size);
            R(cudaFree(q->device[i].p), "cudaFree(%s)", name);
        }
    }
    for (int i = 0; i < PINNED; i++)
        if (q->pinned[i].p)
            R(cudaFreeHost(q->pinned[i].p), "cudaFreeHost(h%d)", i);
    for (int i = 0; i < STREAMS; i++)
        if (q->stream[i])
            R(cudaStreamDestroy(q->stream[i]), "cudaStreamDestroy(s%d)", i);
    for (int i = 0; i < EVENTS; i++)
        if (q->event[i])
            R(cudaEventDestroy(q->event[i]), "cudaEventDestroy(e%d)", i);
}

static void last_error(struct sequence *q)
{
    R(cudaGetLastError(), "cudaGetLastError()");
}

static void use_device(struct sequence *q)
{
    if (cudaSetDevice(0))
        printf("thread %d: set-up failed\n", q->thread);
}

static void *serve(void *arg)
{
    struct worker *w = arg;

    for (;;) {
        sem_wait(&w->go);
        if (!w->step)
            return NULL;
        w->q->thread = w->id;
        w->step(w->q);
        sem_post(&w->done);
    }
}

/* One thread at a time. */
static void on(struct worker *w, struct sequence *q, void (*step)(struct sequence *))
{
    w->q = q;
    w->step = step;
    sem_post(&w->go);
    if (step)
        sem_wait(&w->done);
    else
        pthread_join(w->thread, NULL);
}

static void run(struct worker *w, uint64_t seed, struct sequence *q)
{
    static void (*const steps[])(struct sequence *) = {
        step_memory, step_memory, step_host_memory, step_copy,   step_copy,    step_copy,
        step_copy,   step_box,    step_fill,        step_query,  step_launch,  step_launch,
        step_launch, step_stream, step_event,       step_errors, step_capture, step_event,
    };
    struct memory paged[PAGED];
    CUfunction add = q->add, set = q->set, indices = q->indices;
    unsigned n, at = 0;

    memcpy(paged, q->paged, sizeof(paged));
    memset(q, 0, sizeof(*q));
    memcpy(q->paged, paged, sizeof(paged));
    q->add = add;
    q->set = set;
    q->indices = indices;
    q->random = seed * 0xd1342543de82ef95ull + 1;
    for (int i = 0; i < PAGED; i++)
        t_fill(q->paged[i].p, q->paged[i].size, (uint32_t)seed + i);
    printf("seed %llu\n", (unsigned long long)seed);
    n = 30 + random_below(q, 50);
    for (unsigned i = 0; i < n; i++) {
        if (random_once_in(q, 4))
            at = random_below(q, THREADS);
        on(&w[at], q, steps[random_below(q, sizeof(steps) / sizeof(steps[0]))]);
    }
    on(&w[0], q, clean_up);
    for (int i = 0; i < THREADS; i++)
        on(&w[i], q, last_error);
    printf("end %llu\n", (unsigned long long)seed);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct sequence q;
    static struct worker w[THREADS];
    uint64_t first = argc > 2 ? strtoull(argv[1], NULL, 0) : 0;
    uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;

    if (!count) {
        fprintf(stderr, "usage: random FIRST COUNT\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOFBF, 1 << 20);
    q.add = t_kernel("add_int");
    q.set = t_kernel("set_late");
    q.indices = t_kernel("indices");
    for (int i = 0; i < PAGED; i++)
        q.paged[i] = (struct memory){malloc(MAX), MAX, 0, 0};
    for (int i = 0; i < THREADS; i++) {
        w[i].id = i;
        sem_init(&w[i].go, 0, 0);
        sem_init(&w[i].done, 0, 0);
        if (pthread_create(&w[i].thread, NULL, serve, &w[i]))
            return 3;
        on(&w[i], &q, use_device);
    }
    for (uint64_t i = 0; i < count; i++)
        run(w, first + i, &q);
    for (int i = 0; i < THREADS; i++)
        on(&w[i], &q, NULL);
    for (int i = 0; i < PAGED; i++)
        free(q.paged[i].p);
    return 0;
}
