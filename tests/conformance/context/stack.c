/* SPDX-License-Identifier: MIT */
/* covers: cuCtxCreate_v4 cuCtxDestroy_v2 cuCtxPushCurrent_v2 cuCtxPopCurrent_v2
 * cuCtxSetCurrent cuCtxGetCurrent cuCtxGetDevice */
/* The stack of contexts of a thread. */
#include <cuda.h>

#include "transcript.h"

static CUcontext a, b;

static void who(void)
{
    CUcontext c = (CUcontext)1;

    T(cuCtxGetCurrent(&c));
    T_STR("current", c == NULL ? "none" : c == a ? "a" : c == b ? "b" : "other");
}

int main(void)
{
    CUcontext c = NULL;
    CUdevice dev = -1;

    T(cuCtxGetCurrent(&c));
    T_OK(cuInit(0));
    who();
    T(cuCtxGetCurrent(NULL));
    T(cuCtxPopCurrent(&c));
    T(cuCtxGetDevice(&dev));
    T(cuCtxSynchronize());
    T(cuCtxSetCurrent(NULL));
    T(cuCtxPushCurrent(NULL));
    T(cuCtxDestroy(NULL));
    T(cuCtxCreate(&a, NULL, 0, 0));
    who();
    T(cuCtxGetDevice(&dev));
    T_INT("device", dev);
    T(cuCtxGetDevice(NULL));
    T(cuCtxCreate(&b, NULL, 0, 0));
    who();
    T(cuCtxPushCurrent(a));
    who();
    T(cuCtxPushCurrent(a));
    who();
    T(cuCtxPopCurrent(&c));
    T_BOOL("popped a", c == a);
    who();
    T(cuCtxPopCurrent(NULL));
    who();
    T(cuCtxSetCurrent(a));
    who();
    T(cuCtxPopCurrent(&c));
    who();
    T(cuCtxSetCurrent(NULL));
    who();
    T(cuCtxPopCurrent(&c));
    who();
    T(cuCtxSetCurrent(b));
    who();
    T(cuCtxPushCurrent(b));
    T(cuCtxDestroy(b));
    who();
    T(cuCtxPopCurrent(&c));
    T(cuCtxSetCurrent(NULL));
    T(cuCtxSetCurrent(a));
    T(cuCtxPushCurrent(NULL));
    who();
    T(cuCtxSynchronize());
    T(cuCtxDestroy(a));
    who();
    T(cuCtxSynchronize());
    T(cuCtxCreate(&c, NULL, 0, 1000));
    T(cuCtxCreate(&c, NULL, 0, -1));
    T(cuCtxCreate(NULL, NULL, 0, 0));
    T(cuCtxCreate(&c, NULL, 0x10000, 0));
    return 0;
}
