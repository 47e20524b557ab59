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

static int launch(struct wk *w, const struct vgpu_args_Launch *a)
{
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
    err = wk_work_enter(w, s);
    fault_point("worker.launch", w->assign.domid);
    if (!err)
        err = w->ops->launch(w->dev, f, &l, s->s);
    fault_point("worker.launched", w->assign.domid);
    if (!err)
        wk_count(w, launches, 1);
    return err;
}

int wk_Launch(struct wk_lane *lane, const struct vgpu_args_Launch *a, struct vgpu_out_Launch *o)
{
    return launch(lane->w, a);
}

int wk_LaunchFirst(struct wk_lane *lane, const struct vgpu_args_LaunchFirst *a,
                   struct vgpu_out_LaunchFirst *o)
{
    struct vgpu_args_Launch l = {
        .module = a->module,
        .stream = a->stream,
        .func = a->func,
        .shmem = a->shmem,
        .flags = a->flags,
        .params = a->params,
        .params_len = a->params_len,
    };
    struct wk_module *m = a->module;
    struct wk *w = lane->w;
    struct dev_func_info info;
    int err;

    memcpy(l.grid, a->grid, sizeof(l.grid));
    memcpy(l.block, a->block, sizeof(l.block));
    memcpy(l.cluster, a->cluster, sizeof(l.cluster));
    err = launch(w, &l);
    if (err || w->ops->func_info(w->dev, func_of(w, m, a->func), &info))
        return err;
    memcpy(o->attr, info.attr, sizeof(o->attr));
    o->known = 1;
    return WK_OK;
}
