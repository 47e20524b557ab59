/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/device_int.h"
#include "dom0-backend/device/ptx/fatbin.h"

static void module_free(struct dev *d, struct dev_module *m)
{
    for (unsigned i = 0; i < m->nvar; i++)
        if (m->var[i])
            arena_free(&d->arena, m->var[i], ARENA_MODULE, NULL);
    if (m->pm)
        ptx_module_free(m->pm);
    free(m->var);
    free(m->func);
    free(m);
}

void module_put(struct dev *d, struct dev_module *m)
{
    if (--m->refs)
        return;
    if (m->prev)
        m->prev->next = m->next;
    else
        d->modules = m->next;
    if (m->next)
        m->next->prev = m->prev;
    module_free(d, m);
}

static int place_variables(struct dev *d, struct dev_module *m, char *log, size_t log_n)
{
    unsigned n = ptx_module_nvar(m->pm);

    m->var = calloc(n ? n : 1, sizeof(*m->var));
    if (!m->var)
        return CUDA_ERROR_OUT_OF_MEMORY;
    m->nvar = n;
    for (unsigned i = 0; i < n; i++) {
        struct ptx_var v = ptx_module_var(m->pm, i);
        uint64_t bytes = v.size > v.align ? v.size : v.align; /* blocks lie at their own size */
        int err = arena_alloc(&d->arena, bytes, ARENA_MODULE, &m->var[i]);

        if (err) {
            snprintf(log, log_n, "no device memory for variable %s of %llu bytes", v.name,
                     (unsigned long long)v.size);
            m->var[i] = 0;
            return err;
        }
        ptx_module_set_var_addr(m->pm, i, m->var[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        struct ptx_var v = ptx_module_var(m->pm, i);
        void *at = (void *)(uintptr_t)m->var[i];

        if (v.has_init)
            ptx_module_var_init(m->pm, i, at);
        else
            memset(at, 0, v.size); /* a block may have been used before */
    }
    return 0;
}

static int list_functions(struct dev_module *m)
{
    m->nfunc = ptx_module_nkernel(m->pm);
    m->func = calloc(m->nfunc ? m->nfunc : 1, sizeof(*m->func));
    if (!m->func)
        return CUDA_ERROR_OUT_OF_MEMORY;
    for (unsigned i = 0; i < m->nfunc; i++) {
        struct dev_func *f = &m->func[i];

        f->m = m;
        f->k = ptx_module_kernel(m->pm, i);
        ptx_kernel_info(f->k, &f->inf);
        if (f->inf.shared_bytes < BLOCK_SHARED)
            f->max_dynamic = BLOCK_SHARED - (int)f->inf.shared_bytes;
        f->carveout = -1;
    }
    return 0;
}

int ptx_texts_link(const struct fatbin_texts *texts, bool complete, struct ptx_module **out,
                   char *log, size_t log_n)
{
    struct ptx_text t[FATBIN_MAX_TEXTS];

    for (unsigned i = 0; i < texts->n; i++)
        t[i] = (struct ptx_text){texts->v[i].text, texts->v[i].len};
    return ptx_module_link(t, texts->n, complete, out, log, log_n);
}

static int build(struct dev *d, struct dev_module *m, const struct fatbin_texts *texts, char *log,
                 size_t log_n)
{
    int err = ptx_texts_link(texts, true, &m->pm, log, log_n);

    if (err) {
        m->pm = NULL;
        /* The driver's answer to PTX text for a newer target: its compiler refuses it. */
        return err == CUDA_ERROR_NO_BINARY_FOR_GPU ? CUDA_ERROR_INVALID_PTX : err;
    }
    err = place_variables(d, m, log, log_n);
    return err ? err : list_functions(m);
}

int swdev_module_load(struct dev *d, const void *image, size_t n, struct dev_module **out,
                      char *log, size_t log_n)
{
    struct fatbin_texts texts = {.n = 0};
    struct dev_module *m;
    char none[1];
    int err = dev_sticky(d);

    if (!log || !log_n) {
        log = none;
        log_n = sizeof(none);
    }
    log[0] = '\0';
    if (err)
        return err;
    err = fatbin_texts(image, n, &texts, log, log_n);
    if (err)
        return err;
    m = calloc(1, sizeof(*m));
    if (!m) {
        err = CUDA_ERROR_OUT_OF_MEMORY;
    } else {
        m->refs = 1;
        err = build(d, m, &texts, log, log_n);
    }
    if (!err) {
        pthread_mutex_lock(&d->lock);
        m->next = d->modules;
        if (m->next)
            m->next->prev = m;
        d->modules = m;
        pthread_mutex_unlock(&d->lock);
        *out = m;
    } else if (m) {
        module_free(d, m);
    }
    fatbin_texts_free(&texts);
    return err;
}

/* Text is read, not compiled; a compiler (jit/) comes later. */
bool swdev_module_ready(struct dev *d, const void *image, size_t n)
{
    return true;
}

int swdev_module_unload(struct dev *d, struct dev_module *m)
{
    int err = stream_drain(d, NULL);

    pthread_mutex_lock(&d->lock);
    module_put(d, m);
    pthread_mutex_unlock(&d->lock);
    return err;
}

unsigned swdev_module_nfunc(struct dev_module *m)
{
    return m->nfunc;
}

struct dev_func *swdev_module_func(struct dev_module *m, unsigned index)
{
    return index < m->nfunc ? &m->func[index] : NULL;
}

int swdev_module_global(struct dev *d, struct dev_module *m, const char *name, uint64_t *dptr,
                        uint64_t *size)
{
    int err = dev_sticky(d);

    if (err)
        return err;
    for (unsigned i = 0; i < m->nvar; i++) {
        struct ptx_var v = ptx_module_var(m->pm, i);

        if (strcmp(v.name, name) == 0) {
            *dptr = m->var[i];
            *size = v.size;
            return 0;
        }
    }
    return CUDA_ERROR_NOT_FOUND;
}

unsigned swdev_module_nglobal(struct dev_module *m)
{
    return m->nvar;
}

const char *swdev_module_global_name(struct dev_module *m, unsigned index)
{
    return index < m->nvar ? ptx_module_var(m->pm, index).name : NULL;
}
