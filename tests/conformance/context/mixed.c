/* SPDX-License-Identifier: MIT */
/* covers: cuCtxGetCurrent cudaSetDevice cudaFree cuDevicePrimaryCtxGetState cudaStreamCreate
 * cuStreamGetCtx cuMemAlloc_v2 cudaMemcpy */
/* Driver and runtime in one program: whose context is whose. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

static void state(void)
{
    CUcontext c = NULL, p = NULL;
    unsigned f = 0;
    int on = -1;

    T(cuDevicePrimaryCtxGetState(0, &f, &on));
    T_INT("active", on);
    T(cuCtxGetCurrent(&c));
    if (on) {
        T(cuDevicePrimaryCtxRetain(&p, 0));
        T(cuDevicePrimaryCtxRelease(0));
    }
    T_STR("current", !c ? "none" : c == p ? "primary" : "created");
}

/* Which runtime calls make the primary context. */
static void lazily(void)
{
    struct cudaDeviceProp prop;
    int n;

    T(cudaGetDeviceCount(&n));
    state();
    T(cudaGetDevice(&n));
    T(cudaGetDeviceProperties(&prop, 0));
    T(cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 0));
    state();
    T(cudaGetLastError());
    T(cudaSetDevice(0));
    state();
    T(cudaDeviceSynchronize());
    state();
}

static void driver_first(void)
{
    CUcontext a, c = NULL, d = NULL;
    cudaStream_t s;
    CUdeviceptr p = 0;
    void *q = NULL;
    int v = 5, w = 0;

    T_OK(cuInit(0));
    state();
    T_OK(cuCtxCreate(&a, NULL, 0, 0));
    T_OK(cudaMalloc(&q, 4096)); /* in the created context, as it is current */
    state();
    T_OK(cuMemAlloc(&p, 4096));
    T(cudaMemcpy((void *)p, &v, 4, cudaMemcpyHostToDevice));
    T(cudaMemcpy(q, (void *)p, 4, cudaMemcpyDeviceToDevice));
    T(cuMemcpyDtoH(&w, (CUdeviceptr)q, 4));
    T_INT("w", w);
    T_OK(cudaStreamCreate(&s));
    T(cuStreamGetCtx((CUstream)s, &c));
    T_BOOL("stream's context", c == a);
    T(cudaSetDevice(0)); /* makes the primary one current */
    state();
    T(cuStreamGetCtx((CUstream)s, &d));
    T_BOOL("still", d == a);
    T(cudaStreamSynchronize(s));
    T(cudaFree(q));
    T(cuMemFree(p));
    T(cuCtxPopCurrent(&c));
    state();
    T(cudaStreamDestroy(s));
    T(cuCtxDestroy(a));
    T(cudaGetLastError());
}

static void runtime_first(void)
{
    CUcontext c = NULL, d = NULL;
    CUstream s = NULL;
    void *q;

    T_OK(cudaMalloc(&q, 4096));
    state();
    T(cuCtxGetCurrent(&c));
    T(cuCtxCreate(&d, NULL, 0, 0));
    state();
    T(cuStreamCreate(&s, 0));
    T(cudaStreamSynchronize((cudaStream_t)s));
    T(cudaMemset(q, 0, 16));
    T(cuCtxDestroy(d));
    state();
    T(cuMemsetD8((CUdeviceptr)q, 1, 16));
    T(cuCtxSetCurrent(NULL));
    state();
    T(cuMemsetD8((CUdeviceptr)q, 1, 16));
    T(cudaMemset(q, 0, 16)); /* takes the primary context again */
    state();
    T(cudaFree(q));
    T(cudaDeviceReset());
    state();
    T(cudaFree(0));
    state();
}

int main(void)
{
    t_child("lazily", lazily);
    t_child("driver first", driver_first);
    t_child("runtime first", runtime_first);
    return 0;
}
