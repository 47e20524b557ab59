/* SPDX-License-Identifier: MIT */
/*
 * api_memory.c - allocations, copies, fills and pointer attributes of the driver API.
 */
#include "api.h"
#include "mempool.h"
#include "vmm.h"

#include <string.h>

/* A number of the runtime's that the driver API does not have. */
static CUresult result(int rc)
{
    return (CUresult)(rc == 12 ? 1 : rc);
}

CUresult cuMemAlloc(CUdeviceptr *p, size_t n)
{
    uint64_t d = 0;
    int rc = api_need();

    if (rc == 0)
        rc = p ? gvm_mem_alloc(n, &d) : 1;
    if (rc == 0)
        *p = d;
    return (CUresult)rc;
}

CUresult cuMemAllocPitch(CUdeviceptr *p, size_t *pitch, size_t width, size_t height, unsigned elem)
{
    uint64_t d = 0;
    size_t total, row;
    int rc = api_need();

    if (rc == 0 && (!p || !pitch || !width || !height || (elem != 4 && elem != 8 && elem != 16)))
        rc = 1;
    if (rc)
        return (CUresult)rc;
    if (width > SIZE_MAX - 511)
        return CUDA_ERROR_OUT_OF_MEMORY;
    row = (width + 511) & ~(size_t)511;
    if (__builtin_mul_overflow(row, height, &total))
        return CUDA_ERROR_OUT_OF_MEMORY;
    rc = gvm_mem_alloc(total, &d);
    if (rc == 0) {
        *p = d;
        *pitch = row;
    }
    return (CUresult)rc;
}

CUresult cuMemFree(CUdeviceptr p)
{
    int rc = p ? api_need() : api_need_init();

    return (CUresult)(rc || !p ? rc : gvm_mem_free(p));
}

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total)
{
    uint64_t f = 0, t = 0;
    int rc = api_need();

    if (rc == 0)
        rc = gvm_mem_info(&f, &t);
    if (rc == 0 && free_bytes)
        *free_bytes = f;
    if (rc == 0 && total)
        *total = t;
    return (CUresult)rc;
}

CUresult cuMemGetAddressRange(CUdeviceptr *base, size_t *size, CUdeviceptr p)
{
    struct gvm_range g;
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    gvm_find(p, &g);
    if (g.kind == GVM_HOST)
        return CUDA_ERROR_NOT_FOUND;
    if (base)
        *base = g.base;
    if (size)
        *size = g.size;
    return CUDA_SUCCESS;
}

CUresult cuMemHostAlloc(void **p, size_t n, unsigned flags)
{
    int rc = api_need();

    if (rc == 0 && flags & ~(unsigned)(CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP |
                                       CU_MEMHOSTALLOC_WRITECOMBINED))
        rc = 1;
    return (CUresult)(rc ? rc : gvm_host_alloc(n, flags, GVM_PINNED, p));
}

CUresult cuMemAllocHost(void **p, size_t n)
{
    return cuMemHostAlloc(p, n, 0);
}

CUresult cuMemFreeHost(void *p)
{
    int rc = p ? api_need() : api_need_init();

    return (CUresult)(rc || !p ? rc : gvm_host_free(p));
}

CUresult cuMemHostGetDevicePointer(CUdeviceptr *d, void *p, unsigned flags)
{
    uint64_t v = 0;
    int rc = api_need();

    if (rc == 0)
        rc = !d || flags ? 1 : gvm_host_device_pointer(p, &v);
    if (rc == 0)
        *d = v;
    return (CUresult)rc;
}

CUresult cuMemHostGetFlags(unsigned *flags, void *p)
{
    struct gvm_range g;
    int rc = api_need();

    if (rc)
        return (CUresult)rc;
    gvm_find((uintptr_t)p, &g);
    if (g.kind == GVM_HOST)
        gvm_host_registered((uintptr_t)p, &g);
    if (!flags || g.kind != GVM_PINNED)
        return CUDA_ERROR_INVALID_VALUE;
    *flags = g.flags | CU_MEMHOSTALLOC_DEVICEMAP;
    return CUDA_SUCCESS;
}

CUresult cuMemAllocManaged(CUdeviceptr *p, size_t n, unsigned flags)
{
    void *v = NULL;
    int rc = api_need();

    if (rc == 0 && (!p || (flags != CU_MEM_ATTACH_GLOBAL && flags != CU_MEM_ATTACH_HOST)))
        rc = 1;
    if (rc == 0)
        rc = gvm_host_alloc(n, flags, GVM_MANAGED, &v);
    if (rc == 0)
        *p = (uintptr_t)v;
    return (CUresult)rc;
}

/* ---- pointer attributes -------------------------------------------------------------------- */

/* What is known of an address, registered memory included. */
static void look(CUdeviceptr p, struct gvm_range *g)
{
    struct gvm_range r;

    gvm_find(p, g);
    if (g->kind == GVM_HOST && gvm_host_registered(p, &r))
        *g = r;
}

static uint32_t allowed_types(const struct gvm_range *g)
{
    return g->sub == GVM_SUB_POOL     ? gvm_mempool_types(g->pool)
           : g->sub == GVM_SUB_MAPPED ? gvm_vmm_types(g->pool)
                                      : 0;
}

static int attribute(void *out, CUpointer_attribute a, CUdeviceptr p, const struct gvm_range *g)
{
    bool managed = g->kind == GVM_MANAGED || g->sub == GVM_SUB_SHADOW;
    bool pool = g->kind == GVM_PINNED || managed;
    uint64_t d;

    switch (a) {
    case CU_POINTER_ATTRIBUTE_CONTEXT:
        *(CUcontext *)out = g->sub == GVM_SUB_POOL ? NULL : api_current();
        return 0;
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)out = g->kind == GVM_PINNED ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
        return 0;
    case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        if (pool && g->sub != GVM_SUB_SHADOW && gvm_host_device_pointer((void *)p, &d))
            return 1;
        *(CUdeviceptr *)out = p;
        return 0;
    case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        if (!pool)
            return 1;
        *(void **)out = (void *)p;
        return 0;
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
        *(int *)out = managed || g->marks & GVM_MARK_SYNC_MEMOPS;
        return 0;
    case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
    case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        *(unsigned long long *)out = g->id;
        return 0;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
        *(int *)out = managed;
        return 0;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
        *(int *)out = 0;
        return 0;
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
        *(int *)out = g->kind == GVM_DEVICE && g->sub == GVM_SUB_PLAIN;
        return 0;
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
        *(int *)out = 0;
        return 0;
    case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
        *(CUdeviceptr *)out = g->base;
        return 0;
    case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        *(size_t *)out = g->size;
        return 0;
    case CU_POINTER_ATTRIBUTE_MAPPED:
        *(int *)out = 1;
        return 0;
    case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
        *(uint64_t *)out = g->sub == GVM_SUB_POOL ? g->pool : 0;
        return 0;
    case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        *(unsigned long long *)out = allowed_types(g);
        return 0;
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        *(unsigned *)out = g->sub == GVM_SUB_MAPPED ? g->marks & 3 : 3;
        return 0;
    default:
        return 1;
    }
}

/* Octets of an attribute's value, for those of memory that is not ours. */
static size_t attribute_size(CUpointer_attribute a)
{
    switch (a) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
    case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
    case CU_POINTER_ATTRIBUTE_IS_MANAGED:
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
    case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
    case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
    case CU_POINTER_ATTRIBUTE_MAPPED:
    case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
        return 4;
    case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
    case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
        return 0; /* left alone natively */
    default:
        return 8;
    }
}

CUresult cuPointerGetAttribute(void *out, CUpointer_attribute a, CUdeviceptr p)
{
    struct gvm_range g;
    int rc = api_need_init();

    if (rc)
        return (CUresult)rc;
    look(p, &g);
    return (CUresult)(!out || g.kind == GVM_HOST ? 1 : attribute(out, a, p, &g));
}

/* Memory that is not ours has every attribute but the range, as zero. */
CUresult cuPointerGetAttributes(unsigned n, CUpointer_attribute *a, void **out, CUdeviceptr p)
{
    struct gvm_range g;
    int rc = api_need();

    if (rc == 0 && (!n || !a || !out))
        rc = 1;
    if (rc)
        return (CUresult)rc;
    look(p, &g);
    for (unsigned i = 0; i < n; i++)
        if (g.kind == GVM_HOST || attribute(out[i], a[i], p, &g))
            memset(out[i], 0, attribute_size(a[i]));
    return CUDA_SUCCESS;
}

CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute a, CUdeviceptr p)
{
    uint32_t on;
    int rc = api_need();

    if (rc == 0 && (!value || a != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS))
        rc = 1;
    if (rc)
        return (CUresult)rc;
    /* Copies from and to this memory are as synchronous as the program asks for already. */
    on = *(const unsigned *)value ? GVM_MARK_SYNC_MEMOPS : 0;
    return gvm_ranges_mark(&gvm_allocs, p, on, GVM_MARK_SYNC_MEMOPS) ? CUDA_SUCCESS
                                                                     : CUDA_ERROR_INVALID_VALUE;
}

/* ---- copies -------------------------------------------------------------------------------- */

static CUresult copy(CUdeviceptr dst, CUdeviceptr src, size_t n, enum gvm_dir dir, CUstream s,
                     bool sync)
{
    int rc = api_need();

    return result(rc ? rc : gvm_copy(dst, src, n, dir, api_stream(s), sync));
}

/* NAME and its twin: the call on the stream given (0: legacy), and on the thread's own. */
#define COPY_SYNC(name, twin, dst_t, src_t, dir)                                                   \
    GVM_API CUresult twin(dst_t dst, src_t src, size_t n);                                         \
    CUresult name(dst_t dst, src_t src, size_t n)                                                  \
    {                                                                                              \
        return copy((CUdeviceptr)dst, (CUdeviceptr)src, n, dir, NULL, true);                       \
    }                                                                                              \
    CUresult twin(dst_t dst, src_t src, size_t n)                                                  \
    {                                                                                              \
        return copy((CUdeviceptr)dst, (CUdeviceptr)src, n, dir, CU_STREAM_PER_THREAD, true);       \
    }
#define COPY_ASYNC(name, twin, dst_t, src_t, dir)                                                  \
    GVM_API CUresult twin(dst_t dst, src_t src, size_t n, CUstream s);                             \
    CUresult name(dst_t dst, src_t src, size_t n, CUstream s)                                      \
    {                                                                                              \
        return copy((CUdeviceptr)dst, (CUdeviceptr)src, n, dir, s, false);                         \
    }                                                                                              \
    CUresult twin(dst_t dst, src_t src, size_t n, CUstream s)                                      \
    {                                                                                              \
        return copy((CUdeviceptr)dst, (CUdeviceptr)src, n, dir, api_own(s), false);                \
    }

COPY_SYNC(cuMemcpy, cuMemcpy_ptds, CUdeviceptr, CUdeviceptr, GVM_ANY)
COPY_SYNC(cuMemcpyHtoD, cuMemcpyHtoD_v2_ptds, CUdeviceptr, const void *, GVM_H2D)
COPY_SYNC(cuMemcpyDtoH, cuMemcpyDtoH_v2_ptds, void *, CUdeviceptr, GVM_D2H)
COPY_SYNC(cuMemcpyDtoD, cuMemcpyDtoD_v2_ptds, CUdeviceptr, CUdeviceptr, GVM_D2D)
COPY_ASYNC(cuMemcpyAsync, cuMemcpyAsync_ptsz, CUdeviceptr, CUdeviceptr, GVM_ANY)
COPY_ASYNC(cuMemcpyHtoDAsync, cuMemcpyHtoDAsync_v2_ptsz, CUdeviceptr, const void *, GVM_H2D)
COPY_ASYNC(cuMemcpyDtoHAsync, cuMemcpyDtoHAsync_v2_ptsz, void *, CUdeviceptr, GVM_D2H)
COPY_ASYNC(cuMemcpyDtoDAsync, cuMemcpyDtoDAsync_v2_ptsz, CUdeviceptr, CUdeviceptr, GVM_D2D)

/* ---- fills --------------------------------------------------------------------------------- */

static CUresult fill(CUdeviceptr d, size_t pitch, uint32_t v, unsigned elem, size_t w, size_t h,
                     CUstream s, bool sync)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_fill(d, pitch, v, elem, w, h, api_stream(s), sync));
}

#define FILL(bits, type, elem)                                                                     \
    GVM_API CUresult cuMemsetD##bits##_v2_ptds(CUdeviceptr d, type v, size_t n);                   \
    GVM_API CUresult cuMemsetD##bits##Async_ptsz(CUdeviceptr d, type v, size_t n, CUstream s);     \
    GVM_API CUresult cuMemsetD2D##bits##_v2_ptds(CUdeviceptr d, size_t p, type v, size_t w,        \
                                                 size_t h);                                        \
    GVM_API CUresult cuMemsetD2D##bits##Async_ptsz(CUdeviceptr d, size_t p, type v, size_t w,      \
                                                   size_t h, CUstream s);                          \
    CUresult cuMemsetD##bits##_v2(CUdeviceptr d, type v, size_t n)                                 \
    {                                                                                              \
        return fill(d, 0, v, elem, n, 1, NULL, true);                                              \
    }                                                                                              \
    CUresult cuMemsetD##bits##_v2_ptds(CUdeviceptr d, type v, size_t n)                            \
    {                                                                                              \
        return fill(d, 0, v, elem, n, 1, CU_STREAM_PER_THREAD, true);                              \
    }                                                                                              \
    CUresult cuMemsetD##bits##Async(CUdeviceptr d, type v, size_t n, CUstream s)                   \
    {                                                                                              \
        return fill(d, 0, v, elem, n, 1, s, false);                                                \
    }                                                                                              \
    CUresult cuMemsetD##bits##Async_ptsz(CUdeviceptr d, type v, size_t n, CUstream s)              \
    {                                                                                              \
        return fill(d, 0, v, elem, n, 1, api_own(s), false);                                       \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##_v2(CUdeviceptr d, size_t p, type v, size_t w, size_t h)           \
    {                                                                                              \
        return fill(d, p, v, elem, w, h, NULL, true);                                              \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##_v2_ptds(CUdeviceptr d, size_t p, type v, size_t w, size_t h)      \
    {                                                                                              \
        return fill(d, p, v, elem, w, h, CU_STREAM_PER_THREAD, true);                              \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##Async(CUdeviceptr d, size_t p, type v, size_t w, size_t h,         \
                                      CUstream s)                                                  \
    {                                                                                              \
        return fill(d, p, v, elem, w, h, s, false);                                                \
    }                                                                                              \
    CUresult cuMemsetD2D##bits##Async_ptsz(CUdeviceptr d, size_t p, type v, size_t w, size_t h,    \
                                           CUstream s)                                             \
    {                                                                                              \
        return fill(d, p, v, elem, w, h, api_own(s), false);                                       \
    }

FILL(8, unsigned char, 1)
FILL(16, unsigned short, 2)
FILL(32, unsigned, 4)
