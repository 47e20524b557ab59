/* SPDX-License-Identifier: MIT */
/* covers: cuIpcGetMemHandle cuIpcOpenMemHandle cuIpcOpenMemHandle_v2 cuIpcCloseMemHandle cuMemGetAddressRange_v2
 * cuPointerGetAttribute */
/* Allocations of several sizes, in another process: addresses, ranges, attributes, both directions. */
#include <cuda.h>

#include "two.h"

/* The older form. */
CUresult old_open(CUdeviceptr *p, CUipcMemHandle h, unsigned flags) __asm__("cuIpcOpenMemHandle");

#define N 3
static const size_t sizes[N] = {1000, 70000, 5 << 20};

static void init(void)
{
    CUcontext ctx;
    CUdevice dev;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
}

static void child(int s)
{
    CUipcMemHandle h[N], bad;
    CUdeviceptr p[N], q = 0, base;
    size_t n;
    void *data = malloc(5 << 20);
    int v;
    unsigned type;

    take(s, h, sizeof(h));
    printf("-- child\n");
    init();
    for (int i = 0; i < N; i++) {
        T_OK(cuIpcOpenMemHandle(&p[i], h[i], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
        T(cuMemcpyDtoH(data, p[i], sizes[i]));
        T_DIGEST("sees", data, sizes[i]);
        T(cuMemGetAddressRange(&base, &n, p[i] + 17));
        T_INT("size", n);
        T_BOOL("base", base == p[i]);
        T(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p[i]));
        T_INT("type", type);
        T(cuPointerGetAttribute(&v, CU_POINTER_ATTRIBUTE_IS_MANAGED, p[i]));
        T_INT("managed", v);
        T(cuMemsetD32(p[i], 0x01010101 * (unsigned)(i + 1), sizes[i] / 4));
    }
    T(cuCtxSynchronize());
    T(cuIpcOpenMemHandle(&q, h[1], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    T_BOOL("same address", q == p[1]);
    T(old_open(&q, h[1], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    T_BOOL("same address", q == p[1]);
    T(cuIpcCloseMemHandle(q));
    T(cuIpcOpenMemHandle(&q, h[1], 0));
    T(cuIpcOpenMemHandle(&q, h[1], 2));
    memset(&bad, 0x33, sizeof(bad));
    T(cuIpcOpenMemHandle(&q, bad, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    T(cuMemFree(p[0]));
    T(cuPointerGetAttribute(&v, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, p[0]));
    T_INT("capable", v);
    T(cuIpcGetMemHandle(&bad, p[0]));
    T(cuIpcCloseMemHandle(p[0] + 256));
    T(cuIpcCloseMemHandle(0));
    turn(s);
    printf("-- child\n");
    T(cuMemcpyDtoH(data, p[2], sizes[2]));
    T_DIGEST("sees", data, sizes[2]);
    T(cuIpcCloseMemHandle(p[1]));
    T(cuMemcpyDtoH(data, p[1], 100)); /* opened twice */
    T_DIGEST("sees", data, 100);
    for (int i = 0; i < N; i++)
        T(cuIpcCloseMemHandle(p[i]));
    T(cuIpcCloseMemHandle(p[0]));
    give(s, "e", 1, -1);
}

int main(void)
{
    CUipcMemHandle h[N], again, inside;
    CUdeviceptr p[N], q;
    uint8_t *data = malloc(5 << 20);
    int v = 0;
    pid_t pid;
    int s = start(child, &pid);
    char c;

    init();
    for (int i = 0; i < N; i++) {
        t_fill(data, sizes[i], 7 + (uint32_t)i);
        T_OK(cuMemAlloc(&p[i], sizes[i]));
        T_OK(cuMemcpyHtoD(p[i], data, sizes[i]));
        T_OK(cuIpcGetMemHandle(&h[i], p[i]));
        T(cuPointerGetAttribute(&v, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, p[i]));
        T_INT("capable", v);
    }
    T(cuIpcGetMemHandle(&again, p[0]));
    T_BOOL("the same handle", memcmp(&again, &h[0], sizeof(again)) == 0);
    T(cuIpcGetMemHandle(&inside, p[2] + 4096));
    T_BOOL("of the allocation", memcmp(&inside, &h[2], sizeof(inside)) == 0);
    T(cuIpcGetMemHandle(&again, 0));
    T(cuIpcGetMemHandle(NULL, p[0]));
    T(cuIpcOpenMemHandle(&q, h[0], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    give(s, h, sizeof(h), -1);
    take(s, &c, 1);
    printf("-- parent\n");
    for (int i = 0; i < N; i++) {
        T(cuMemcpyDtoH(data, p[i], sizes[i]));
        T_DIGEST("sees", data, sizes[i]);
    }
    t_fill(data, sizes[2], 99);
    T(cuMemcpyHtoD(p[2], data, sizes[2]));
    T(cuCtxSynchronize()); /* pageable memory may still be on its way */
    turn(s);
    finish(pid);
    for (int i = 0; i < N; i++)
        T(cuMemFree(p[i]));
    T(cuIpcOpenMemHandle(&q, h[0], CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    return 0;
}
