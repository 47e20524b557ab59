/* SPDX-License-Identifier: MIT */
/* covers: cuMemAlloc cuMemFree cuMemAllocPitch cuMemGetAddressRange cuMemcpy cuMemcpyHtoD cuMemcpyDtoH
 * cuMemcpyDtoD cuMemcpyAsync cuMemcpyHtoDAsync cuMemcpyDtoHAsync cuMemcpyDtoDAsync */
/* Linear memory of the driver API. */
#include <cuda.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[5000], out[5000];
    CUdeviceptr p = 0, q = 0, base = 0;
    CUcontext ctx;
    CUdevice dev;
    CUstream s;
    size_t n = 0;
    void *pin;

    T(cuMemAlloc(&p, 16));
    T_OK(cuInit(0));
    T(cuMemAlloc(&p, 16));
    T(cuMemcpyHtoD(p, in, 16));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    t_fill(in, sizeof(in), 5);
    T(cuMemAlloc(&p, sizeof(in)));
    T(cuMemAlloc(&q, sizeof(in)));
    T_BOOL("aligned", p % 256 == 0 && q % 256 == 0);
    T(cuMemcpyHtoD(p, in, sizeof(in)));
    T(cuMemcpyDtoD(q + 1, p, 4000));
    T(cuMemcpyDtoH(out, q, 4001));
    T_BOOL("moved by one", memcmp(out + 1, in, 4000) == 0);
    T(cuMemcpy(q, p, sizeof(in)));
    T(cuMemcpy((CUdeviceptr)(uintptr_t)out, q, sizeof(in)));
    T_DIGEST("unified", out, sizeof(out));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T_OK(cuMemAllocHost(&pin, sizeof(in)));
    t_fill(pin, sizeof(in), 6);
    T(cuMemcpyHtoDAsync(p, pin, sizeof(in), s));
    T(cuMemcpyDtoDAsync(q, p, sizeof(in), s));
    T(cuMemcpyDtoHAsync(out, q, sizeof(in), s));
    T(cuMemcpyAsync((CUdeviceptr)(uintptr_t)pin + 100, q, 1000, s));
    T(cuStreamSynchronize(s));
    T_DIGEST("async", out, sizeof(out));
    T_DIGEST("pinned", pin, sizeof(in));

    T(cuMemGetAddressRange(&base, &n, p + 77));
    T_BOOL("base", base == p);
    T_INT("size", n);
    T(cuMemGetAddressRange(NULL, NULL, p));
    T(cuMemGetAddressRange(&base, &n, 16));
    T(cuMemAlloc(NULL, 5));
    T(cuMemAlloc(&base, 0));
    T(cuMemAlloc(&base, (size_t)1 << 50));
    T(cuMemcpyHtoD(p, in, 0));
    T(cuMemcpyHtoD(0, in, 0));
    T(cuMemcpyHtoD(0, in, 5));
    T(cuMemcpyHtoD(p, NULL, 5));
    T(cuMemcpyDtoH(NULL, p, 5));
    T(cuMemcpyDtoD(p, 0, 5));
    T(cuMemcpyHtoD((CUdeviceptr)(uintptr_t)out, in, 5));
    T(cuMemcpyHtoD((CUdeviceptr)(uintptr_t)pin, in, 5));
    T(cuMemcpyHtoDAsync(p, in, 5, (CUstream)(uintptr_t)0x1));
    T(cuMemcpyHtoDAsync(p, in, 5, (CUstream)(uintptr_t)0x2));
    T(cuMemFree(p + 16));
    T(cuMemFree(p));
    T(cuMemFree(p));
    T(cuMemFree(0));
    T(cuMemAllocPitch(&p, &n, 100, 10, 4));
    T_DEVICE("pitch", n);
    T(cuMemAllocPitch(&q, &n, 100, 10, 3));
    T(cuMemAllocPitch(&q, &n, 0, 10, 4));
    T(cuMemAllocPitch(&q, &n, 100, 0, 4));
    T(cuMemAllocPitch(&q, NULL, 100, 10, 4));
    T(cuMemAllocPitch(NULL, &n, 100, 10, 16));
    T(cuMemAllocPitch(&q, &n, 1000, 2, 16));
    T_DEVICE("pitch of 1000", n);
    T(cuMemFree(p));
    T(cuCtxSynchronize());
    return 0;
}
