/* SPDX-License-Identifier: MIT */
/* covers: cuArrayGetMemoryRequirements cuArrayGetPlane cuArrayGetSparseProperties
 * cuMipmappedArrayGetMemoryRequirements cuMipmappedArrayGetSparseProperties
 * cudaArrayGetMemoryRequirements cudaArrayGetSparseProperties
 * cudaMipmappedArrayGetMemoryRequirements cudaMipmappedArrayGetSparseProperties
 * cuSurfObjectCreate cuSurfObjectDestroy cuSurfObjectGetResourceDesc cudaCreateChannelDesc
 * cuMemGetDefaultMemPool cuMemGetMemPool cuMemSetMemPool */
/* Questions about arrays that are neither sparse nor mapped late, and other small things. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    struct cudaChannelFormatDesc c =
        cudaCreateChannelDesc(32, 16, 0, 0, cudaChannelFormatKindFloat);
    CUDA_ARRAY3D_DESCRIPTOR d3 = {
        64, 64, 0, CU_AD_FORMAT_UNSIGNED_INT8, 1, CUDA_ARRAY3D_SURFACE_LDST};
    CUDA_ARRAY_MEMORY_REQUIREMENTS need = {0};
    CUDA_ARRAY_SPARSE_PROPERTIES sparse = {0};
    struct cudaArrayMemoryRequirements rneed = {0};
    struct cudaArraySparseProperties rsparse = {0};
    CUmemLocation here = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
    CUDA_RESOURCE_DESC r = {0}, back = {0};
    CUmemoryPool pool = NULL, same = NULL;
    CUmipmappedArray m;
    CUsurfObject s = 0;
    CUarray a, plane = NULL;

    T_OK(cudaFree(NULL));
    T_INT("x", c.x);
    T_INT("y", c.y);
    T_INT("z", c.z);
    T_INT("kind", c.f);
    T_OK(cuArray3DCreate(&a, &d3));
    T_OK(cuMipmappedArrayCreate(&m, &d3, 3));
    T(cuArrayGetMemoryRequirements(&need, a, 0));
    T(cuMipmappedArrayGetMemoryRequirements(&need, m, 0));
    T(cudaArrayGetMemoryRequirements(&rneed, (cudaArray_t)a, 0));
    T(cudaMipmappedArrayGetMemoryRequirements(&rneed, (cudaMipmappedArray_t)m, 0));
    T(cuArrayGetSparseProperties(&sparse, a));
    T(cuMipmappedArrayGetSparseProperties(&sparse, m));
    T(cudaArrayGetSparseProperties(&rsparse, (cudaArray_t)a));
    T(cudaMipmappedArrayGetSparseProperties(&rsparse, (cudaMipmappedArray_t)m));
    T(cuArrayGetPlane(&plane, a, 0));
    T(cuArrayGetPlane(&plane, a, 1));
    r.resType = CU_RESOURCE_TYPE_ARRAY;
    r.res.array.hArray = a;
    T(cuSurfObjectCreate(&s, &r));
    T(cuSurfObjectGetResourceDesc(&back, s));
    T_INT("type", back.resType);
    T_BOOL("same", back.res.array.hArray == a);
    T(cuSurfObjectDestroy(s));
    r.resType = CU_RESOURCE_TYPE_LINEAR;
    T(cuSurfObjectCreate(&s, &r));
    T(cuArrayDestroy(a));
    T(cuMipmappedArrayDestroy(m));

    T(cuMemGetDefaultMemPool(&pool, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    T_BOOL("pool", pool != NULL);
    T(cuDeviceGetDefaultMemPool(&same, 0));
    T_BOOL("same", pool == same);
    T(cuMemGetMemPool(&same, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    T_BOOL("same", pool == same);
    T(cuMemSetMemPool(&here, CU_MEM_ALLOCATION_TYPE_PINNED, pool));
    here.id = 99;
    T(cuMemGetDefaultMemPool(&pool, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
    here.id = 0;
    T(cuMemGetDefaultMemPool(&pool, &here, (CUmemAllocationType)99));
    T(cuMemSetMemPool(&here, CU_MEM_ALLOCATION_TYPE_PINNED, NULL));
    return 0;
}
