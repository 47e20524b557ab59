/* SPDX-License-Identifier: MIT */
/* covers: cuStreamQuery_ptsz cuStreamSynchronize_ptsz cuStreamWaitEvent_ptsz cuStreamGetFlags_ptsz
 * cuStreamGetPriority_ptsz cuStreamGetId_ptsz cuStreamGetCtx_ptsz cuStreamGetDevice_ptsz
 * cuEventRecord_ptsz cuEventRecordWithFlags_ptsz cuMemsetD8_v2_ptds cuMemsetD32Async_ptsz
 * cuMemcpyDtoH_v2_ptds cuMemcpyHtoDAsync_v2_ptsz cuLaunchKernel_ptsz cuMemcpy_ptds */
/* The driver's twins for the per-thread default stream, on a stream 0 that others hold up. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include <cuda.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

#undef cuStreamQuery
#undef cuStreamGetId
CUresult cuStreamQuery(CUstream s);
CUresult cuStreamGetId(CUstream s, unsigned long long *id);

int main(void)
{
    unsigned long long own = 0, legacy = 0;
    CUfunction wait_flag, add_int;
    CUdeviceptr flag, seen, p;
    int n = 16, v = 3, out[16] = {0};
    void *w[] = {&flag, &seen}, *args[] = {&p, &v, &n};
    CUcontext ctx, c = NULL;
    unsigned flags = 9;
    CUdevice dev = -1;
    CUstream held;
    CUmodule m;
    CUevent e;

    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&ctx, NULL, 0, 0));
    T_OK(cuMemAlloc(&flag, 64));
    T_OK(cuMemAlloc(&seen, 64));
    T_OK(cuMemAlloc(&p, 64));
    T_OK(cuMemsetD8(flag, 0, 64));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&wait_flag, m, "wait_flag"));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    T_OK(cuStreamCreate(&held, CU_STREAM_NON_BLOCKING));
    T_OK(cuEventCreate(&e, 0));
    T(cuLaunchKernel(add_int, 1, 1, 1, 16, 1, 1, 0, NULL, args, NULL));
    T_OK(cuCtxSynchronize());
    T(cuLaunchKernel(wait_flag, 1, 1, 1, 1, 1, 1, 0, CU_STREAM_LEGACY, w, NULL));
    T(cuStreamQuery(NULL)); /* the legacy one: held up */
    T(cuStreamGetId(NULL, &legacy));
    T(cuStreamGetId_ptsz(NULL, &own));
    T_BOOL("two streams", own != legacy);
    T(cuStreamQuery_ptsz(held));
    T(cuStreamGetFlags(NULL, &flags));
    T_INT("flags", flags);
    T(cuStreamGetPriority(NULL, &v));
    T_INT("priority", v);
    T(cuStreamGetCtx(NULL, &c));
    T_BOOL("context", c == ctx);
    T(cuStreamGetDevice(NULL, &dev));
    T_INT("device", dev);
    T(cuMemsetD32Async(flag, 5, 1, held));
    T(cuStreamSynchronize(CU_STREAM_LEGACY));
    T(cuStreamSynchronize(NULL));
    v = 3;
    T(cuMemsetD8(p, 0, 64));
    T(cuLaunchKernel(add_int, 1, 1, 1, 16, 1, 1, 0, NULL, args, NULL));
    T(cuEventRecord(e, NULL));
    T(cuEventRecordWithFlags(e, NULL, 0));
    T(cuStreamWaitEvent(NULL, e, 0));
    T(cuMemcpyDtoH(out, p, 64));
    T_INT("word", out[15]);
    out[0] = 70;
    T(cuMemcpyHtoDAsync(p, out, 4, NULL));
    T(cuMemcpy(p + 4, p, 4));
    T(cuStreamSynchronize(NULL));
    T(cuMemcpyDtoH(out, p, 64));
    T_INT("word", out[1]);
    T(cuMemcpyDtoH(out, seen, 4));
    T_INT("seen", out[0]);
    T(cuCtxDestroy(ctx));
    return 0;
}
