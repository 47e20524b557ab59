/* SPDX-License-Identifier: MIT */
/* covers: cudaMallocMipmappedArray cudaGetMipmappedArrayLevel cudaFreeMipmappedArray */
/* A mipmapped array whose levels a kernel makes through surfaces, sampled by level and gradient. */
#include "tex.h"

#define N 32

__global__ void halve(cudaTextureObject_t from, cudaSurfaceObject_t to, int n)
{
    int x = threadIdx.x, y = blockIdx.x;
    float2 v = make_float2(0, 0);

    for (int i = 0; i < 4; i++) {
        float2 e = tex2D<float2>(from, 2 * x + i % 2 + 0.5f, 2 * y + i / 2 + 0.5f);

        v.x += e.x / 4;
        v.y += e.y / 4;
    }
    surf2Dwrite(v, to, x * 8, y);
}

__global__ void levels(cudaTextureObject_t t, const float *lod, float *out)
{
    float l = lod[threadIdx.x] + 0.0625f; /* not halfway between two levels */
    int i = threadIdx.x;

    out[i * 3] = tex2DLod<float2>(t, 0.53125f, 0.28125f, lod[i]).x;
    out[i * 3 + 1] = tex2DGrad<float2>(t, 0.53125f, 0.28125f, make_float2(exp2f(l) / N, 0),
                                       make_float2(0, exp2f(l - 1) / N))
                         .x;
    out[i * 3 + 2] = tex2D<float2>(t, 0.53125f, 0.28125f).y;
}

int main(void)
{
    static float2 in[N][N];
    static const float lods[] = {0, 0.25f, 0.5f, 1, 1.75f, 2, 3, 4.5f, 5, 9, -1};
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float2>(), d;
    cudaMipmappedArray_t m = NULL, other = NULL;
    cudaArray_t l[6], again;
    float out[33], *d_lod, *d_out;
    cudaExtent e;
    unsigned flags;

    for (int i = 0; i < N * N; i++)
        in[i / N][i % N] = make_float2(i * 37 % 64 * 16, i);
    T_OK(cudaMallocMipmappedArray(&m, &f, make_cudaExtent(N, N, 0), 99, cudaArraySurfaceLoadStore));
    for (int i = 0; i < 6; i++) {
        T_OK(cudaGetMipmappedArrayLevel(&l[i], m, i));
        T(cudaArrayGetInfo(&d, &e, &flags, l[i]));
        printf("level %d: %zu x %zu x %zu, flags %u\n", i, e.width, e.height, e.depth, flags);
    }
    T(cudaGetMipmappedArrayLevel(&again, m, 6));
    T(cudaGetMipmappedArrayLevel(NULL, m, 0));
    T(cudaMemcpy2DToArray(l[0], 0, 0, in, sizeof(in[0]), sizeof(in[0]), N, cudaMemcpyHostToDevice));
    for (int i = 1; i < 6; i++) {
        cudaResourceDesc from = tex_array(l[i - 1]), to = tex_array(l[i]);
        cudaTextureDesc s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, 0);
        cudaTextureObject_t t;
        cudaSurfaceObject_t o;

        T_OK(cudaCreateTextureObject(&t, &from, &s, NULL));
        T_OK(cudaCreateSurfaceObject(&o, &to));
        halve<<<N >> i, N >> i>>>(t, o, N >> i);
        T(cudaDeviceSynchronize());
        T(cudaDestroyTextureObject(t));
        T(cudaDestroySurfaceObject(o));
        T(cudaMemcpy2DFromArray(in, 256, l[i], 0, 0, (N >> i) * 8, N >> i, cudaMemcpyDeviceToHost));
        printf("level %d: %g %g\n", i, in[0][0].x, in[0][0].y);
    }
    T_OK(cudaMalloc(&d_lod, sizeof(lods)));
    T_OK(cudaMalloc(&d_out, sizeof(out)));
    T_OK(cudaMemcpy(d_lod, lods, sizeof(lods), cudaMemcpyHostToDevice));
    for (int k = 0; k < 5; k++) {
        cudaResourceDesc r;
        cudaTextureDesc s = tex_desc(cudaAddressModeClamp, (cudaTextureFilterMode)(k & 1),
                                     cudaReadModeElementType, 1);
        cudaTextureObject_t t;

        memset(&r, 0, sizeof(r));
        r.resType = cudaResourceTypeMipmappedArray;
        r.res.mipmap.mipmap = m;
        s.mipmapFilterMode = (cudaTextureFilterMode)(k >> 1 & 1);
        s.minMipmapLevelClamp = k == 4 ? 1 : 0;
        s.maxMipmapLevelClamp = k == 4 ? 3 : 10;
        s.mipmapLevelBias = k == 4 ? 0.5f : 0;
        T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
        levels<<<1, 11>>>(t, d_lod, d_out);
        T(cudaMemcpy(out, d_out, sizeof(out), cudaMemcpyDeviceToHost));
        for (int i = 0; i < 11; i++)
            printf("filters %d, lod %g: %g %g %g\n", k, lods[i], floorf(out[i * 3] + 0.5f),
                   floorf(out[i * 3 + 1] + 0.5f), floorf(out[i * 3 + 2] + 0.5f));
        T(cudaDestroyTextureObject(t));
        s.normalizedCoords = 0;
        if (k == 0 && T(cudaCreateTextureObject(&t, &r, &s, NULL)) == 0)
            T(cudaDestroyTextureObject(t));
    }
    T(cudaMallocMipmappedArray(&other, &f, make_cudaExtent(40000, 2, 0), 3));
    T(cudaMallocMipmappedArray(&other, &f, make_cudaExtent(64, 16, 4), 0));
    T(cudaFreeMipmappedArray(m));
    T(cudaFreeMipmappedArray(NULL));
    return 0;
}
