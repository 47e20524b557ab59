/* SPDX-License-Identifier: MIT */
/* covers: cuMemsetD8 cuMemsetD16 cuMemsetD32 cuMemsetD8Async cuMemsetD16Async cuMemsetD32Async
 * cuMemsetD2D8 cuMemsetD2D16 cuMemsetD2D32 cuMemsetD2D8Async cuMemsetD2D16Async cuMemsetD2D32Async */
#include <cuda.h>

#include "transcript.h"

#define N 8192

static uint8_t out[N];
static CUdeviceptr d;

static void look(const char *what)
{
    T(cuMemcpyDtoH(out, d, N));
    T_DIGEST(what, out, N);
}

int main(void)
{
    CUcontext ctx;
    CUdevice dev;
    CUstream s;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T_OK(cuMemAlloc(&d, N));
    T_OK(cuStreamCreate(&s, 0));
    T(cuMemsetD8(d, 0x11, N));
    T(cuMemsetD16(d + 2, 0x2233, 33));
    T(cuMemsetD32(d + 100, 0x44556677, 20));
    look("1D");
    T(cuMemsetD8Async(d + 301, 1, 7, s));
    T(cuMemsetD16Async(d + 400, 2, 7, s));
    T(cuMemsetD32Async(d + 500, 3, 7, s));
    T(cuMemsetD2D8(d + 1001, 50, 4, 33, 9));
    T(cuMemsetD2D16(d + 2000, 50, 0x506, 7, 9));
    T(cuMemsetD2D32(d + 3000, 64, 0x708090a, 7, 9));
    T(cuMemsetD2D8Async(d + 4001, 51, 4, 33, 9, s));
    T(cuMemsetD2D16Async(d + 5000, 52, 0x506, 7, 9, s));
    T(cuMemsetD2D32Async(d + 6000, 52, 0x708090a, 7, 9, s));
    T(cuStreamSynchronize(s));
    look("2D");
    T(cuMemsetD16(d + 1, 0, 4));
    T(cuMemsetD32(d + 2, 0, 4));
    T(cuMemsetD8(d, 0, 0));
    T(cuMemsetD8(0, 0, 0));
    T(cuMemsetD8(0, 0, 5));
    T(cuMemsetD2D16(d, 51, 0, 5, 5));
    T(cuMemsetD2D32(d, 66, 0, 5, 5));
    T(cuMemsetD2D8(d, 10, 0, 11, 5));
    T(cuMemsetD2D8(d, 10, 0, 11, 1));
    T(cuMemsetD2D8(d, 0, 0, 11, 1));
    T(cuMemsetD2D8(d, 64, 0, 0, 5));
    T(cuMemsetD2D8(d, 64, 0, 5, 0));
    look("after refusals");
    return 0;
}
