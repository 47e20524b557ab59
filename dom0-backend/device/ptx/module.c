/* SPDX-License-Identifier: MIT */
/* module.c - what ptx.h says about modules and kernels: names, parameters, variables. */
#include "ptx_int.h"

unsigned ptx_module_nkernel(const struct ptx_module *m)
{
    return m->nkernels;
}

struct ptx_kernel *ptx_module_kernel(struct ptx_module *m, unsigned i)
{
    return i < m->nkernels ? &m->kernels[i] : NULL;
}

unsigned ptx_module_nvar(const struct ptx_module *m)
{
    return m->ndvars;
}

struct ptx_var ptx_module_var(const struct ptx_module *m, unsigned i)
{
    struct ptx_var r = {.name = "", .align = 1};
    if (i >= m->ndvars)
        return r;
    const struct ir_var *v = m->dvars[i];
    r.name = v->name;
    r.size = v->size;
    r.align = v->align;
    r.space = v->space == SP_CONST ? PTX_CONST : PTX_GLOBAL;
    r.managed = v->managed;
    r.has_init = v->has_init;
    return r;
}

void ptx_module_set_var_addr(struct ptx_module *m, unsigned i, uint64_t addr)
{
    if (i < m->ndvars)
        m->dvars[i]->addr = addr;
}

void ptx_module_var_init(const struct ptx_module *m, unsigned i, void *dst)
{
    if (i >= m->ndvars)
        return;
    const struct ir_var *v = m->dvars[i];
    uint64_t n = v->init_len < v->size ? v->init_len : v->size;
    if (n)
        memcpy(dst, v->init, n);
    memset((char *)dst + n, 0, v->size - n);
    for (const struct ir_reloc *r = v->reloc; r; r = r->next) {
        uint64_t a = r->addend + (r->var ? r->var->addr : PTX_APERTURE_FUNC + r->func);
        a >>= r->shift;
        if (r->offset + r->size <= v->size)
            memcpy((char *)dst + r->offset, &a, r->size);
    }
}

const char *ptx_kernel_name(const struct ptx_kernel *k)
{
    return k->fn->name;
}

unsigned ptx_kernel_nparam(const struct ptx_kernel *k)
{
    return k->fn->nparams;
}

void ptx_kernel_param(const struct ptx_kernel *k, unsigned i, uint32_t *offset, uint32_t *size)
{
    *offset = *size = 0;
    if (i >= k->fn->nparams)
        return;
    *offset = k->fn->params[i]->off;
    *size = k->fn->params[i]->size;
}

uint32_t ptx_kernel_param_bytes(const struct ptx_kernel *k)
{
    return k->fn->param_bytes;
}

void ptx_kernel_info(const struct ptx_kernel *k, struct ptx_kernel_info *out)
{
    *out = k->info;
}
