/* SPDX-License-Identifier: MIT */
/* What runners do: copies, fills, kernels, and the worker's functions. */
#include <stdio.h>
#include <string.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/device/ptx/device_int.h"

/* Host copies hold up frees, so they let go now and then. */
#define PIECE ((size_t)8 << 20)
/* Few enough CTAs that threads finish together, enough to make taking them cheap. */
#define CHUNKS_PER_THREAD 8u
#define MAX_CHUNK         64u
#define COOP_BYTES        16u

static void freed(struct dev *d, uint64_t addr)
{
    char what[96];

    snprintf(what, sizeof(what), "a queued copy or memset reached memory freed meanwhile, at %#llx",
             (unsigned long long)addr);
    dev_fail(d, CUDA_ERROR_ILLEGAL_ADDRESS, what);
}

static void run_copy(struct dev *d, const struct op *op)
{
    uint64_t dst = op->copy.dst, src = op->copy.src;
    size_t left = op->copy.n;

    while (left && !dev_stopped(d)) {
        size_t n = left < PIECE ? left : PIECE;
        uint64_t first = op->copy.dst_dev ? dst : src;

        if (!arena_pin(&d->arena, first, n)) {
            freed(d, first);
            return;
        }
        if (op->copy.dst_dev && op->copy.src_dev && !arena_valid(&d->arena, src, n)) {
            arena_unpin(&d->arena);
            freed(d, src);
            return;
        }
        memmove((void *)(uintptr_t)dst, (const void *)(uintptr_t)src, n);
        arena_unpin(&d->arena);
        dst += n;
        src += n;
        left -= n;
    }
}

static void fill_row(uint64_t dst, uint32_t value, unsigned elem, size_t n)
{
    if (elem == 1) {
        memset((void *)(uintptr_t)dst, (int)(value & 0xff), n);
    } else if (elem == 2) {
        uint16_t *p = (uint16_t *)(uintptr_t)dst;

        for (size_t i = 0; i < n; i++)
            p[i] = (uint16_t)value;
    } else {
        uint32_t *p = (uint32_t *)(uintptr_t)dst;

        for (size_t i = 0; i < n; i++)
            p[i] = value;
    }
}

static void run_fill(struct dev *d, const struct op *op)
{
    size_t width = op->fill.width, height = op->fill.height, pitch = op->fill.pitch;
    size_t elem = op->fill.elem;

    if (height > 1 && pitch == width * elem) {
        width *= height; /* checked against overflow when it was issued */
        height = 1;
    }
    for (size_t y = 0; y < height; y++) {
        uint64_t row = op->fill.dst + y * pitch;

        for (size_t x = 0; x < width;) {
            size_t n = width - x < PIECE / elem ? width - x : PIECE / elem;
            uint64_t at = row + x * elem;

            if (dev_stopped(d))
                return;
            if (!arena_pin(&d->arena, at, n * elem)) {
                freed(d, at);
                return;
            }
            fill_row(at, op->fill.value, op->fill.elem, n);
            arena_unpin(&d->arena);
            x += n;
        }
    }
}

static void print(void *arg, const char *text, size_t n)
{
    struct dev *d = arg;

    d->printf_live = true;
    output_put(&d->out, d->limit[LIMIT_PRINTF], 1, text, n);
}

/* A cooperative kernel's barrier words, which lie where no other allocation of the guest is. */
static int coop_words(struct dev *d, struct ptx_launch *l)
{
    int err = arena_alloc(&d->arena, COOP_BYTES, ARENA_MODULE, &l->coop_workspace);

    if (!err)
        memset((void *)(uintptr_t)l->coop_workspace, 0, COOP_BYTES);
    return err;
}

/* A launch being executed. */
struct running {
    struct running *next;
    uint64_t since;
};

/* Time counts once, however many are executed. */
static void run_begins(struct dev *d, struct running *r)
{
    r->since = now_ns();
    pthread_mutex_lock(&d->busy_lock);
    r->next = d->running;
    d->running = r;
    if (d->busy++ == 0) {
        d->busy_since = r->since;
        if (d->cfg.busy_since)
            __atomic_store_n(d->cfg.busy_since, d->busy_since, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&d->busy_lock);
}

static void run_ends(struct dev *d, struct running *r)
{
    pthread_mutex_lock(&d->busy_lock);
    for (struct running **p = &d->running; *p; p = &(*p)->next)
        if (*p == r) {
            *p = r->next;
            break;
        }
    if (--d->busy == 0 && d->cfg.busy_ns && d->cfg.busy_since) {
        __atomic_store_n(d->cfg.busy_since, 0, __ATOMIC_RELAXED);
        __atomic_fetch_add(d->cfg.busy_ns, now_ns() - d->busy_since, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&d->busy_lock);
}

uint64_t swdev_longest(struct dev *d)
{
    uint64_t now = now_ns(), longest = 0;

    pthread_mutex_lock(&d->busy_lock);
    for (const struct running *r = d->running; r; r = r->next)
        if (now > r->since && now - r->since > longest)
            longest = now - r->since;
    pthread_mutex_unlock(&d->busy_lock);
    return longest;
}

static void run_launch(struct dev *d, struct op *op, struct ptx_exec **x)
{
    struct ptx_launch *l = &op->launch.l;
    struct crew_job job = {.kernel = op->launch.func->k, .launch = l};
    struct running running;
    uint64_t share;
    int err;

    if (!*x)
        *x = ptx_exec_new();
    if (!*x) {
        dev_fail(d, CUDA_ERROR_LAUNCH_FAILED, "no memory to execute a kernel");
        return;
    }
    l->params = op->launch.params;
    l->mem = d->mem;
    l->grid_id = atomic_fetch_add(&d->grid_id, 1);
    l->stop = &d->stop;
    l->print = print;
    l->heap_alloc = heap_alloc;
    l->heap_free = heap_free;
    l->object = objects_find;
    l->arg = d;
    job.total = (uint64_t)l->grid[0] * l->grid[1] * l->grid[2];
    share = job.total / ((uint64_t)(d->crew.nthread + 1) * CHUNKS_PER_THREAD);
    job.chunk = l->cooperative ? job.total : share < 1 ? 1 : share > MAX_CHUNK ? MAX_CHUNK : share;
    if (l->cooperative && coop_words(d, l)) {
        dev_fail(d, CUDA_ERROR_OUT_OF_MEMORY, "no device memory for a cooperative launch");
        return;
    }
    run_begins(d, &running);
    err = crew_run(&d->crew, &job, *x);
    run_ends(d, &running);
    if (err == CUDA_ERROR_ASSERT) { /* what CUDA prints on stderr */
        output_put(&d->out, d->limit[LIMIT_PRINTF], 2, job.fault.what, strlen(job.fault.what));
        output_put(&d->out, d->limit[LIMIT_PRINTF], 2, "\n", 1);
    }
    if (l->coop_workspace)
        arena_free(&d->arena, l->coop_workspace, ARENA_MODULE, NULL);
    output_deliver(d);
    /* Stopped because something else has failed: that has been reported. */
    if (err && !dev_stopped(d))
        dev_fail(d, err, job.fault.what);
}

void op_run(struct dev *d, struct op *op, struct ptx_exec **x)
{
    bool dead = dev_sticky(d) != 0;

    switch (op->kind) {
    case OP_COPY:
        if (!dead)
            run_copy(d, op);
        break;
    case OP_BOX:
        if (!dead)
            box_run(d, op->box);
        break;
    case OP_FILL:
        if (!dead)
            run_fill(d, op);
        break;
    case OP_LAUNCH:
        if (!dead)
            run_launch(d, op, x);
        break;
    case OP_WRITE:
        __atomic_store_n(op->host.where, op->host.value, __ATOMIC_RELEASE);
        if (op->host.fn)
            op->host.fn(op->host.arg);
        break;
    case OP_HOST:
        op->host.fn(op->host.arg);
        break;
    case OP_GRAPH:
        graph_run(d, op->run, x); /* its calls are made in any case */
        break;
    case OP_CALL:
        call_run(d, op->call.fn, op->call.arg);
        break;
    case OP_MEM:
        if (!dead)
            mem_op_run(d, op);
        break;
    case OP_MARK:
    case OP_WAIT:
    case OP_COND:
        break; /* done by the stream, by the graph */
    }
}
