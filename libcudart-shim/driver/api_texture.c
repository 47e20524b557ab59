/* SPDX-License-Identifier: MIT */
/*
 * api_texture.c - texture and surface objects of the driver API. Texture references, which CUDA 12
 * took out of the compiler, are refused.
 */
#include "api.h"
#include "array.h"

/* Octets that a texture over linear memory may span. */
#define MAX_LINEAR ((size_t)1 << 32)

CUresult cuTexObjectCreate(CUtexObject *o, const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *t,
                           const CUDA_RESOURCE_VIEW_DESC *v)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = o ? gvm_texture_create(r, t, v, &h) : 1;
    if (rc == 0)
        *o = h;
    return (CUresult)rc;
}

CUresult cuTexObjectDestroy(CUtexObject o)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_texture_destroy(o, false));
}

CUresult cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *r, CUtexObject o)
{
    int rc = api_need();

    if (rc == 0 && !r)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_texture_desc(o, false, r, NULL, NULL));
}

CUresult cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *t, CUtexObject o)
{
    int rc = api_need();

    if (rc == 0 && !t)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_texture_desc(o, false, NULL, t, NULL));
}

CUresult cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *v, CUtexObject o)
{
    int rc = api_need();

    if (rc == 0 && !v)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_texture_desc(o, false, NULL, NULL, v));
}

CUresult cuSurfObjectCreate(CUsurfObject *o, const CUDA_RESOURCE_DESC *r)
{
    uint64_t h = 0;
    int rc = api_need();

    if (rc == 0)
        rc = o ? gvm_surface_create(r, &h) : 1;
    if (rc == 0)
        *o = h;
    return (CUresult)rc;
}

CUresult cuSurfObjectDestroy(CUsurfObject o)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_texture_destroy(o, true));
}

CUresult cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *r, CUsurfObject o)
{
    int rc = api_need();

    if (rc == 0 && !r)
        rc = 1;
    return (CUresult)(rc ? rc : gvm_texture_desc(o, true, r, NULL, NULL));
}

CUresult cuDeviceGetTexture1DLinearMaxWidth(size_t *width, CUarray_format format, unsigned channels,
                                            CUdevice dev)
{
    int v = 0;
    CUresult rc = cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MAXIMUM_TEXTURE1D_LINEAR_WIDTH, dev);

    if (rc)
        return rc;
    if (!width || !gvm_format_bytes(format, channels))
        return CUDA_ERROR_INVALID_VALUE;
    *width = MAX_LINEAR / gvm_format_bytes(format, channels);
    return CUDA_SUCCESS;
}
