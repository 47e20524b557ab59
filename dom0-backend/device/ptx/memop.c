/* SPDX-License-Identifier: MIT */
/* Words in memory that a stream waits for and writes: the runner looks at them itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dom0-backend/device/ptx/device_int.h"

/* Between two looks: operations of other streams wake it, kernels and the guest's CPUs do not. */
#define LOOK_MIN_NS 20000
#define LOOK_MAX_NS 1000000

static size_t width_of(const struct dev_mem_op *o)
{
    return o->op == DEV_MEM_WAIT64 || o->op == DEV_MEM_WRITE64 ? 8 : 4;
}

static bool waits(const struct dev_mem_op *o)
{
    return o->op == DEV_MEM_WAIT32 || o->op == DEV_MEM_WAIT64;
}

int mem_op_make(struct dev *d, const struct dev_mem_op *ops, unsigned n, struct op **out)
{
    struct op *op;

    for (unsigned i = 0; i < n; i++)
        if (ops[i].op != DEV_MEM_BARRIER && !arena_valid(&d->arena, ops[i].addr, width_of(&ops[i])))
            return CUDA_ERROR_INVALID_VALUE;
    op = calloc(1, sizeof(*op));
    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_MEM;
    op->mem.n = n;
    op->mem.op = calloc(n, sizeof(*ops));
    if (!op->mem.op) {
        free(op);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memcpy(op->mem.op, ops, n * sizeof(*ops));
    *out = op;
    return 0;
}

int swdev_stream_mem(struct dev *d, struct dev_stream *s, const struct dev_mem_op *ops, unsigned n)
{
    struct op *op;
    int err = dev_sticky(d);

    if (!err)
        err = mem_op_make(d, ops, n, &op);
    return err ? err : stream_push(stream_of(d, s), op);
}

static bool reached(const struct dev_mem_op *o)
{
    uint64_t v, want = o->value;

    if (o->op == DEV_MEM_WAIT32) {
        v = __atomic_load_n((const uint32_t *)(uintptr_t)o->addr, __ATOMIC_ACQUIRE);
        want = (uint32_t)want;
        switch (o->flags) {
        case DEV_WAIT_GEQ:
            return (int32_t)((uint32_t)v - (uint32_t)want) >= 0;
        case DEV_WAIT_NOR:
            return (uint32_t) ~(v | want) != 0;
        default:
            break;
        }
    } else {
        v = __atomic_load_n((const uint64_t *)(uintptr_t)o->addr, __ATOMIC_ACQUIRE);
        switch (o->flags) {
        case DEV_WAIT_GEQ:
            return (int64_t)(v - want) >= 0;
        case DEV_WAIT_NOR:
            return ~(v | want) != 0;
        default:
            break;
        }
    }
    return o->flags == DEV_WAIT_EQ ? v == want : (v & want) != 0;
}

/* Does the operation if its time has come. False: not yet. */
static bool try(struct dev *d, const struct dev_mem_op *o, bool *gone)
{
    bool done = true;

    if (!arena_pin(&d->arena, o->addr, width_of(o))) {
        *gone = true;
        return true;
    }
    if (waits(o))
        done = reached(o);
    else if (o->op == DEV_MEM_WRITE32)
        __atomic_store_n((uint32_t *)(uintptr_t)o->addr, (uint32_t)o->value, __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint64_t *)(uintptr_t)o->addr, o->value, __ATOMIC_RELEASE);
    arena_unpin(&d->arena);
    return done;
}

/* Until an operation of another stream is complete, but not longer than ns. */
static void doze(struct dev *d, long ns)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_nsec += ns;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&d->lock);
    d->waiters++;
    pthread_cond_timedwait(&d->moved, &d->lock, &ts);
    d->waiters--;
    pthread_mutex_unlock(&d->lock);
}

void mem_op_run(struct dev *d, const struct op *op)
{
    char what[96];

    for (unsigned i = 0; i < op->mem.n && !dev_stopped(d); i++) {
        const struct dev_mem_op *o = &op->mem.op[i];
        long ns = LOOK_MIN_NS;
        bool gone = false;

        if (o->op == DEV_MEM_BARRIER) {
            __atomic_thread_fence(__ATOMIC_SEQ_CST);
            continue;
        }
        while (!try(d, o, &gone) && !dev_stopped(d)) {
            doze(d, ns);
            ns = 2 * ns > LOOK_MAX_NS ? LOOK_MAX_NS : 2 * ns;
        }
        if (gone) {
            snprintf(what, sizeof(what),
                     "a stream reached a word in memory freed meanwhile, at %#llx",
                     (unsigned long long)o->addr);
            dev_fail(d, CUDA_ERROR_ILLEGAL_ADDRESS, what);
            return;
        }
    }
}
