/* SPDX-License-Identifier: MIT */
/*
 * device_link.c - images with options, the linker, launches with attributes, attributes of streams.
 *
 * The linker's image is what it was given, side by side (fatbin_join()): it is joined for good when
 * it is loaded, by the same code that joins the objects of a program.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/device_link.h"
#include "dom0-backend/device/ptx/device_int.h"
#include "dom0-backend/device/ptx/fatbin.h"

/* CUjit_option */
enum {
    JIT_MAX_REGISTERS = 0,
    JIT_THREADS_PER_BLOCK = 1,
    JIT_TARGET = 9,
    JIT_COUNT = 35, /* CU_JIT_NUM_OPTIONS */
};
/* CUjitInputType */
enum { INPUT_CUBIN, INPUT_PTX, INPUT_FATBINARY, INPUT_OBJECT, INPUT_LIBRARY, INPUT_NVVM, INPUTS };

#define WINDOW_MAX (128u << 20) /* octets of an access policy window */
#define LINE       512          /* octets of one message */

struct dev_linker {
    struct fatbin_texts texts;
    size_t bytes; /* of all texts */
    int err;      /* they do not fit together */
    uint8_t *image;
    size_t image_len;
    char *info, *error;
    size_t error_max;
};

/* How code is made does not concern an interpreter, but what is no option is refused. */
static int check_options(const struct dev_jit_option *opt, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (opt[i].id >= JIT_COUNT)
            return CUDA_ERROR_INVALID_VALUE;
        if (opt[i].id == JIT_MAX_REGISTERS && !opt[i].value)
            return CUDA_ERROR_INVALID_VALUE;
        if (opt[i].id == JIT_TARGET && (opt[i].value < 30 || opt[i].value > 130))
            return CUDA_ERROR_INVALID_VALUE;
        /* What is made for another device does not run on this one. */
        if (opt[i].id == JIT_TARGET && opt[i].value != ptx_target())
            return CUDA_ERROR_INVALID_SOURCE;
    }
    return 0;
}

static int link_module_load(struct dev *d, const void *image, size_t n, struct dev_jit *jit,
                            struct dev_module **out)
{
    char line[LINE] = "";
    int err = check_options(jit->opt, jit->nopt);

    if (err)
        return err;
    for (unsigned i = 0; i < jit->nopt; i++)
        if (jit->opt[i].id == JIT_THREADS_PER_BLOCK)
            jit->threads = jit->opt[i].value;
    err = swdev_module_load(d, image, n, out, line, sizeof(line));
    if (err && jit->error_max)
        snprintf(jit->error, jit->error_max, "%s\n", line);
    return err;
}

/* ---- linker -------------------------------------------------------------------------------- */

static int link_destroy(struct dev *d, struct dev_linker *l)
{
    fatbin_texts_free(&l->texts);
    free(l->image);
    free(l->info);
    free(l->error);
    free(l);
    return 0;
}

static int link_create(struct dev *d, const struct dev_jit *jit, struct dev_linker **out)
{
    struct dev_linker *l;
    int err = dev_sticky(d);

    if (!err)
        err = check_options(jit->opt, jit->nopt);
    if (err)
        return err;
    l = calloc(1, sizeof(*l));
    if (!l)
        return CUDA_ERROR_OUT_OF_MEMORY;
    l->error_max = jit->error_max;
    l->info = calloc(1, 1);
    l->error = calloc(1, jit->error_max + 1);
    if (!l->info || !l->error) {
        link_destroy(d, l);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *out = l;
    return 0;
}

/* Another line in the log of errors, as much of it as fits. */
static int complain(struct dev_linker *l, int err, const char *name, const char *text)
{
    size_t n = strlen(l->error);

    if (n < l->error_max)
        snprintf(l->error + n, l->error_max - n, "%s%s%s\n", name, *name ? ": " : "", text);
    return err;
}

/* Each input must be sound on its own; names are resolved when all are there. */
static int check_text(struct dev_linker *l, const char *name, const struct fatbin_texts *t)
{
    char line[LINE] = "";

    for (unsigned i = 0; i < t->n; i++) {
        struct ptx_text text = {t->v[i].text, t->v[i].len};
        struct ptx_module *m = NULL;
        int err = ptx_module_link(&text, 1, false, &m, line, sizeof(line));

        ptx_module_free(m);
        if (err)
            return complain(l, err == CUDA_ERROR_NO_BINARY_FOR_GPU ? CUDA_ERROR_INVALID_PTX : err,
                            name, line);
    }
    return 0;
}

/* All inputs as one; complete: no name may be left open. A failure is final. */
static int join(struct dev_linker *l, bool complete)
{
    struct ptx_module *m = NULL;
    char line[LINE] = "";
    int err = ptx_texts_link(&l->texts, complete, &m, line, sizeof(line));

    ptx_module_free(m);
    if (!err)
        return 0;
    l->err = err == CUDA_ERROR_OUT_OF_MEMORY ? err : CUDA_ERROR_INVALID_SOURCE;
    return complain(l, l->err, "", line);
}

static int link_add(struct dev *d, struct dev_linker *l, uint32_t type, const void *data, size_t n,
                    const char *name, const struct dev_jit_option *opt, unsigned nopt)
{
    struct fatbin_texts t;
    char line[LINE] = "";
    int err = dev_sticky(d);

    if (!err)
        err = check_options(opt, nopt);
    if (err)
        return err;
    if (type >= INPUTS || l->image)
        return CUDA_ERROR_INVALID_VALUE;
    if (type == INPUT_OBJECT || type == INPUT_LIBRARY || type == INPUT_NVVM)
        return complain(l, CUDA_ERROR_NO_BINARY_FOR_GPU, name,
                        "the software device links PTX, alone or in a fatbin");
    err = type == INPUT_CUBIN && (n < 4 || memcmp(data, "\177ELF", 4))
              ? CUDA_ERROR_INVALID_IMAGE
              : fatbin_texts(data, n, &t, line, sizeof(line));
    if (err)
        return complain(l, err, name, *line ? line : "no cubin");
    err = check_text(l, name, &t);
    for (unsigned i = 0; i < t.n && !err; i++)
        l->bytes += t.v[i].len;
    if (!err && (l->texts.n + t.n > FATBIN_MAX_TEXTS || l->bytes > FATBIN_MAX_TEXT)) {
        snprintf(line, sizeof(line), "more than %u inputs or %u bytes of PTX", FATBIN_MAX_TEXTS,
                 FATBIN_MAX_TEXT);
        err = complain(l, CUDA_ERROR_OUT_OF_MEMORY, name, line);
    }
    if (err) {
        fatbin_texts_free(&t);
        return err;
    }
    memcpy(&l->texts.v[l->texts.n], t.v, t.n * sizeof(t.v[0]));
    l->texts.n += t.n;
    return join(l, false);
}

static int link_complete(struct dev *d, struct dev_linker *l, const void **image, size_t *n)
{
    static const char nothing[] = ".version 6.4\n.target sm_75\n.address_size 64\n";
    struct fatbin_texts none = {.n = 1, .v = {{(char *)nothing, sizeof(nothing) - 1}}};
    int err = dev_sticky(d);

    if (err)
        return err;
    if (!l->image) {
        err = l->err ? l->err : join(l, true);
        if (err)
            return err;
        l->image = fatbin_join(l->texts.n ? &l->texts : &none, &l->image_len);
        if (!l->image)
            return CUDA_ERROR_OUT_OF_MEMORY;
    }
    *image = l->image;
    *n = l->image_len;
    return 0;
}

static void link_logs(struct dev_linker *l, const char **info, const char **error)
{
    *info = l->info;
    *error = l->error;
}

/* ---- kernels ------------------------------------------------------------------------------- */

static int link_func_load(struct dev *d, struct dev_func *f)
{
    return dev_sticky(d);
}

static int link_func_loaded(struct dev *d, struct dev_func *f, uint32_t *state)
{
    *state = 1; /* CU_FUNCTION_LOADING_STATE_LOADED: with their module */
    return dev_sticky(d);
}

static int link_func_cache(struct dev *d, struct dev_func *f, unsigned config)
{
    return config > 3 ? CUDA_ERROR_INVALID_VALUE : dev_sticky(d);
}

static int32_t number(const struct dev_launch_attr *a)
{
    int32_t v;

    memcpy(&v, a->value, sizeof(v));
    return v;
}

static int check_window(const uint8_t *value)
{
    struct {
        uint64_t base, bytes;
        float ratio;
        int32_t hit, miss;
    } w;

    memcpy(&w, value, 28);
    if (w.bytes > WINDOW_MAX || !(w.ratio >= 0 && w.ratio <= 1) || w.hit < 0 || w.hit > 2 ||
        w.miss < 0 || w.miss > 1)
        return CUDA_ERROR_INVALID_VALUE; /* persisting (2) is no property for misses */
    return 0;
}

/* What changes a launch goes to *l; what only steers a real device is checked. */
static int take_attr(struct dev_launch *l, const struct dev_launch_attr *a)
{
    int32_t v = number(a);

    switch (a->id) {
    case DEV_ATTR_IGNORE:
    case DEV_ATTR_PRIORITY:
    case DEV_ATTR_SERIALIZATION: /* full serialisation satisfies it */
        return 0;
    case DEV_ATTR_ACCESS_WINDOW:
        return check_window(a->value);
    case DEV_ATTR_COOPERATIVE:
        l->cooperative = v != 0;
        return 0;
    case DEV_ATTR_CLUSTER:
        memcpy(l->cluster, a->value, sizeof(l->cluster));
        return 0;
    case DEV_ATTR_PREFERRED_CLUSTER:
        return 0;
    case DEV_ATTR_SYNC_POLICY:
        return v < 1 || v > 4 ? CUDA_ERROR_INVALID_VALUE : 0;
    case DEV_ATTR_CLUSTER_POLICY:
        return v < 0 || v > 2 ? CUDA_ERROR_INVALID_VALUE : 0;
    case DEV_ATTR_DOMAIN:
        return v < 0 || v > 1 ? CUDA_ERROR_INVALID_VALUE : 0;
    case DEV_ATTR_DOMAIN_MAP:
        return a->value[0] > 3 || a->value[1] > 3 ? CUDA_ERROR_INVALID_VALUE : 0;
    case DEV_ATTR_CARVEOUT:
        return v < -1 || v > 100 ? CUDA_ERROR_INVALID_VALUE : 0;
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
}

static int take_attrs(struct dev_launch *l, const struct dev_launch_attr *attr, unsigned n)
{
    int err = 0;

    memset(l->cluster, 0, sizeof(l->cluster));
    l->cooperative = false;
    for (unsigned i = 0; i < n && !err; i++)
        err = take_attr(l, &attr[i]);
    return err;
}

static int link_launch(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                       const struct dev_launch_attr *attr, unsigned nattr, struct dev_stream *s)
{
    struct dev_launch t = *l;
    int err = take_attrs(&t, attr, nattr);

    return err ? err : swdev_launch(d, f, &t, s);
}

static int link_shared_available(struct dev *d, struct dev_func *f, int blocks, int block,
                                 uint64_t *bytes)
{
    uint64_t share;
    int err = dev_sticky(d), fit;

    if (err)
        return err;
    if (blocks <= 0 || block <= 0 || (unsigned)block > PTX_MAX_THREADS)
        return CUDA_ERROR_INVALID_VALUE;
    fit = func_blocks_per_sm(f, (uint32_t)block, 0);
    if (blocks > fit)
        return CUDA_ERROR_INVALID_VALUE;
    share = SM_SHARED / (unsigned)blocks / 128 * 128; /* allocated in units of 128 */
    share = share > SM_SHARED_RESERVE ? share - SM_SHARED_RESERVE : 0;
    if (share > PTX_MAX_SHARED)
        share = PTX_MAX_SHARED;
    *bytes = share > f->inf.shared_bytes ? share - f->inf.shared_bytes : 0;
    return 0;
}

/* Clusters are reported as absent. */
static int link_clusters(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                         const struct dev_launch_attr *attr, unsigned nattr, bool largest, int *n)
{
    int err = dev_sticky(d);

    return err ? err : CUDA_ERROR_NOT_SUPPORTED;
}

/* ---- streams ------------------------------------------------------------------------------- */

static int link_stream_get(struct dev *d, struct dev_stream *s, int attr, uint8_t value[64])
{
    const struct stream_attrs *a = &stream_of(d, s)->attrs;
    int err = dev_sticky(d), v = 0;

    if (err)
        return err;
    memset(value, 0, 64);
    pthread_mutex_lock(&d->lock);
    switch (attr) {
    case DEV_ATTR_ACCESS_WINDOW:
        memcpy(value, a->window, sizeof(a->window));
        break;
    case DEV_ATTR_SYNC_POLICY:
        v = a->sync_policy ? a->sync_policy : -1; /* never set */
        memcpy(value, &v, sizeof(v));
        break;
    case DEV_ATTR_PRIORITY:
        memcpy(value, &stream_of(d, s)->priority, sizeof(v));
        break;
    case DEV_ATTR_DOMAIN_MAP:
        value[0] = a->domain_map[0];
        value[1] = a->domain_map[1] ^ 1; /* kept so that zeroes are the default */
        break;
    case DEV_ATTR_DOMAIN:
        memcpy(value, &a->domain, sizeof(v));
        break;
    default:
        err = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

static int link_stream_set(struct dev *d, struct dev_stream *s, int attr, const uint8_t value[64])
{
    struct dev_launch_attr a = {.id = (uint32_t)attr};
    struct dev_launch none;
    struct dev_stream *t = stream_of(d, s);
    int err = dev_sticky(d);

    if (err)
        return err;
    memcpy(a.value, value, sizeof(a.value));
    err = take_attr(&none, &a);
    if (err)
        return err;
    pthread_mutex_lock(&d->lock);
    switch (attr) {
    case DEV_ATTR_ACCESS_WINDOW:
        memcpy(t->attrs.window, value, sizeof(t->attrs.window));
        break;
    case DEV_ATTR_SYNC_POLICY:
        t->attrs.sync_policy = number(&a);
        break;
    case DEV_ATTR_PRIORITY: {
        int v = number(&a);

        v = v > d->inf.prio_least ? d->inf.prio_least : v;
        t->priority = v < d->inf.prio_greatest ? d->inf.prio_greatest : v;
        break;
    }
    case DEV_ATTR_DOMAIN_MAP:
        t->attrs.domain_map[0] = value[0];
        t->attrs.domain_map[1] = value[1] ^ 1;
        break;
    case DEV_ATTR_DOMAIN:
        t->attrs.domain = number(&a);
        break;
    default:
        err = CUDA_ERROR_INVALID_VALUE;
    }
    pthread_mutex_unlock(&d->lock);
    return err;
}

static int link_stream_copy(struct dev *d, struct dev_stream *dst, struct dev_stream *src)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    pthread_mutex_lock(&d->lock);
    stream_of(d, dst)->attrs = stream_of(d, src)->attrs;
    stream_of(d, dst)->priority = stream_of(d, src)->priority;
    pthread_mutex_unlock(&d->lock);
    return 0;
}

static int link_reset_l2(struct dev *d)
{
    return dev_sticky(d);
}

/* There is no tensor memory accelerator: its instructions are not executed either. */
static int link_tensor_map(struct dev *d, const struct dev_tensor_map *t, uint8_t map[128])
{
    return CUDA_ERROR_NOT_SUPPORTED;
}

const struct dev_link_ops swdev_link_ops = {
    .module_load = link_module_load,
    .link_create = link_create,
    .link_add = link_add,
    .link_complete = link_complete,
    .link_logs = link_logs,
    .link_destroy = link_destroy,
    .func_load = link_func_load,
    .func_loaded = link_func_loaded,
    .func_cache = link_func_cache,
    .launch = link_launch,
    .shared_available = link_shared_available,
    .clusters = link_clusters,
    .stream_get = link_stream_get,
    .stream_set = link_stream_set,
    .stream_copy = link_stream_copy,
    .reset_l2 = link_reset_l2,
    .tensor_map = link_tensor_map,
};
