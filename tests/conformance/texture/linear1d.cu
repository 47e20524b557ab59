/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaDeviceGetTexture1DLinearMaxWidth */
/* Textures over linear memory: fetches by index, inside and outside, in several formats. */
#include "tex.h"

#define N 1000

template <typename E> __global__ void fetch(cudaTextureObject_t t, E *out, int first)
{
    int i = blockIdx.x * 128 + threadIdx.x;

    out[i] = tex1Dfetch<E>(t, i + first);
}

static cudaResourceDesc linear(void *p, cudaChannelFormatDesc d, size_t bytes)
{
    cudaResourceDesc r;

    memset(&r, 0, sizeof(r));
    r.resType = cudaResourceTypeLinear;
    r.res.linear.devPtr = p;
    r.res.linear.desc = d;
    r.res.linear.sizeInBytes = bytes;
    return r;
}

template <typename E> static void run(const char *name, cudaTextureReadMode read)
{
    static unsigned char in[16384], out[16384];
    cudaTextureObject_t t = 0;
    void *p, *d;

    t_fill(in, sizeof(in), 5);
    T_OK(cudaMalloc(&p, N * sizeof(E)));
    T_OK(cudaMalloc(&d, 1024 * sizeof(E)));
    T_OK(cudaMemcpy(p, in, N * sizeof(E), cudaMemcpyHostToDevice));
    cudaResourceDesc r = linear(p, cudaCreateChannelDesc<E>(), N * sizeof(E));
    cudaTextureDesc s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, read, 0);
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    fetch<E><<<8, 128>>>(t, (E *)d, -12);
    T(cudaMemcpy(out, d, 1024 * sizeof(E), cudaMemcpyDeviceToHost));
    T_DIGEST(name, out, 1024 * sizeof(E));
    T_BOOL("zero outside", out[0] == 0 && out[12 * sizeof(E) - 1] == 0 &&
                               out[1012 * sizeof(E)] == 0 && out[1024 * sizeof(E) - 1] == 0);
    T(cudaDestroyTextureObject(t));
    T(cudaFree(p));
    T(cudaFree(d));
}

int main(void)
{
    cudaTextureReadMode e = cudaReadModeElementType;
    cudaTextureDesc s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, e, 0);
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    cudaTextureObject_t t = 0;
    size_t width = 0;
    char *p;

    run<float>("float", e);
    run<float4>("float4", e);
    run<int2>("int2", e);
    run<unsigned char>("uchar", e);
    run<char4>("char4", e);
    run<short2>("short2", e);
    T(cudaDeviceGetTexture1DLinearMaxWidth(&width, &f, 0));
    T_DEVICE("width", width);
    T(cudaDeviceGetTexture1DLinearMaxWidth(NULL, &f, 0));
    T_OK(cudaMalloc(&p, 4096));
    cudaResourceDesc r = linear(p + 4, f, 1024);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    r = linear(p, f, 0);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    r = linear(p, f, (size_t)1 << 40);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    r = linear(NULL, f, 1024);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    r = linear(p, cudaCreateChannelDesc(32, 32, 32, 0, cudaChannelFormatKindFloat), 1200);
    T(cudaCreateTextureObject(&t, &r, &s, NULL));
    r = linear(p, f, 1022);
    if (T(cudaCreateTextureObject(&t, &r, &s, NULL)) == 0)
        T(cudaDestroyTextureObject(t));
    r = linear(p, f, 1024);
    s = tex_desc(cudaAddressModeWrap, cudaFilterModeLinear, e, 1);
    if (T(cudaCreateTextureObject(&t, &r, &s, NULL)) == 0)
        T(cudaDestroyTextureObject(t));
    return 0;
}
