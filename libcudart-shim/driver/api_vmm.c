/* SPDX-License-Identifier: MIT */
/*
 * api_vmm.c - virtual memory management of the driver API.
 */
#include "api.h"
#include "vmm.h"

#include <string.h>

static int location(const CUmemLocation *l)
{
    if (!l || l->type != CU_MEM_LOCATION_TYPE_DEVICE)
        return 1;
    return l->id == 0 ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

static int check_prop(const CUmemAllocationProp *p)
{
    static uint32_t said;

    if (!p || p->type != CU_MEM_ALLOCATION_TYPE_PINNED)
        return 1;
    if (p->location.type == CU_MEM_LOCATION_TYPE_HOST ||
        p->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA ||
        p->location.type == CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT)
        return gvm_refused("cuMemCreate on the host", &said);
    return location(&p->location);
}

CUresult cuMemGetAllocationGranularity(size_t *g, const CUmemAllocationProp *p,
                                       CUmemAllocationGranularity_flags what)
{
    uint64_t minimum = 0, recommended = 0;
    int rc = api_need_init();

    if (rc == 0 && (!g || (what != CU_MEM_ALLOC_GRANULARITY_MINIMUM &&
                           what != CU_MEM_ALLOC_GRANULARITY_RECOMMENDED)))
        rc = 1;
    if (rc == 0 && (!p || p->type != CU_MEM_ALLOCATION_TYPE_PINNED ||
                    p->location.type != CU_MEM_LOCATION_TYPE_DEVICE))
        rc = 1; /* whichever device: they are alike */
    if (rc == 0)
        rc = gvm_vmm_granularity(&minimum, &recommended);
    if (rc == 0)
        *g = what == CU_MEM_ALLOC_GRANULARITY_MINIMUM ? minimum : recommended;
    return (CUresult)rc;
}

CUresult cuMemAddressReserve(CUdeviceptr *ptr, size_t size, size_t align, CUdeviceptr addr,
                             unsigned long long flags)
{
    uint64_t p = 0;
    int rc = api_need_init();

    if (rc == 0)
        rc = !ptr || flags ? 1 : gvm_vmm_reserve(size, align, addr, &p);
    if (rc == 0)
        *ptr = p;
    return (CUresult)rc;
}

CUresult cuMemAddressFree(CUdeviceptr ptr, size_t size)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_vmm_unreserve(ptr, size));
}

CUresult cuMemCreate(CUmemGenericAllocationHandle *h, size_t size, const CUmemAllocationProp *p,
                     unsigned long long flags)
{
    uint64_t m = 0;
    int rc = api_need_init();

    if (rc == 0 && (!h || flags))
        rc = 1;
    if (rc == 0)
        rc = check_prop(p);
    if (rc == 0 && p->requestedHandleTypes & ~CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR) {
        static uint32_t said;

        /* As CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_*_SUPPORTED say. */
        rc = gvm_refused("cuMemCreate of memory that can be exported by other means than a file "
                         "descriptor",
                         &said);
    }
    if (rc == 0)
        rc = gvm_vmm_create(size, p->requestedHandleTypes, &m);
    if (rc == 0)
        *h = m;
    return (CUresult)rc;
}

CUresult cuMemRelease(CUmemGenericAllocationHandle h)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_vmm_release(h));
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *h, void *addr)
{
    uint64_t m = 0;
    int rc = api_need_init();

    if (rc == 0)
        rc = h ? gvm_vmm_retain((uintptr_t)addr, &m) : 1;
    if (rc == 0)
        *h = m;
    return (CUresult)rc;
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *p,
                                                CUmemGenericAllocationHandle h)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = p ? gvm_vmm_check(h) : 1;
    if (rc)
        return (CUresult)rc;
    memset(p, 0, sizeof(*p));
    p->type = CU_MEM_ALLOCATION_TYPE_PINNED;
    p->requestedHandleTypes = (CUmemAllocationHandleType)gvm_vmm_types(h);
    p->location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    return CUDA_SUCCESS;
}

CUresult cuMemMap(CUdeviceptr ptr, size_t size, size_t offset, CUmemGenericAllocationHandle h,
                  unsigned long long flags)
{
    int rc = api_need_init();

    if (rc == 0 && flags)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_vmm_map(ptr, size, offset, h));
}

CUresult cuMemUnmap(CUdeviceptr ptr, size_t size)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_vmm_unmap(ptr, size));
}

CUresult cuMemSetAccess(CUdeviceptr ptr, size_t size, const CUmemAccessDesc *d, size_t n)
{
    int rc = api_need_init();

    if (rc == 0 && (!d || !n))
        rc = 1;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (d[i].flags != CU_MEM_ACCESS_FLAGS_PROT_NONE &&
            d[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READ &&
            d[i].flags != CU_MEM_ACCESS_FLAGS_PROT_READWRITE)
            rc = 1;
        if (rc == 0)
            rc = location(&d[i].location);
        if (rc == 0)
            rc = gvm_vmm_set_access(ptr, size, d[i].flags);
    }
    return (CUresult)rc;
}

CUresult cuMemGetAccess(unsigned long long *flags, const CUmemLocation *l, CUdeviceptr ptr)
{
    uint32_t f = 0;
    int rc = api_need_init();

    if (rc == 0 && !flags)
        rc = 1;
    if (rc == 0)
        rc = location(l);
    if (rc == 0)
        rc = gvm_vmm_get_access(ptr, &f);
    if (rc == 0)
        *flags = f;
    return (CUresult)rc;
}

CUresult cuMemExportToShareableHandle(void *out, CUmemGenericAllocationHandle h,
                                      CUmemAllocationHandleType t, unsigned long long flags)
{
    int fd = -1, rc = api_need_init();

    if (rc == 0 && (!out || flags || t != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR))
        rc = 1;
    if (rc == 0)
        rc = gvm_vmm_export(h, &fd);
    if (rc == 0)
        *(int *)out = fd;
    return (CUresult)rc;
}

CUresult cuMemImportFromShareableHandle(CUmemGenericAllocationHandle *h, void *os,
                                        CUmemAllocationHandleType t)
{
    uint64_t m = 0;
    int rc = api_need_init();

    if (rc == 0 && (!h || t == CU_MEM_HANDLE_TYPE_NONE))
        rc = 1;
    if (rc == 0 && t != CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR)
        rc = 801;
    if (rc == 0)
        rc = gvm_vmm_import((int)(intptr_t)os, &m);
    if (rc == 0)
        *h = m;
    return (CUresult)rc;
}
