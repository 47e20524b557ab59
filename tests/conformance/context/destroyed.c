/* SPDX-License-Identifier: MIT */
/* covers: cuCtxDestroy_v2 */
/* What happens to streams, events, memory and modules with the context they were made in. */
#include <cuda.h>

#include "child.h"

extern const unsigned char kernels_image[];

static CUcontext a, b;
static CUstream s;
static CUevent e;
static CUdeviceptr p;
static CUmodule m;
static CUfunction f;
static void *h;

static void make(void)
{
    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&b, NULL, 0, 0));
    T_OK(cuCtxCreate(&a, NULL, 0, 0));
    T_OK(cuStreamCreate(&s, 0));
    T_OK(cuEventCreate(&e, 0));
    T_OK(cuMemAlloc(&p, 4096));
    T_OK(cuMemAllocHost(&h, 4096));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "empty"));
    T_OK(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, s, NULL, NULL));
    T_OK(cuCtxDestroy(a));
}

static void memory(void)
{
    make();
    T(cuMemsetD8(p, 0, 16));
    T(cuMemFree(p));
    T(cuMemFreeHost(h));
}

static void event(void)
{
    make();
    T(cuEventQuery(e));
    T(cuEventRecord(e, NULL));
    T(cuEventDestroy(e));
}

static void module(void)
{
    make();
    T(cuModuleGetFunction(&f, m, "empty"));
    T(cuModuleUnload(m));
}

static void launch(void)
{
    make();
    T(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
    T(cuCtxSynchronize());
}

static void context(void)
{
    unsigned long long id;
    unsigned v;

    make();
    T(cuCtxDestroy(a));
    T(cuCtxPushCurrent(a));
    T(cuCtxSetCurrent(a));
    T(cuCtxGetApiVersion(a, &v));
    T(cuCtxGetId(a, &id));
    T(cuCtxDestroy(b));
    T(cuCtxDestroy(b));
}

/* Objects of a context that lives but is not current. */
static void other(void)
{
    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&a, NULL, 0, 0));
    T_OK(cuStreamCreate(&s, 0));
    T_OK(cuEventCreate(&e, 0));
    T_OK(cuMemAlloc(&p, 4096));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "empty"));
    T_OK(cuCtxCreate(&b, NULL, 0, 0));
    T(cuStreamQuery(s));
    T(cuStreamSynchronize(s));
    T(cuEventRecord(e, s));
    T(cuEventSynchronize(e));
    T(cuEventQuery(e));
    T(cuEventRecord(e, NULL));
    T(cuEventSynchronize(e));
    T(cuMemsetD8(p, 1, 4096));
    T(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, s, NULL, NULL));
    T(cuMemFree(p));
    T(cuStreamDestroy(s));
    T(cuEventDestroy(e));
    T(cuModuleUnload(m));
    T(cuCtxSynchronize());
    T(cuCtxDestroy(a));
    T(cuCtxDestroy(b));
}

int main(void)
{
    t_child("memory", memory);
    t_child("event", event);
    t_child("module", module);
    t_child("launch", launch);
    t_child("context", context);
    t_child("other", other);
    return 0;
}
