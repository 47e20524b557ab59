/* SPDX-License-Identifier: MIT */
/* Built without PTX (-gencode arch=compute_90,code=sm_90): on a device that cannot run sm_90 code
 * the launch reports 209, and so does everything else that needs the module. */
#include "check.h"

__global__ void nothing(int *p)
{
    *p = 1;
}

int main(void)
{
    int *p, major = 0;
    cudaError_t err;

    test_name = "noPTX";
    CHECK(cudaMalloc(&p, sizeof(int)));
    CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    nothing<<<1, 1>>>(p);
    err = cudaGetLastError();
    printf("launch: %d %s\n", (int)err, cudaGetErrorName(err));
    if (err == cudaSuccess) { /* a device of that very architecture */
        EXPECT(major == 9);
        CHECK(cudaDeviceSynchronize());
    } else {
        struct cudaFuncAttributes a;

        EXPECT(err == cudaErrorNoKernelImageForDevice);
        EXPECT(cudaFuncGetAttributes(&a, nothing) == cudaErrorNoKernelImageForDevice);
        cudaGetLastError();
        CHECK(cudaFree(p)); /* not sticky */
    }
    return passed();
}
