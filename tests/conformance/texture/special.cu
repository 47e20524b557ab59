/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject */
/* Less common ways to read: views of other formats, levels and layers, sRGB, border colours of
   several formats, a 3D border, residence. */
#include "tex.h"

__global__ void read(cudaTextureObject_t t, float4 *out, int kind)
{
    int i = threadIdx.x;
    bool there = false;

    switch (kind) {
    case 0:
        out[i] = tex2D<float4>(t, i + 0.5f - 2, 1.5f);
        break;
    case 1:
        out[i] = tex2DLayered<float4>(t, 1.5f, 0.5f, i - 1);
        break;
    case 2:
        out[i] = tex3D<float4>(t, 0.5f, 0.5f, i + 0.5f - 2);
        break;
    case 3:
        out[i] = tex2D<float4>(t, i + 0.5f - 2, 1.5f, &there);
        out[i].w = there;
        break;
    }
}

static void show(const char *name, cudaTextureObject_t t, int kind, float unit)
{
    float4 out[8], *d;

    T_OK(cudaMalloc(&d, sizeof(out)));
    read<<<1, 8>>>(t, d, kind);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 8; i++)
        printf("%s %d: %g %g %g %g\n", name, i, rintf(out[i].x * unit), rintf(out[i].y * unit),
               rintf(out[i].z * unit), rintf(out[i].w * unit));
    T(cudaFree(d));
    T(cudaDestroyTextureObject(t));
}

int main(void)
{
    static unsigned char in[4096];
    cudaChannelFormatDesc u4 = cudaCreateChannelDesc<uchar4>();
    cudaChannelFormatDesc h4 = cudaCreateChannelDesc(16, 16, 16, 16, cudaChannelFormatKindFloat);
    cudaTextureDesc s = tex_desc(cudaAddressModeBorder, cudaFilterModePoint,
                                 cudaReadModeNormalizedFloat, 0);
    cudaResourceViewDesc v;
    cudaMemcpy3DParms c;
    cudaTextureObject_t t;
    cudaArray_t a, l, h, z;

    for (int i = 0; i < 4096; i++)
        in[i] = i * 5;
    T_OK(cudaMallocArray(&a, &u4, 4, 4));
    T_OK(cudaMemcpyToArray(a, 0, 0, in, 64, cudaMemcpyHostToDevice));
    cudaResourceDesc r = tex_array(a);
    s.borderColor[0] = 0.25f;
    s.borderColor[1] = 0.5f;
    s.borderColor[2] = 0.75f;
    s.borderColor[3] = 1;
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    show("border", t, 0, 1020);
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    show("resident", t, 3, 1020);
    s.sRGB = 1;
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    show("sRGB", t, 0, 255);
    s.sRGB = 0;
    memset(&v, 0, sizeof(v));
    v.format = cudaResViewFormatSignedChar4;
    v.width = v.height = 4;
    T_OK(cudaCreateTextureObject(&t, &r, &s, &v));
    show("signed", t, 0, 127);
    T_OK(cudaMalloc3DArray(&l, &u4, make_cudaExtent(4, 4, 6), cudaArrayLayered));
    memset(&c, 0, sizeof(c));
    c.srcPtr = make_cudaPitchedPtr(in, 16, 4, 4);
    c.dstArray = l;
    c.extent = make_cudaExtent(4, 4, 6);
    c.kind = cudaMemcpyHostToDevice;
    T_OK(cudaMemcpy3D(&c));
    r = tex_array(l);
    v.format = cudaResViewFormatUnsignedChar4;
    v.firstLayer = 2;
    v.lastLayer = 4;
    for (v.depth = 0; v.depth <= 6; v.depth += 3)
        if (T(cudaCreateTextureObject(&t, &r, &s, &v)) == 0)
            show("layers", t, 1, 255);
    T_OK(cudaMallocArray(&h, &h4, 4, 4));
    for (int i = 0; i < 256; i++)
        in[i] = i & 1 ? 0x38 + i / 2 % 8 : 0;
    T_OK(cudaMemcpyToArray(h, 0, 0, in, 128, cudaMemcpyHostToDevice));
    r = tex_array(h);
    s.readMode = cudaReadModeElementType;
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    show("half", t, 0, 1024);
    T_OK(cudaMalloc3DArray(&z, &u4, make_cudaExtent(4, 4, 4)));
    c.dstArray = z;
    c.extent.depth = 4;
    T_OK(cudaMemcpy3D(&c));
    r = tex_array(z);
    s.readMode = cudaReadModeNormalizedFloat;
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    show("3D", t, 2, 1020);
    return 0;
}
