/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaGetTextureObjectResourceDesc cudaGetTextureObjectTextureDesc
   cudaGetTextureObjectResourceViewDesc */
/* What texture objects say of themselves, and descriptions that are refused. */
#include "tex.h"

/* Without a view, its description is not defined. */
static void show(cudaTextureObject_t t, bool viewed)
{
    cudaResourceViewDesc v;
    cudaResourceDesc r;
    cudaTextureDesc s;

    memset(&v, 0, sizeof(v));
    memset(&r, 0, sizeof(r));
    memset(&s, 0, sizeof(s));
    T(cudaGetTextureObjectResourceDesc(&r, t));
    printf("resource type %d\n", r.resType);
    if (r.resType == cudaResourceTypeLinear)
        printf("linear %zu octets, %d %d %d %d kind %d\n", r.res.linear.sizeInBytes,
               r.res.linear.desc.x, r.res.linear.desc.y, r.res.linear.desc.z, r.res.linear.desc.w,
               r.res.linear.desc.f);
    T(cudaGetTextureObjectTextureDesc(&s, t));
    printf("modes %d %d %d, filter %d, read %d, srgb %d, normalized %d\n",
           s.addressMode[0], s.addressMode[1], s.addressMode[2], s.filterMode, s.readMode, s.sRGB,
           s.normalizedCoords);
    printf("anisotropy %u, mip filter %d, bias %g, clamp %g %g, trilinear %d, seamless %d\n",
           s.maxAnisotropy, s.mipmapFilterMode, s.mipmapLevelBias, s.minMipmapLevelClamp,
           s.maxMipmapLevelClamp, s.disableTrilinearOptimization, s.seamlessCubemap);
    T(cudaGetTextureObjectResourceViewDesc(&v, t));
    if (viewed)
        printf("view %d, %zu x %zu x %zu, levels %u..%u, layers %u..%u\n", v.format, v.width, v.height,
           v.depth, v.firstMipmapLevel, v.lastMipmapLevel, v.firstLayer, v.lastLayer);
    T(cudaGetLastError());
}

int main(void)
{
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>(), i32 = cudaCreateChannelDesc<int>();
    cudaChannelFormatDesc u8 = cudaCreateChannelDesc<uchar4>();
    cudaArray_t a, ai, au;
    cudaTextureObject_t t = 0;
    cudaResourceViewDesc v;
    cudaTextureDesc s, ok;
    cudaResourceDesc r, ri, ru;
    float *p;

    T_OK(cudaMallocArray(&a, &f, 32, 16));
    T_OK(cudaMallocArray(&ai, &i32, 32, 16));
    T_OK(cudaMallocArray(&au, &u8, 32, 16));
    T_OK(cudaMalloc(&p, 4096));
    r = tex_array(a);
    ri = tex_array(ai);
    ru = tex_array(au);
    ok = tex_desc(cudaAddressModeBorder, cudaFilterModeLinear, cudaReadModeElementType, 0);
    ok.borderColor[1] = 2.5f;
    ok.maxAnisotropy = 4;
    ok.mipmapLevelBias = 1.5f;
    ok.maxMipmapLevelClamp = 3;
    T(cudaCreateTextureObject(&t, &r, &ok, NULL));
    show(t, false);
    T(cudaDestroyTextureObject(t));
    s = tex_desc(cudaAddressModeWrap, cudaFilterModePoint, cudaReadModeElementType, 0);
    T(cudaCreateTextureObject(&t, &ri, &s, NULL));
    show(t, false);
    T(cudaDestroyTextureObject(t));
    memset(&v, 0, sizeof(v));
    v.format = cudaResViewFormatSignedChar4;
    v.width = 32;
    v.height = 16;
    T(cudaCreateTextureObject(&t, &ru, &s, &v));
    show(t, true);
    T(cudaDestroyTextureObject(t));
    v.width = 31;
    T(cudaCreateTextureObject(&t, &ru, &s, &v));
    v.width = 32;
    v.format = cudaResViewFormatFloat2;
    T(cudaCreateTextureObject(&t, &ru, &s, &v));
    v.format = cudaResViewFormatNone;
    if (T(cudaCreateTextureObject(&t, &ru, &s, &v)) == 0)
        T(cudaDestroyTextureObject(t));
    s.filterMode = cudaFilterModeLinear;
    T(cudaCreateTextureObject(&t, &ri, &s, NULL));
    s.readMode = cudaReadModeNormalizedFloat;
    T(cudaCreateTextureObject(&t, &ri, &s, NULL));
    s.filterMode = cudaFilterModePoint;
    T(cudaCreateTextureObject(&t, &ri, &s, NULL));
    if (T(cudaCreateTextureObject(&t, &r, &s, NULL)) == 0)
        T(cudaDestroyTextureObject(t));
    s.sRGB = 1;
    if (T(cudaCreateTextureObject(&t, &ru, &s, NULL)) == 0)
        show(t, false);
    s = ok;
    s.readMode = (cudaTextureReadMode)2;
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    s = ok;
    s.addressMode[1] = (cudaTextureAddressMode)4;
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    s = ok;
    s.filterMode = (cudaTextureFilterMode)2;
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    T(cudaCreateTextureObject(NULL, &r, &ok, NULL));
    r.flags = 1;
    T(cudaCreateTextureObject(&t, &r, &ok, NULL));
    r.flags = 0;
    r.resType = (cudaResourceType)9;
    T(cudaCreateTextureObject(&t, &r, &ok, NULL));
    memset(&r, 0, sizeof(r));
    r.resType = cudaResourceTypeLinear;
    r.res.linear.devPtr = p;
    r.res.linear.desc = f;
    r.res.linear.sizeInBytes = 4096;
    s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, 0);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    show(t, false);
    T(cudaDestroyTextureObject(t));
    v.format = cudaResViewFormatFloat1;
    T(cudaCreateTextureObject(&t, &r, &s, &v));
    T(cudaDestroyTextureObject(0));
    return 0;
}
