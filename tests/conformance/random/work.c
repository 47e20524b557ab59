/* SPDX-License-Identifier: MIT */
/* work.c - launches, streams, events, captures. */
#include "random.h"

static int number(const struct memory *m, struct sequence *q)
{
    return (int)(m - q->device);
}

static int add(struct sequence *q, struct memory *m, cudaStream_t s, unsigned grid, unsigned block,
               unsigned shared)
{
    int n = (int)(m->size / 4), v = 3;

    return t_launch(q->add, grid, block, shared, s, ARGS(&m->p, &v, &n));
}

void step_launch(struct sequence *q)
{
    struct memory *m = some(q, q->device, BUFFERS);
    struct random_stream s = random_stream(q);
    unsigned rounds = random_below(q, 2000), block = 32u << random_below(q, 4), grid;
    int n, v = 9, attribute;

    if (!m || ((uintptr_t)m->p & 3))
        return;
    n = (int)(m->size / 4);
    grid = ((unsigned)n + block - 1) / block;
    grid = grid ? grid : 1;
    switch (random_below(q, 10)) {
    case 0:
        R(add(q, m, s.s, 0, block, 0), "launch, no grid");
        break;
    case 1:
        R(add(q, m, s.s, grid, 1025, 0), "launch, 1025 threads");
        break;
    case 2:
        R(add(q, m, s.s, grid, block, 1 << 20), "launch, 1 MiB of shared memory");
        break;
    case 3:
        attribute = (int)random_below(q, 20) - 1;
        R(cuFuncGetAttribute(&v, (CUfunction_attribute)attribute, q->add), "cuFuncGetAttribute(%d)",
          attribute);
        break;
    case 4:
        touch(q, m, s.key);
        n = n > 5000 ? 5000 : n;
        R(t_launch(q->set, ((unsigned)n + 63) / 64, 64, 0, s.s, ARGS(&m->p, &v, &n, &rounds)),
          "launch set(d%d, %d, %u, %s)", number(m, q), n, rounds, s.name);
        break;
    case 5:
        if (m->size < 4096)
            return;
        touch(q, m, s.key);
        R(cuLaunchKernel(q->indices, 2, 4, 2, 4, 4, 4, 0, (CUstream)s.s, ARGS(&m->p), NULL),
          "launch indices(d%d, %s)", number(m, q), s.name);
        break;
    default:
        touch(q, m, s.key);
        R(add(q, m, s.s, grid, block, random_below(q, 3) * 1000), "launch add(d%d, %u, %u, %s)",
          number(m, q), grid, block, s.name);
        break;
    }
}

static void create_stream(struct sequence *q, unsigned i)
{
    static const unsigned flags[] = {0, 1, 1, 0, 2, 0x100};
    unsigned f = flags[random_below(q, 6)];
    int rc, priority = (int)random_below(q, 12) - 8;

    switch (random_below(q, 3)) {
    case 0:
        rc = R(cudaStreamCreate(&q->stream[i]), "cudaStreamCreate(s%u)", i);
        break;
    case 1:
        rc = R(cudaStreamCreateWithFlags(&q->stream[i], f), "cudaStreamCreateWithFlags(s%u, %#x)",
               i, f);
        break;
    default:
        rc = R(cudaStreamCreateWithPriority(&q->stream[i], f, priority),
               "cudaStreamCreateWithPriority(s%u, %#x, %d)", i, f, priority);
        break;
    }
    if (rc)
        q->stream[i] = NULL;
}

void step_stream(struct sequence *q)
{
    unsigned i = random_below(q, STREAMS), f = 9, e = random_below(q, EVENTS);
    struct random_stream s = random_stream(q);
    int v = 99;

    if (!q->stream[i]) {
        create_stream(q, i);
        return;
    }
    switch (random_below(q, 9)) {
    case 0:
    case 1:
        /* what it still does belongs to nobody then */
        R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
        all_clean(q);
        R(cudaStreamDestroy(q->stream[i]), "cudaStreamDestroy(s%u)", i);
        q->stream[i] = NULL;
        break;
    case 2:
        R(cudaStreamSynchronize(s.s), "cudaStreamSynchronize(%s)", s.name);
        break;
    case 3:
        R_SOON(cudaStreamQuery(s.s), "cudaStreamQuery(%s)", s.name);
        break;
    case 4:
        R(cudaStreamGetFlags(s.s, &f), "cudaStreamGetFlags(%s)", s.name);
        T_HEX("flags", f);
        break;
    case 5:
        R(cudaStreamGetPriority(s.s, &v), "cudaStreamGetPriority(%s)", s.name);
        T_INT("priority", v);
        break;
    case 6:
        if (q->event[e])
            R(cudaStreamWaitEvent(s.s, q->event[e], 0), "cudaStreamWaitEvent(%s, e%u)", s.name, e);
        else
            R(cudaStreamCreateWithFlags(NULL, 0), "cudaStreamCreateWithFlags(NULL)");
        break;
    case 7:
        if (q->event[e])
            R(cudaStreamWaitEvent(s.s, q->event[e], 7), "cudaStreamWaitEvent(%s, e%u, 7)", s.name,
              e);
        break;
    default:
        R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
        all_clean(q);
        R(cudaStreamQuery(s.s), "cudaStreamQuery(%s), idle", s.name);
        break;
    }
}

void step_event(struct sequence *q)
{
    static const unsigned flags[] = {0, 1, 2, 3, 0, 0, 4, 8, 0x10};
    unsigned i = random_below(q, EVENTS), k = random_below(q, EVENTS),
             f = flags[random_below(q, 9)];
    struct random_stream s = random_stream(q);
    float ms = -1;

    if (!q->event[i]) {
        if (R(cudaEventCreateWithFlags(&q->event[i], f), "cudaEventCreateWithFlags(e%u, %#x)", i,
              f))
            q->event[i] = NULL;
        return;
    }
    switch (random_below(q, 9)) {
    case 0:
        R(cudaEventDestroy(q->event[i]), "cudaEventDestroy(e%u)", i);
        q->event[i] = NULL;
        break;
    case 1:
    case 2:
    case 3:
        R(cudaEventRecord(q->event[i], s.s), "cudaEventRecord(e%u, %s)", i, s.name);
        break;
    case 4:
        R_SOON(cudaEventQuery(q->event[i]), "cudaEventQuery(e%u)", i);
        break;
    case 5:
        R(cudaEventSynchronize(q->event[i]), "cudaEventSynchronize(e%u)", i);
        R(cudaEventQuery(q->event[i]), "cudaEventQuery(e%u), done", i);
        break;
    case 6:
        R(cudaEventRecordWithFlags(q->event[i], s.s, 5), "cudaEventRecordWithFlags(e%u, %s, 5)", i,
          s.name);
        R(cudaEventCreate(NULL), "cudaEventCreate(NULL)");
        break;
    default:
        if (!q->event[k])
            break;
        R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
        all_clean(q);
        R(cudaEventElapsedTime(&ms, q->event[i], q->event[k]), "cudaEventElapsedTime(e%u, e%u)", i,
          k);
        R(cudaEventElapsedTime(NULL, q->event[i], q->event[k]), "cudaEventElapsedTime(NULL)");
        break;
    }
}

/* Capture of some work, its graph, and what is not allowed meanwhile. Begins and ends idle. */
void step_capture(struct sequence *q)
{
    enum cudaStreamCaptureStatus status = (enum cudaStreamCaptureStatus)9;
    struct memory *m = some(q, q->device, BUFFERS), *to = some(q, q->device, BUFFERS);
    unsigned i = random_below(q, STREAMS), ops = 1 + random_below(q, 4);
    int mode = (int)random_below(q, 3), stray = random_once_in(q, 4);
    cudaGraphExec_t exec = NULL;
    cudaGraph_t graph = NULL;
    cudaStream_t s = q->stream[i];
    size_t n = 0;

    if (!s || !m || !to || m->size > 70001)
        return;
    R(cudaDeviceSynchronize(), "cudaDeviceSynchronize()");
    all_clean(q);
    if (random_once_in(q, 6)) {
        R(cudaStreamBeginCapture(NULL, cudaStreamCaptureModeRelaxed), "capture of NULL");
        R(cudaStreamBeginCapture(s, (enum cudaStreamCaptureMode)8), "capture in mode 8");
        R(cudaStreamEndCapture(s, &graph), "cudaStreamEndCapture, none");
        return;
    }
    if (R(cudaStreamBeginCapture(s, (enum cudaStreamCaptureMode)mode),
          "cudaStreamBeginCapture(s%u, %d)", i, mode))
        return;
    for (unsigned k = 0; k < ops; k++) {
        switch (random_below(q, 4)) {
        case 0:
            R(cudaMemsetAsync(m->p, (int)k, m->size, s), "captured memset(d%d)", number(m, q));
            break;
        case 1:
            if (m != to)
                R(cudaMemcpyAsync(to->p, m->p, m->size < to->size ? m->size : to->size,
                                  cudaMemcpyDeviceToDevice, s),
                  "captured copy(d%d, d%d)", number(to, q), number(m, q));
            break;
        default:
            R(add(q, m, s, (unsigned)(m->size / 256 + 1), 64, 0), "captured add(d%d)",
              number(m, q));
            break;
        }
    }
    R(cudaStreamIsCapturing(s, &status), "cudaStreamIsCapturing");
    T_INT("status", status);
    if (stray)
        switch (random_below(q, 4)) {
        case 0:
            R(cudaStreamSynchronize(s), "captured cudaStreamSynchronize");
            break;
        case 1:
            R(cudaStreamQuery(s), "captured cudaStreamQuery");
            break;
        case 2:
            R(add(q, m, s, 1, 2000, 0), "captured wrong launch");
            break;
        default:
            R(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed), "captured begin");
            break;
        }
    if (!R(cudaStreamEndCapture(s, &graph), "cudaStreamEndCapture") && graph) {
        R(cudaGraphGetNodes(graph, NULL, &n), "cudaGraphGetNodes");
        T_INT("nodes", n);
        R(cudaGraphInstantiate(&exec, graph, 0), "cudaGraphInstantiate");
        if (exec) {
            for (unsigned k = 0; k <= ops % 2; k++)
                R(cudaGraphLaunch(exec, s), "cudaGraphLaunch");
            R(cudaStreamSynchronize(s), "cudaStreamSynchronize(s%u)", i);
            R(cudaGraphExecDestroy(exec), "cudaGraphExecDestroy");
        }
        R(cudaGraphDestroy(graph), "cudaGraphDestroy");
    }
}
