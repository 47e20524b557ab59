/* SPDX-License-Identifier: MIT */
/* covers: cuDevicePrimaryCtxRetain cuDevicePrimaryCtxRelease_v2 cuDevicePrimaryCtxReset_v2
 * cuDevicePrimaryCtxSetFlags_v2 cuDevicePrimaryCtxGetState */
/* The life of the primary context, by the driver alone. */
#include <cuda.h>

#include "transcript.h"

static void state(void)
{
    unsigned flags = 0x1000;
    int active = -1;

    T(cuDevicePrimaryCtxGetState(0, &flags, &active));
    printf("state = %#x %d\n", flags, active);
}

int main(void)
{
    CUcontext a = NULL, b = NULL;
    CUdeviceptr p = 0;
    CUstream s = NULL;
    unsigned f;
    int x;

    T(cuDevicePrimaryCtxRetain(&a, 0));
    T_OK(cuInit(0));
    state();
    T(cuDevicePrimaryCtxGetState(1000, &f, &x));
    T(cuDevicePrimaryCtxGetState(0, NULL, NULL));
    T(cuDevicePrimaryCtxRelease(0));
    T(cuDevicePrimaryCtxReset(0));
    T(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC));
    state();
    T(cuDevicePrimaryCtxSetFlags(0, 0x1000));
    T(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_SPIN | CU_CTX_SCHED_YIELD));
    T(cuDevicePrimaryCtxSetFlags(1000, 0));
    T(cuDevicePrimaryCtxRetain(NULL, 0));
    T(cuDevicePrimaryCtxRetain(&a, 1000));
    T(cuDevicePrimaryCtxRetain(&a, 0));
    state();
    T(cuCtxGetCurrent(&b));
    T_BOOL("current", b != NULL);
    T(cuDevicePrimaryCtxRetain(&b, 0));
    T_BOOL("same", a == b);
    T(cuMemAlloc(&p, 1000));
    T(cuCtxSetCurrent(a));
    T(cuCtxGetFlags(&f));
    T_HEX("flags", f);
    T(cuMemAlloc(&p, 1000));
    T(cuStreamCreate(&s, 0));
    T(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_SPIN));
    state();
    T(cuDevicePrimaryCtxRelease(0));
    state();
    T(cuMemFree(p));
    T(cuMemAlloc(&p, 1000));
    T(cuDevicePrimaryCtxReset(0));
    state();
    T(cuMemAlloc(&p, 1000));
    T(cuMemsetD8(p, 1, 1000));
    T(cuCtxGetCurrent(&b));
    T_BOOL("current", b == a);
    T(cuDevicePrimaryCtxRetain(&b, 0));
    T_BOOL("same", a == b);
    state();
    T(cuMemAlloc(&p, 1000));
    T(cuMemFree(p));
    T(cuDevicePrimaryCtxRelease(0));
    state();
    T(cuDevicePrimaryCtxRelease(0));
    state();
    T(cuDevicePrimaryCtxRelease(0));
    T(cuMemAlloc(&p, 1000));
    T(cuCtxDestroy(a));
    return 0;
}
