/* SPDX-License-Identifier: MIT */
/*
 * api_hints.c - registered memory, hints on managed memory, of the driver API.
 */
#include "api.h"

CUresult cuMemHostRegister(void *p, size_t n, unsigned flags)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_host_register(p, n, flags));
}

CUresult cuMemHostUnregister(void *p)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_host_unregister(p));
}

static CUresult prefetch(CUdeviceptr p, size_t n, CUmemLocation l, unsigned flags, CUstream s)
{
    int rc = api_need();

    if (rc == 0 && flags)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_mem_prefetch(p, n, (int)l.type, l.id, api_stream(s)));
}

CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUmemLocation l, unsigned flags, CUstream s)
{
    return prefetch(p, n, l, flags, s);
}

GVM_API CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr p, size_t n, CUmemLocation l,
                                            unsigned flags, CUstream s);
CUresult cuMemPrefetchAsync_v2_ptsz(CUdeviceptr p, size_t n, CUmemLocation l, unsigned flags,
                                    CUstream s)
{
    return prefetch(p, n, l, flags, api_own(s));
}

CUresult cuMemAdvise(CUdeviceptr p, size_t n, CUmem_advise advice, CUmemLocation l)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_mem_advise(p, n, (int)advice, (int)l.type, l.id));
}

CUresult cuMemRangeGetAttribute(void *data, size_t size, CUmem_range_attribute a, CUdeviceptr p,
                                size_t n)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_mem_range_attribute(data, size, (int)a, p, n));
}

CUresult cuMemRangeGetAttributes(void **data, size_t *size, CUmem_range_attribute *a, size_t na,
                                 CUdeviceptr p, size_t n)
{
    int rc = api_need();

    if (rc == 0 && (!data || !size || !a || !na))
        rc = 1;
    for (size_t i = 0; i < na && rc == 0; i++)
        rc = gvm_mem_range_attribute(data[i], size[i], (int)a[i], p, n);
    return (CUresult)rc;
}

CUresult cuStreamAttachMemAsync(CUstream s, CUdeviceptr p, size_t n, unsigned flags)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_stream_attach(api_stream(s), p, n, flags));
}

GVM_API CUresult cuStreamAttachMemAsync_ptsz(CUstream s, CUdeviceptr p, size_t n, unsigned flags);
CUresult cuStreamAttachMemAsync_ptsz(CUstream s, CUdeviceptr p, size_t n, unsigned flags)
{
    return cuStreamAttachMemAsync(api_own(s), p, n, flags);
}

/* ---- forms of CUDA 12, which take a device or CU_DEVICE_CPU ------------------------------- */

#undef cuMemPrefetchAsync
#undef cuMemAdvise

static CUmemLocation place_of(CUdevice dev)
{
    return (CUmemLocation){.type = dev == CU_DEVICE_CPU ? CU_MEM_LOCATION_TYPE_HOST
                                                        : CU_MEM_LOCATION_TYPE_DEVICE,
                           .id = dev == CU_DEVICE_CPU ? 0 : dev};
}

GVM_API CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUdevice dev, CUstream s);
CUresult cuMemPrefetchAsync(CUdeviceptr p, size_t n, CUdevice dev, CUstream s)
{
    return prefetch(p, n, place_of(dev), 0, s);
}

GVM_API CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr p, size_t n, CUdevice dev, CUstream s);
CUresult cuMemPrefetchAsync_ptsz(CUdeviceptr p, size_t n, CUdevice dev, CUstream s)
{
    return prefetch(p, n, place_of(dev), 0, api_own(s));
}

GVM_API CUresult cuMemAdvise(CUdeviceptr p, size_t n, CUmem_advise advice, CUdevice dev);
CUresult cuMemAdvise(CUdeviceptr p, size_t n, CUmem_advise advice, CUdevice dev)
{
    CUresult rc = cuMemAdvise_v2(p, n, advice, place_of(dev));
    bool placed =
        advice >= CU_MEM_ADVISE_SET_PREFERRED_LOCATION && advice <= CU_MEM_ADVISE_UNSET_ACCESSED_BY;

    /* The newer form does not say what of the place is wrong. */
    return rc == CUDA_ERROR_INVALID_VALUE && placed && dev != CU_DEVICE_CPU && dev != 0
               ? CUDA_ERROR_INVALID_DEVICE
               : rc;
}
