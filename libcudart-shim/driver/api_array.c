/* SPDX-License-Identifier: MIT */
/*
 * api_array.c - arrays and copies from and to them, of the driver API.
 */
#include "api.h"
#include "array.h"

static uint64_t id(const void *array)
{
    return (uintptr_t)array;
}

/* ---- arrays ------------------------------------------------------------------------------ */

CUresult cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *q)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = array ? gvm_array_create(q, 0, &h) : 1;
    if (rc == 0)
        *array = (CUarray)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuArrayCreate(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *q)
{
    CUDA_ARRAY3D_DESCRIPTOR d;

    if (!q)
        return cuArray3DCreate(array, NULL);
    d = (CUDA_ARRAY3D_DESCRIPTOR){
        .Width = q->Width, .Height = q->Height, .Format = q->Format, .NumChannels = q->NumChannels};
    return cuArray3DCreate(array, &d);
}

static int describe(CUDA_ARRAY3D_DESCRIPTOR *q, const void *out, CUarray array)
{
    int rc = api_need();

    if (rc == 0 && !out)
        rc = 1;
    return rc ? rc : gvm_array_desc(id(array), false, q);
}

CUresult cuArray3DGetDescriptor(CUDA_ARRAY3D_DESCRIPTOR *q, CUarray array)
{
    return (CUresult)describe(q, q, array);
}

CUresult cuArrayGetDescriptor(CUDA_ARRAY_DESCRIPTOR *q, CUarray array)
{
    CUDA_ARRAY3D_DESCRIPTOR d;
    int rc = describe(&d, q, array);

    if (rc == 0)
        *q = (CUDA_ARRAY_DESCRIPTOR){
            .Width = d.Width, .Height = d.Height, .Format = d.Format, .NumChannels = d.NumChannels};
    return (CUresult)rc;
}

CUresult cuArrayDestroy(CUarray array)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_array_destroy(id(array), false));
}

/* Of sparse, deferred-mapping and multi-planar arrays, which cannot be made: wrong for all others. */
static CUresult special(const void *out, uint64_t array, bool mipmap)
{
    CUDA_ARRAY3D_DESCRIPTOR d;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_array_desc(array, mipmap, &d);
    return (CUresult)(rc ? rc : 1);
}

CUresult cuArrayGetPlane(CUarray *plane, CUarray array, unsigned index)
{
    return special(plane, id(array), false);
}

CUresult cuArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *p, CUarray array)
{
    return special(p, id(array), false);
}

CUresult cuMipmappedArrayGetSparseProperties(CUDA_ARRAY_SPARSE_PROPERTIES *p,
                                             CUmipmappedArray mipmap)
{
    return special(p, id(mipmap), true);
}

CUresult cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *m, CUarray array,
                                      CUdevice dev)
{
    return special(m, id(array), false);
}

CUresult cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *m,
                                               CUmipmappedArray mipmap, CUdevice dev)
{
    return special(m, id(mipmap), true);
}

/* ---- mipmapped arrays -------------------------------------------------------------------- */

CUresult cuMipmappedArrayCreate(CUmipmappedArray *mipmap, const CUDA_ARRAY3D_DESCRIPTOR *q,
                                unsigned levels)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = mipmap ? gvm_array_create(q, levels ? levels : 1, &h) : 1;
    if (rc == 0)
        *mipmap = (CUmipmappedArray)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray mipmap, unsigned level)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = array ? gvm_array_level(id(mipmap), level, &h) : 1;
    if (rc == 0)
        *array = (CUarray)(uintptr_t)h;
    return (CUresult)rc;
}

CUresult cuMipmappedArrayDestroy(CUmipmappedArray mipmap)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_array_destroy(id(mipmap), true));
}

/* ---- copies ------------------------------------------------------------------------------ */

static CUresult linear(CUarray array, size_t off, uint64_t addr, size_t n, bool to_array,
                       enum gvm_dir dir, CUstream s, bool sync)
{
    int rc = api_need();

    return (CUresult)(rc ? rc
                         : gvm_array_copy(id(array), off, 0, addr, n, to_array, dir, api_stream(s),
                                          sync));
}

GVM_API CUresult cuMemcpyHtoA_v2_ptds(CUarray dst, size_t off, const void *src, size_t n);
GVM_API CUresult cuMemcpyAtoH_v2_ptds(void *dst, CUarray src, size_t off, size_t n);
GVM_API CUresult cuMemcpyDtoA_v2_ptds(CUarray dst, size_t off, CUdeviceptr src, size_t n);
GVM_API CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr dst, CUarray src, size_t off, size_t n);
GVM_API CUresult cuMemcpyAtoA_v2_ptds(CUarray dst, size_t doff, CUarray src, size_t soff, size_t n);
GVM_API CUresult cuMemcpyHtoAAsync_v2_ptsz(CUarray dst, size_t off, const void *src, size_t n,
                                           CUstream s);
GVM_API CUresult cuMemcpyAtoHAsync_v2_ptsz(void *dst, CUarray src, size_t off, size_t n,
                                           CUstream s);

CUresult cuMemcpyHtoA(CUarray dst, size_t off, const void *src, size_t n)
{
    return linear(dst, off, (uintptr_t)src, n, true, GVM_H2D, NULL, true);
}

CUresult cuMemcpyHtoA_v2_ptds(CUarray dst, size_t off, const void *src, size_t n)
{
    return linear(dst, off, (uintptr_t)src, n, true, GVM_H2D, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpyHtoAAsync(CUarray dst, size_t off, const void *src, size_t n, CUstream s)
{
    return linear(dst, off, (uintptr_t)src, n, true, GVM_H2D, s, false);
}

CUresult cuMemcpyHtoAAsync_v2_ptsz(CUarray dst, size_t off, const void *src, size_t n, CUstream s)
{
    return cuMemcpyHtoAAsync(dst, off, src, n, api_own(s));
}

CUresult cuMemcpyAtoH(void *dst, CUarray src, size_t off, size_t n)
{
    return linear(src, off, (uintptr_t)dst, n, false, GVM_D2H, NULL, true);
}

CUresult cuMemcpyAtoH_v2_ptds(void *dst, CUarray src, size_t off, size_t n)
{
    return linear(src, off, (uintptr_t)dst, n, false, GVM_D2H, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpyAtoHAsync(void *dst, CUarray src, size_t off, size_t n, CUstream s)
{
    return linear(src, off, (uintptr_t)dst, n, false, GVM_D2H, s, false);
}

CUresult cuMemcpyAtoHAsync_v2_ptsz(void *dst, CUarray src, size_t off, size_t n, CUstream s)
{
    return cuMemcpyAtoHAsync(dst, src, off, n, api_own(s));
}

CUresult cuMemcpyDtoA(CUarray dst, size_t off, CUdeviceptr src, size_t n)
{
    return linear(dst, off, src, n, true, GVM_D2D, NULL, true);
}

CUresult cuMemcpyDtoA_v2_ptds(CUarray dst, size_t off, CUdeviceptr src, size_t n)
{
    return linear(dst, off, src, n, true, GVM_D2D, CU_STREAM_PER_THREAD, true);
}

CUresult cuMemcpyAtoD(CUdeviceptr dst, CUarray src, size_t off, size_t n)
{
    return linear(src, off, dst, n, false, GVM_D2D, NULL, true);
}

CUresult cuMemcpyAtoD_v2_ptds(CUdeviceptr dst, CUarray src, size_t off, size_t n)
{
    return linear(src, off, dst, n, false, GVM_D2D, CU_STREAM_PER_THREAD, true);
}

static CUresult both(CUarray dst, size_t doff, CUarray src, size_t soff, size_t n, CUstream s)
{
    int rc = api_need();

    return (CUresult)(rc ? rc
                         : gvm_array_copy_array(id(dst), doff, 0, id(src), soff, 0, n,
                                                api_stream(s), true));
}

CUresult cuMemcpyAtoA(CUarray dst, size_t doff, CUarray src, size_t soff, size_t n)
{
    return both(dst, doff, src, soff, n, NULL);
}

CUresult cuMemcpyAtoA_v2_ptds(CUarray dst, size_t doff, CUarray src, size_t soff, size_t n)
{
    return both(dst, doff, src, soff, n, CU_STREAM_PER_THREAD);
}
