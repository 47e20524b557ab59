/* SPDX-License-Identifier: MIT */
/*
 * Executable graphs: their nodes as operations made beforehand. A launch is one operation of its
 * stream; its runner executes the nodes one after the other, in an order that keeps all edges.
 */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/device/ptx/device_int.h"

/* The operations, shared by the graph and its launches under way; under dev.lock. */
struct graph_ops {
    unsigned refs;
    uint32_t n;
    struct op **op; /* NULL: nothing to do */
    struct dev_event **event;
    struct graph_cond *cond;
    uint32_t ncond;
};

/* Kernels know a condition by the address of its word. */
struct graph_cond {
    uint64_t number, word;
    uint32_t value;
    bool assign;
};

struct dev_exec {
    struct graph_ops *ops;
    struct dev_stream *last; /* where it was launched last */
    struct mark *done;       /* and the end of that launch */
};

struct graph_run {
    struct graph_ops *ops;
    struct mark *done;
    uint32_t nmark;
    struct mark **mark; /* of event nodes, by node */
};

/* Call with the lock held. */
static void ops_put(struct dev *d, struct graph_ops *o)
{
    if (!o || --o->refs)
        return;
    for (uint32_t i = 0; i < o->n; i++)
        if (o->op[i])
            op_free(d, o->op[i]);
    for (uint32_t i = 0; i < o->ncond; i++)
        arena_free(&d->arena, o->cond[i].word, ARENA_MODULE, NULL);
    free(o->cond);
    free(o->op);
    free(o->event);
    free(o);
}

static uint64_t word_of(const struct graph_ops *o, uint64_t number)
{
    for (uint32_t i = 0; i < o->ncond; i++)
        if (o->cond[i].number == number)
            return o->cond[i].word;
    return 0;
}

static int make_conds(struct dev *d, struct graph_ops *o, const struct dev_cond *v, uint32_t n)
{
    int err = 0;

    o->cond = calloc(n + 1, sizeof(*o->cond));
    if (!o->cond)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < n && !err; i++) {
        struct graph_cond *c = &o->cond[i];

        *c = (struct graph_cond){.number = v[i].number, .value = v[i].value, .assign = v[i].assign};
        err = arena_alloc(&d->arena, sizeof(uint32_t), ARENA_MODULE, &c->word);
        if (!err) {
            *(uint32_t *)(uintptr_t)c->word = 0;
            o->ncond++;
        }
    }
    return err;
}

/* Words for the guest's numbers in a kernel's parameters. */
static void name_conds(const struct graph_ops *o, uint8_t *params, size_t n)
{
    uint64_t v;

    for (size_t at = 0; o->ncond && at + 8 <= n; at += 8) {
        memcpy(&v, params + at, 8);
        v = v ? word_of(o, v) : 0;
        if (v)
            memcpy(params + at, &v, 8);
    }
}

static int make_choice(const struct graph_ops *o, const struct dev_node *n, struct op **out)
{
    struct op *op = calloc(1, sizeof(*op));

    if (!op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    op->kind = OP_COND;
    op->cond.word = word_of(o, n->cond.number);
    op->cond.type = n->cond.type;
    op->cond.nbody = n->cond.nbody;
    op->cond.total = calloc(n->cond.nbody, sizeof(*op->cond.total));
    if (!op->cond.word || !op->cond.total) {
        int err = op->cond.word ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_ERROR_INVALID_VALUE;

        free(op->cond.total);
        free(op);
        return err;
    }
    memcpy(op->cond.total, n->cond.total, n->cond.nbody * sizeof(*op->cond.total));
    *out = op;
    return 0;
}

static int make(struct dev *d, const struct graph_ops *o, const struct dev_node *n, struct op **out)
{
    int err = 0;

    *out = NULL;
    switch (n->type) {
    case DEV_NODE_KERNEL:
        err = launch_op(d, n->kernel.func, &n->kernel.l, out);
        if (!err)
            name_conds(o, (*out)->launch.params, n->kernel.l.params_len);
        break;
    case DEV_NODE_COPY:
        err = box_op(d, &n->copy, out);
        break;
    case DEV_NODE_FILL:
        err = fill_op(d, n->fill.dst, n->fill.pitch, n->fill.value, n->fill.elem, n->fill.width,
                      n->fill.height, out);
        break;
    case DEV_NODE_COND:
        err = make_choice(o, n, out);
        break;
    case DEV_NODE_MEM:
        err = mem_op_make(d, n->mem.op, n->mem.n, out);
        break;
    case DEV_NODE_CALL:
    case DEV_NODE_EVENT_RECORD:
    case DEV_NODE_EVENT_WAIT:
        *out = calloc(1, sizeof(**out));
        if (!*out)
            return CUDA_ERROR_OUT_OF_MEMORY;
        (*out)->kind = n->type == DEV_NODE_CALL           ? OP_CALL
                       : n->type == DEV_NODE_EVENT_RECORD ? OP_MARK
                                                          : OP_WAIT;
        if (n->type == DEV_NODE_CALL) {
            (*out)->call.fn = n->call.fn;
            (*out)->call.arg = n->call.arg;
        }
        break;
    default:
        break;
    }
    return err;
}

static int exec_create(struct dev *d, const struct dev_node *nodes, uint32_t n,
                       const struct dev_cond *conds, uint32_t ncond, struct dev_exec **out,
                       uint32_t *bad)
{
    struct dev_exec *x = calloc(1, sizeof(*x));
    struct graph_ops *o = calloc(1, sizeof(*o));
    int err = dev_sticky(d);

    *bad = n;
    if (err)
        goto out;
    err = CUDA_ERROR_OUT_OF_MEMORY;
    if (!x || !o)
        goto out;
    o->refs = 1;
    o->op = calloc(n + 1, sizeof(*o->op));
    o->event = calloc(n + 1, sizeof(*o->event));
    if (!o->op || !o->event)
        goto out;
    err = make_conds(d, o, conds, ncond);
    if (err)
        goto out;
    for (o->n = 0, err = 0; o->n < n; o->n++) {
        const struct dev_node *node = &nodes[o->n];

        err = make(d, o, node, &o->op[o->n]);
        if (err) {
            *bad = o->n;
            goto out;
        }
        if (node->type == DEV_NODE_EVENT_RECORD || node->type == DEV_NODE_EVENT_WAIT)
            o->event[o->n] = node->event;
        if (node->disabled && o->op[o->n]) { /* checked, but not done */
            pthread_mutex_lock(&d->lock);
            op_free(d, o->op[o->n]);
            pthread_mutex_unlock(&d->lock);
            o->op[o->n] = NULL;
        }
    }
    x->ops = o;
    *out = x;
    return 0;
out:
    if (o && o->op) {
        pthread_mutex_lock(&d->lock);
        ops_put(d, o);
        pthread_mutex_unlock(&d->lock);
    } else {
        free(o);
    }
    free(x);
    return err;
}

uint64_t *exec_words(const struct dev_exec *x, uint32_t *n)
{
    uint64_t *v = calloc(x->ops->ncond + 1, sizeof(*v));

    for (uint32_t i = 0; v && i < x->ops->ncond; i++)
        v[i] = x->ops->cond[i].word;
    *n = x->ops->ncond;
    return v;
}

static int exec_destroy(struct dev *d, struct dev_exec *x)
{
    pthread_mutex_lock(&d->lock);
    ops_put(d, x->ops);
    mark_put(x->done);
    pthread_mutex_unlock(&d->lock);
    free(x);
    return dev_sticky(d);
}

void graph_run_free(struct dev *d, struct graph_run *r)
{
    for (uint32_t i = 0; i < r->nmark; i++)
        mark_put(r->mark[i]);
    mark_put(r->done);
    ops_put(d, r->ops);
    free(r->mark);
    free(r);
}

/* Event nodes mean the records and the waits of this launch: a wait is for what was recorded before
 * it, in the graph or before the launch. Call with the lock held. */
static int bind_events(struct graph_run *r)
{
    for (uint32_t i = 0; i < r->nmark; i++) {
        struct dev_event *e = r->ops->event[i];

        if (!e || !r->ops->op[i])
            continue;
        if (r->ops->op[i]->kind == OP_MARK) {
            struct mark *m = calloc(1, sizeof(*m));

            if (!m)
                return CUDA_ERROR_OUT_OF_MEMORY;
            m->refs = 2;
            mark_put(e->mark);
            e->mark = m;
            r->mark[i] = m;
        } else if (e->mark && !e->mark->done) {
            e->mark->refs++;
            r->mark[i] = e->mark;
        }
    }
    return 0;
}

/* An operation that waits until the launch before has ended, if that was in another stream. */
static int push_wait(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    struct op *op = NULL;
    bool wait;

    pthread_mutex_lock(&d->lock);
    wait = x->done && !x->done->done && x->last != s;
    if (wait) {
        op = calloc(1, sizeof(*op));
        if (op) {
            op->kind = OP_WAIT;
            op->mark = x->done;
            op->mark->refs++;
        }
    }
    pthread_mutex_unlock(&d->lock);
    if (wait && !op)
        return CUDA_ERROR_OUT_OF_MEMORY;
    return wait ? stream_push(s, op) : 0;
}

static int exec_launch(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    struct graph_run *r = NULL;
    struct op *op = NULL;
    struct mark *done = NULL;
    int err = dev_sticky(d);

    if (err)
        return err;
    s = stream_of(d, s);
    r = calloc(1, sizeof(*r));
    op = calloc(1, sizeof(*op));
    done = calloc(1, sizeof(*done));
    if (r)
        r->mark = calloc(x->ops->n + 1, sizeof(*r->mark));
    if (!r || !op || !done || !r->mark) {
        err = CUDA_ERROR_OUT_OF_MEMORY;
        goto fail;
    }
    err = push_wait(d, x, s);
    if (err)
        goto fail;
    pthread_mutex_lock(&d->lock);
    r->ops = x->ops;
    r->ops->refs++;
    r->nmark = r->ops->n;
    r->done = done;
    done->refs = 2;
    mark_put(x->done);
    x->done = done;
    x->last = s;
    err = bind_events(r);
    if (err) {
        done->done = true;
        graph_run_free(d, r);
    }
    pthread_mutex_unlock(&d->lock);
    if (err) {
        free(op);
        return err;
    }
    op->kind = OP_GRAPH;
    op->run = r;
    return stream_push(s, op);
fail:
    if (r)
        free(r->mark);
    free(r);
    free(op);
    free(done);
    return err;
}

static void pass_mark(struct dev *d, struct mark *m)
{
    pthread_mutex_lock(&d->lock);
    m->done = true;
    m->ns = now_ns();
    d->steps++;
    if (d->waiters)
        pthread_cond_broadcast(&d->moved);
    pthread_mutex_unlock(&d->lock);
}

static void run_nodes(struct dev *d, struct graph_run *r, uint32_t at, uint32_t end,
                      struct ptx_exec **x);

/* The bodies of a conditional node, which begin at `at`. Returns what comes after them. */
static uint32_t run_choice(struct dev *d, struct graph_run *r, const struct op *op, uint32_t at,
                           struct ptx_exec **x)
{
    const uint32_t *word = (const uint32_t *)(uintptr_t)op->cond.word;
    uint32_t v = __atomic_load_n(word, __ATOMIC_ACQUIRE), which = v, after = at;

    if (op->cond.type != DEV_COND_SWITCH)
        which = v ? 0 : 1;
    for (unsigned k = 0; k < op->cond.nbody; after += op->cond.total[k++]) {
        uint32_t end = after + op->cond.total[k];

        if (k != which || dev_stopped(d) || dev_sticky(d))
            continue;
        do
            run_nodes(d, r, after, end, x);
        while (op->cond.type == DEV_COND_WHILE && !dev_stopped(d) && !dev_sticky(d) &&
               __atomic_load_n(word, __ATOMIC_ACQUIRE));
    }
    return after;
}

static void run_nodes(struct dev *d, struct graph_run *r, uint32_t at, uint32_t end,
                      struct ptx_exec **x)
{
    while (at < end) {
        uint32_t i = at++;
        struct op *op = r->ops->op[i];

        if (!op)
            continue;
        if (op->kind == OP_COND) {
            at = run_choice(d, r, op, at, x);
            continue;
        }
        if (op->kind == OP_MARK) {
            pass_mark(d, r->mark[i]);
        } else if (op->kind == OP_WAIT) {
            pthread_mutex_lock(&d->lock);
            while (r->mark[i] && !r->mark[i]->done)
                stream_wait_moved(d);
            pthread_mutex_unlock(&d->lock);
        } else {
            op_run(d, op, x);
        }
    }
}

void graph_run(struct dev *d, struct graph_run *r, struct ptx_exec **x)
{
    for (uint32_t i = 0; i < r->ops->ncond; i++)
        if (r->ops->cond[i].assign)
            __atomic_store_n((uint32_t *)(uintptr_t)r->ops->cond[i].word, r->ops->cond[i].value,
                             __ATOMIC_RELEASE);
    run_nodes(d, r, 0, r->ops->n, x);
    pass_mark(d, r->done);
}

/* Everything is where it is needed. */
static int exec_upload(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    return dev_sticky(d);
}

const struct dev_graph_ops dev_ptx_graph_ops = {
    .stream_call = swdev_stream_call,
    .call_done = swdev_call_done,
    .stream_mem = swdev_stream_mem,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_launch = exec_launch,
    .exec_upload = exec_upload,
};
