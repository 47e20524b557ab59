/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceGetAttribute cuDeviceGetAttribute cuDeviceGet cuDeviceGetCount */
/* Every attribute by both interfaces, which must agree, and numbers that are none. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    CUdevice dev = -1;
    int n = -1, same = 1;

    T_OK(cuInit(0));
    T(cuDeviceGetCount(&n));
    T_DEVICE("count", n);
    T(cuDeviceGetCount(NULL));
    T(cuDeviceGet(&dev, 0));
    T_INT("dev", dev);
    T(cuDeviceGet(&dev, -1));
    T(cuDeviceGet(&dev, 1000));
    T(cuDeviceGet(NULL, 0));
    for (int i = 0; i <= CU_DEVICE_ATTRIBUTE_MAX + 1; i++) {
        int a = -77, b = -77;
        int ra = cuDeviceGetAttribute(&a, (CUdevice_attribute)i, 0);
        int rb = cudaDeviceGetAttribute(&b, (enum cudaDeviceAttr)i, 0);

        printf("%d = %d %d\n", i, ra, rb);
        printf("%d @ %d %d\n", i, a, b);
        if (a != b)
            same = 0;
    }
    T_BOOL("both the same", same);
    T(cuDeviceGetAttribute(&n, (CUdevice_attribute)-1, 0));
    T(cudaDeviceGetAttribute(&n, (enum cudaDeviceAttr)100000, 0));
    T(cuDeviceGetAttribute(NULL, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0));
    T(cudaDeviceGetAttribute(NULL, cudaDevAttrWarpSize, 0));
    T(cuDeviceGetAttribute(&n, CU_DEVICE_ATTRIBUTE_WARP_SIZE, -1));
    T(cuDeviceGetAttribute(&n, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 1000));
    T(cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, -1));
    T(cudaDeviceGetAttribute(&n, cudaDevAttrWarpSize, 1000));
    T(cudaGetLastError());
    return 0;
}
