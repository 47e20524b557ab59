/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamCreate cudaStreamCreateWithFlags cudaStreamCreateWithPriority
 * cudaStreamDestroy cudaStreamGetFlags cudaStreamGetPriority cudaStreamGetId
 * cudaStreamGetDevice cuStreamCreate cuStreamGetFlags cuStreamGetPriority cuStreamGetId
 * cuStreamGetDevice cuStreamGetCtx cuStreamDestroy_v2 */
/* Streams: flags, priorities and what they tell. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static void tell(cudaStream_t s)
{
    unsigned long long id = 0, id2 = 1;
    unsigned flags = 77, f2 = 78;
    int prio = 77, p2 = 78, dev = 77, d2 = 78;
    CUcontext c = NULL, now = NULL;

    T(cudaStreamGetFlags(s, &flags));
    T(cuStreamGetFlags((CUstream)s, &f2));
    T_INT("flags", flags);
    T(cudaStreamGetPriority(s, &prio));
    T(cuStreamGetPriority((CUstream)s, &p2));
    T_DEVICE("priority", prio);
    T(cudaStreamGetDevice(s, &dev));
    T(cuStreamGetDevice((CUstream)s, &d2));
    T_INT("device", dev);
    T(cudaStreamGetId(s, &id));
    T(cuStreamGetId((CUstream)s, &id2));
    T_BOOL("agree", id == id2 && flags == f2 && prio == p2 && dev == d2);
    T(cuStreamGetCtx((CUstream)s, &c));
    T(cuCtxGetCurrent(&now));
    T_BOOL("context", c == now);
}

int main(void)
{
    cudaStream_t a = NULL, b = NULL;
    unsigned long long ia, ib;
    int least, greatest, v;
    CUstream s;

    T_OK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    tell(0);
    tell(cudaStreamLegacy);
    tell(cudaStreamPerThread);
    T(cudaStreamCreate(&a));
    tell(a);
    T(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    tell(b);
    T(cudaStreamGetId(a, &ia));
    T(cudaStreamGetId(b, &ib));
    T_BOOL("ids differ", ia != ib);
    T(cudaStreamDestroy(a));
    T(cudaStreamDestroy(b));
    for (int p = -8; p <= 3; p++) {
        printf("priority %d\n", p);
        if (T(cudaStreamCreateWithPriority(&a, cudaStreamNonBlocking, p)))
            continue;
        T(cudaStreamGetPriority(a, &v));
        T_DEVICE("priority", v);
        T(cudaStreamDestroy(a));
    }
    T(cudaStreamCreateWithFlags(&a, 2));
    T(cudaStreamCreateWithFlags(&a, 0xffffffff));
    T(cudaStreamCreateWithPriority(&a, 6, 0));
    T(cudaStreamCreate(NULL));
    T(cuStreamCreate(NULL, 0));
    T(cuStreamCreate(&s, 2));
    T(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T(cuStreamGetFlags(s, NULL));
    T(cudaStreamGetFlags(s, NULL));
    T(cudaStreamGetPriority(s, NULL));
    T(cuStreamDestroy(s));
    T(cudaStreamDestroy(0));
    T(cudaStreamDestroy(cudaStreamLegacy));
    T(cudaStreamDestroy(cudaStreamPerThread));
    T(cuStreamDestroy(NULL));
    T(cuStreamDestroy(CU_STREAM_LEGACY));
    T(cudaGetLastError());
    return 0;
}
