/* SPDX-License-Identifier: MIT */
#include "tests/unit/mock_dev.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/device_graph.h"

#define NOTES     65536
#define MAX_BLOCK 64
#define MAX_LATER 4096

struct dev_stream {
    int n;
};
struct dev_event {
    int n;
};
struct dev_module {
    int n;
};
struct dev_func {
    const char *name;
    unsigned nparam;
    struct dev_param param[2];
};

static struct dev_func funcs[2] = {
    {"vecAdd", 2, {{0, 8}, {8, 4}}},
    {"empty", 0, {{0, 0}}},
};

struct dev {
    struct dev_config cfg;
    uint8_t *mem;
    struct {
        uint64_t at, len;
    } block[MAX_BLOCK];
    uint64_t next;
    uint64_t limit;
    int seq;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct dev the_dev;
static _Alignas(4096) uint8_t memory[MOCK_MEM_SIZE];
static char notes[NOTES];
static size_t notes_len;
static const char *fail_op;
static int fail_err;
static bool held;
static int live;
static struct {
    void (*fn)(void *);
    void *arg;
} later[MAX_LATER];
static unsigned nlater;

/* Writes the note; returns the error that the operation must return. */
__attribute__((format(printf, 2, 3))) static int note(const char *op, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    int n, err;

    n = snprintf(line, sizeof(line), "%s", op);
    va_start(ap, fmt);
    n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
    va_end(ap);
    line[n++] = ';';
    pthread_mutex_lock(&lock);
    if (notes_len + (size_t)n < NOTES) {
        memcpy(notes + notes_len, line, (size_t)n);
        notes_len += (size_t)n;
        notes[notes_len] = '\0';
    }
    err = fail_op && strcmp(fail_op, op) == 0 ? fail_err : 0;
    pthread_mutex_unlock(&lock);
    return err;
}

static void wait_unheld(void)
{
    pthread_mutex_lock(&lock);
    while (held)
        pthread_cond_wait(&moved, &lock);
    pthread_mutex_unlock(&lock);
}

const char *mock_notes(void)
{
    return notes;
}

void mock_clear(void)
{
    pthread_mutex_lock(&lock);
    notes_len = 0;
    notes[0] = '\0';
    pthread_mutex_unlock(&lock);
}

unsigned mock_count(const char *prefix)
{
    unsigned n = 0;

    pthread_mutex_lock(&lock);
    for (const char *p = notes; *p; p = strchr(p, ';') + 1)
        n += strncmp(p, prefix, strlen(prefix)) == 0;
    pthread_mutex_unlock(&lock);
    return n;
}

void mock_fail(const char *op, int err)
{
    pthread_mutex_lock(&lock);
    fail_op = op;
    fail_err = err;
    pthread_mutex_unlock(&lock);
}

void mock_hold(bool on)
{
    pthread_mutex_lock(&lock);
    held = on;
    if (!on)
        pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&lock);
    while (!on) {
        void (*fn)(void *);
        void *arg;

        pthread_mutex_lock(&lock);
        if (nlater == 0) {
            pthread_mutex_unlock(&lock);
            return;
        }
        fn = later[0].fn;
        arg = later[0].arg;
        memmove(&later[0], &later[1], --nlater * sizeof(later[0]));
        pthread_mutex_unlock(&lock);
        fn(arg);
    }
}

void mock_fault(int err, const char *what)
{
    the_dev.cfg.on_fault(the_dev.cfg.arg, err, what);
}

void mock_print(int fd, const char *text)
{
    the_dev.cfg.on_output(the_dev.cfg.arg, fd, text, strlen(text));
}

int mock_live(void)
{
    return live;
}

static int do_open(const struct dev_config *cfg, struct dev **out)
{
    struct dev *d = &the_dev;

    memset(d, 0, sizeof(*d));
    d->cfg = *cfg;
    memset(memory, 0, sizeof(memory));
    d->mem = memory;
    d->limit = 1024;
    live = 0;
    nlater = 0;
    held = false;
    fail_op = NULL;
    mock_clear();
    *out = d;
    return 0;
}

static void do_close(struct dev *d)
{
    d->mem = NULL;
}

struct dev *mock_open(const struct dev_config *cfg)
{
    struct dev *d;

    return do_open(cfg, &d) == 0 ? d : NULL;
}

void mock_close(struct dev *d)
{
    do_close(d);
}

static void do_seal(struct dev *d)
{
    note("seal", "%s", "");
}

static void do_info(struct dev *d, struct dev_info *out)
{
    memset(out, 0, sizeof(*out));
    strcpy(out->name, "Mock device");
    out->total_mem = MOCK_MEM_SIZE;
    out->driver_version = 12080;
    out->attr[16] = 7;
}

static void do_window(struct dev *d, uint64_t *base, uint64_t *size)
{
    *base = (uint64_t)(uintptr_t)d->mem;
    *size = MOCK_MEM_SIZE;
}

static int pool_add(struct dev *d, void *addr, size_t len)
{
    return note("pool_add", " %zu", len);
}

static void pool_drop(struct dev *d, void *addr, size_t len)
{
    note("pool_drop", " %zu", len);
}

static int mem_alloc(struct dev *d, uint64_t bytes, uint64_t *dptr)
{
    int err = note("mem_alloc", " %llu", (unsigned long long)bytes);

    if (err)
        return err;
    if (bytes == 0)
        return 1;
    bytes = (bytes + 255) & ~255ull;
    if (bytes > MOCK_MEM_SIZE - d->next)
        return 2;
    for (int i = 0; i < MAX_BLOCK; i++) {
        if (d->block[i].len == 0) {
            if (d->cfg.quota && !d->cfg.quota->take(d->cfg.arg, bytes))
                return 2;
            d->block[i].at = d->next;
            d->block[i].len = bytes;
            d->next += bytes;
            *dptr = (uint64_t)(uintptr_t)(d->mem + d->block[i].at);
            return 0;
        }
    }
    return 2;
}

static int mem_free(struct dev *d, uint64_t dptr)
{
    int err = note("mem_free", "%s", "");

    if (err)
        return err;
    for (int i = 0; i < MAX_BLOCK; i++) {
        if (d->block[i].len && (uint64_t)(uintptr_t)(d->mem + d->block[i].at) == dptr) {
            if (d->cfg.quota)
                d->cfg.quota->give(d->cfg.arg, d->block[i].len);
            d->block[i].len = 0;
            return 0;
        }
    }
    return 1;
}

static int mem_info(struct dev *d, uint64_t *free_bytes, uint64_t *total)
{
    uint64_t used = 0;

    for (int i = 0; i < MAX_BLOCK; i++)
        used += d->block[i].len;
    *free_bytes = MOCK_MEM_SIZE - used;
    *total = MOCK_MEM_SIZE;
    return 0;
}

static int mem_range(struct dev *d, uint64_t dptr, uint64_t *base, uint64_t *size)
{
    for (int i = 0; i < MAX_BLOCK; i++) {
        uint64_t b = (uint64_t)(uintptr_t)(d->mem + d->block[i].at);

        if (dptr >= b && dptr - b < d->block[i].len) {
            *base = b;
            *size = d->block[i].len;
            return 0;
        }
    }
    return 1;
}

static bool in_mem(struct dev *d, uint64_t p, size_t n)
{
    uint64_t b = (uint64_t)(uintptr_t)d->mem;

    return n <= MOCK_MEM_SIZE && p >= b && p - b <= MOCK_MEM_SIZE - n;
}

static int copy_h2d(struct dev *d, struct dev_stream *s, uint64_t dst, const void *src, size_t n)
{
    int err = note("copy_h2d", " %zu s%d", n, s ? s->n : 0);

    if (err || !in_mem(d, dst, n))
        return err ? err : 1;
    memcpy((void *)(uintptr_t)dst, src, n);
    return 0;
}

static int copy_d2h(struct dev *d, struct dev_stream *s, void *dst, uint64_t src, size_t n)
{
    int err = note("copy_d2h", " %zu s%d", n, s ? s->n : 0);

    if (err || !in_mem(d, src, n))
        return err ? err : 1;
    memcpy(dst, (void *)(uintptr_t)src, n);
    return 0;
}

static int copy_d2d(struct dev *d, struct dev_stream *s, uint64_t dst, uint64_t src, size_t n)
{
    int err = note("copy_d2d", " %zu s%d", n, s ? s->n : 0);

    if (err || !in_mem(d, src, n) || !in_mem(d, dst, n))
        return err ? err : 1;
    memmove((void *)(uintptr_t)dst, (void *)(uintptr_t)src, n);
    return 0;
}

static int fill(struct dev *d, struct dev_stream *s, uint64_t dst, size_t pitch, uint32_t value,
                unsigned elem, size_t width, size_t height)
{
    return note("fill", " %u x%u %zux%zu", value, elem, width, height);
}

static int module_load(struct dev *d, const void *image, size_t n, struct dev_module **out,
                       char *log, size_t log_n)
{
    int err = note("module_load", " %zu", n);

    if (!err && (n < 4 || memcmp(image, "MOCK", 4) != 0))
        err = 200;
    if (err) {
        snprintf(log, log_n, "not a mock image");
        return err;
    }
    *out = malloc(sizeof(**out));
    (*out)->n = ++d->seq;
    __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    return 0;
}

static int module_unload(struct dev *d, struct dev_module *m)
{
    int err = note("module_unload", "%s", "");

    free(m);
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    return err;
}

static unsigned module_nfunc(struct dev_module *m)
{
    return 2;
}

static struct dev_func *module_func(struct dev_module *m, unsigned i)
{
    return &funcs[i];
}

static int module_global(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                         uint64_t *size)
{
    if (strcmp(name, "coef") != 0)
        return 500;
    *dptr = (uint64_t)(uintptr_t)d->mem;
    *size = 64;
    return 0;
}

static unsigned module_nglobal(struct dev_module *m)
{
    return 1;
}

static const char *module_global_name(struct dev_module *m, unsigned i)
{
    return "coef";
}

static const char *func_name(struct dev_func *f)
{
    return f->name;
}

static unsigned func_nparam(struct dev_func *f)
{
    return f->nparam;
}

static struct dev_param func_param(struct dev_func *f, unsigned i)
{
    return f->param[i];
}

static int func_info(struct dev *d, struct dev_func *f, struct dev_func_info *out)
{
    memset(out, 0, sizeof(*out));
    out->attr[0] = 1024;
    return 0;
}

static int func_set_attr(struct dev *d, struct dev_func *f, int attr, int value)
{
    return note("func_set_attr", " %d %d", attr, value);
}

static int occupancy(struct dev *d, struct dev_func *f, int block, size_t shmem, unsigned flags,
                     int *blocks)
{
    if (block <= 0)
        return 1;
    *blocks = 2048 / block;
    return 0;
}

static int launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                  struct dev_stream *s)
{
    return note("launch", " %s %u s%d", f->name, l->grid[0], s ? s->n : 0);
}

static int stream_create(struct dev *d, unsigned flags, int priority, struct dev_stream **out)
{
    int err = note("stream_create", " %u", flags);

    if (err)
        return err;
    *out = malloc(sizeof(**out));
    (*out)->n = ++d->seq;
    __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    return 0;
}

static int stream_destroy(struct dev *d, struct dev_stream *s)
{
    int err = note("stream_destroy", " s%d", s->n);

    free(s);
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    return err;
}

static int stream_query(struct dev *d, struct dev_stream *s)
{
    return held ? 600 : 0;
}

static int stream_sync(struct dev *d, struct dev_stream *s)
{
    int err = note("stream_sync", " s%d", s ? s->n : 0);

    wait_unheld();
    return err;
}

static int stream_wait(struct dev *d, struct dev_stream *s, struct dev_event *e)
{
    return note("stream_wait", " e%d", e->n);
}

static int stream_host(struct dev *d, struct dev_stream *s, void (*fn)(void *), void *arg)
{
    int err = note("stream_host", "%s", "");
    bool wait;

    if (err)
        return err;
    pthread_mutex_lock(&lock);
    wait = held;
    if (wait && nlater == MAX_LATER) {
        pthread_mutex_unlock(&lock);
        return 2;
    }
    if (wait) {
        later[nlater].fn = fn;
        later[nlater++].arg = arg;
    }
    pthread_mutex_unlock(&lock);
    if (!wait)
        fn(arg);
    return 0;
}

static int stream_write32(struct dev *d, struct dev_stream *s, uint32_t *where, uint32_t value,
                          void (*done)(void *), void *arg)
{
    int err = note("write32", " %u", value);

    if (err)
        return err;
    __atomic_store_n(where, value, __ATOMIC_RELEASE);
    if (done)
        done(arg);
    return 0;
}

static int ctx_sync(struct dev *d)
{
    int err = note("ctx_sync", "%s", "");

    wait_unheld();
    return err;
}

static int event_create(struct dev *d, unsigned flags, struct dev_event **out)
{
    int err = note("event_create", " %u", flags);

    if (err)
        return err;
    *out = malloc(sizeof(**out));
    (*out)->n = ++d->seq;
    __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
    return 0;
}

static int event_destroy(struct dev *d, struct dev_event *e)
{
    int err = note("event_destroy", " e%d", e->n);

    free(e);
    __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    return err;
}

static int event_record(struct dev *d, struct dev_event *e, struct dev_stream *s)
{
    return note("event_record", " e%d s%d", e->n, s ? s->n : 0);
}

static int event_record_write32(struct dev *d, struct dev_event *e, struct dev_stream *s,
                                uint32_t *where, uint32_t value, void (*done)(void *), void *arg)
{
    int err = event_record(d, e, s);

    return err ? err : stream_write32(d, s, where, value, done, arg);
}

static int event_query(struct dev *d, struct dev_event *e)
{
    return held ? 600 : 0;
}

static int event_sync(struct dev *d, struct dev_event *e)
{
    int err = note("event_sync", " e%d", e->n);

    wait_unheld();
    return err;
}

static int event_elapsed(struct dev *d, struct dev_event *a, struct dev_event *b, float *ms)
{
    *ms = 1.5f;
    return note("event_elapsed", " e%d e%d", a->n, b->n);
}

static int get_limit(struct dev *d, int limit, uint64_t *value)
{
    *value = d->limit;
    return limit == 0 ? 0 : 215;
}

static int set_limit(struct dev *d, int limit, uint64_t value)
{
    if (limit != 0)
        return 215;
    d->limit = value;
    return 0;
}

static int stream_mem(struct dev *d, struct dev_stream *s, const struct dev_mem_op *op, unsigned n)
{
    return note("mem", " %u first %u/%u %llu last %u", n, op[0].op, op[0].flags,
                (unsigned long long)op[0].value, op[n - 1].op);
}

/* Touches everything that a device may look at. */
static int exec_create(struct dev *d, const struct dev_node *nodes, uint32_t n,
                       const struct dev_cond *conds, uint32_t ncond, struct dev_exec **out,
                       uint32_t *bad)
{
    uint32_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < nodes[i].ndeps; k++)
            sum += nodes[i].deps[k];
        for (uint32_t k = 0; nodes[i].type == DEV_NODE_COND && k < nodes[i].cond.nbody; k++)
            sum += nodes[i].cond.total[k];
        for (uint32_t k = 0; nodes[i].type == DEV_NODE_MEM && k < nodes[i].mem.n; k++)
            sum += nodes[i].mem.op[k].op;
    }
    for (uint32_t i = 0; i < ncond; i++)
        sum += conds[i].value;
    *bad = n;
    *out = (struct dev_exec *)d;
    return note("exec", " %u/%u sum %u", n, ncond, sum);
}

static int exec_destroy(struct dev *d, struct dev_exec *x)
{
    return note("exec_destroy", "%s", "");
}

static int exec_launch(struct dev *d, struct dev_exec *x, struct dev_stream *s)
{
    return note("exec_launch", "%s", "");
}

static const struct dev_graph_ops graph_ops = {
    .stream_mem = stream_mem,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_launch = exec_launch,
    .exec_upload = exec_launch,
};

const struct dev_ops mock_ops = {
    .name = "mock",
    .open = do_open,
    .seal = do_seal,
    .close = do_close,
    .info = do_info,
    .window = do_window,
    .pool_add = pool_add,
    .pool_drop = pool_drop,
    .mem_alloc = mem_alloc,
    .mem_free = mem_free,
    .mem_info = mem_info,
    .mem_range = mem_range,
    .copy_h2d = copy_h2d,
    .copy_d2h = copy_d2h,
    .copy_d2d = copy_d2d,
    .fill = fill,
    .module_load = module_load,
    .module_unload = module_unload,
    .module_nfunc = module_nfunc,
    .module_func = module_func,
    .module_global = module_global,
    .module_nglobal = module_nglobal,
    .module_global_name = module_global_name,
    .func_name = func_name,
    .func_nparam = func_nparam,
    .func_param = func_param,
    .func_info = func_info,
    .func_set_attr = func_set_attr,
    .occupancy = occupancy,
    .launch = launch,
    .stream_create = stream_create,
    .stream_destroy = stream_destroy,
    .stream_query = stream_query,
    .stream_sync = stream_sync,
    .stream_wait = stream_wait,
    .stream_host = stream_host,
    .stream_write32 = stream_write32,
    .ctx_sync = ctx_sync,
    .event_create = event_create,
    .event_destroy = event_destroy,
    .event_record = event_record,
    .event_record_write32 = event_record_write32,
    .event_query = event_query,
    .event_sync = event_sync,
    .event_elapsed = event_elapsed,
    .get_limit = get_limit,
    .set_limit = set_limit,
    .graph = &graph_ops,
};

/* For a gvm-worker that has the mock in the software device's place. */
extern const struct dev_ops dev_ptx_ops __attribute__((weak, alias("mock_ops")));
