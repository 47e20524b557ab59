/* SPDX-License-Identifier: MIT */
/*
 * calls_launch.c - kernels: attributes, occupancy, launches.
 */
#include <string.h>

#include "decode.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/worker/worker.h"

static struct dev_func *func_of(struct wk *w, struct wk_module *m, uint32_t index)
{
    return index < m->nfunc ? w->ops->module_func(m->m, index) : NULL;
}

int wk_FuncInfo(struct wk_lane *lane, const struct vgpu_args_FuncInfo *a,
                struct vgpu_out_FuncInfo *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);
    struct dev_func_info info;
    int err;

    _Static_assert(sizeof(o->attr) == sizeof(info.attr), "attributes of a kernel");
    if (!f)
        return WK_INVALID_HANDLE;
    err = w->ops->func_info(w->dev, f, &info);
    if (!err)
        memcpy(o->attr, info.attr, sizeof(o->attr));
    return err;
}

int wk_FuncSetAttr(struct wk_lane *lane, const struct vgpu_args_FuncSetAttr *a,
                   struct vgpu_out_FuncSetAttr *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    return f ? w->ops->func_set_attr(w->dev, f, a->attr, a->value) : WK_INVALID_HANDLE;
}

int wk_Occupancy(struct wk_lane *lane, const struct vgpu_args_Occupancy *a,
                 struct vgpu_out_Occupancy *o)
{
    struct wk *w = lane->w;
    struct dev_func *f = func_of(w, a->module, a->func);

    return f ? w->ops->occupancy(w->dev, f, a->block, a->shmem, a->flags, &o->blocks)
             : WK_INVALID_HANDLE;
}

int wk_Launch(struct wk_lane *lane, const struct vgpu_args_Launch *a, struct vgpu_out_Launch *o)
{
    struct wk *w = lane->w;
    struct wk_module *m = a->module;
    struct wk_stream *s = a->stream;
    struct dev_func *f = func_of(w, m, a->func);
    struct dev_launch l = {
        .shmem = a->shmem,
        .cooperative = a->flags & 1,
        .params = a->params,
        .params_len = a->params_len,
    };
    int err;

    if (!f)
        return WK_INVALID_HANDLE;
    /* The device reads every parameter of the kernel out of the buffer: all of it must be there. */
    if (a->params_len < m->param_bytes[a->func])
        return WK_INVALID_VALUE;
    memcpy(l.grid, a->grid, sizeof(l.grid));
    memcpy(l.block, a->block, sizeof(l.block));
    memcpy(l.cluster, a->cluster, sizeof(l.cluster));
    err = wk_flow_enter(w, s);
    fault_point("worker.launch", w->assign.domid);
    if (!err)
        err = w->ops->launch(w->dev, f, &l, s->s);
    fault_point("worker.launched", w->assign.domid);
    if (!err)
        wk_count(w, launches, 1);
    return err;
}
