/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateSurfaceObject cudaDestroySurfaceObject cudaGetSurfaceObjectResourceDesc */
/* Surfaces: written by one kernel, read through a texture by another; boundary modes. */
#include "tex.h"

#define W 40
#define H 24

__global__ void write(cudaSurfaceObject_t s, int base)
{
    int x = blockIdx.x * 8 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;

    surf2Dwrite(make_uchar4(x, y, x + y, base), s, x * 4, y);
}

__global__ void read_tex(cudaTextureObject_t t, uchar4 *out)
{
    int x = blockIdx.x * 8 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;

    out[y * W + x] = tex2D<uchar4>(t, x + 0.5f, y + 0.5f);
}

__global__ void bounds(cudaSurfaceObject_t s, uchar4 *out)
{
    int x = (int)threadIdx.x - 4, y = (int)blockIdx.x - 2;
    uchar4 a = make_uchar4(1, 2, 3, 4), b = a;

    surf2Dread(&a, s, x * 4, y, cudaBoundaryModeZero);
    surf2Dread(&b, s, x * 4, y, cudaBoundaryModeClamp);
    out[(blockIdx.x * (W + 8) + threadIdx.x) * 2] = a;
    out[(blockIdx.x * (W + 8) + threadIdx.x) * 2 + 1] = b;
}

__global__ void outside(cudaSurfaceObject_t s)
{
    int x = threadIdx.x;

    surf2Dwrite(make_uchar4(x, 77, 77, 77), s, (x + W - 2) * 4, 3, cudaBoundaryModeZero);
    surf2Dwrite(make_uchar4(x, 88, 88, 88), s, x * 4 - 160, 7, cudaBoundaryModeZero);
}

int main(void)
{
    static uchar4 out[H][W], edge[H + 4][W + 8][2];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<uchar4>();
    cudaSurfaceObject_t s = 0;
    cudaTextureObject_t t = 0;
    cudaResourceDesc back;
    cudaArray_t a, plain;
    uchar4 *d;

    T_OK(cudaMallocArray(&a, &f, W, H, cudaArraySurfaceLoadStore));
    T_OK(cudaMallocArray(&plain, &f, W, H));
    T_OK(cudaMalloc(&d, sizeof(edge)));
    cudaResourceDesc r = tex_array(a), rp = tex_array(plain);
    T_OK(cudaCreateSurfaceObject(&s, &r));
    T(cudaGetSurfaceObjectResourceDesc(&back, s));
    T_BOOL("same array", back.resType == cudaResourceTypeArray && back.res.array.array == a);
    write<<<dim3(W / 8, H / 8), dim3(8, 8)>>>(s, 200);
    T(cudaMemcpy2DFromArray(out, W * 4, a, 0, 0, W * 4, H, cudaMemcpyDeviceToHost));
    T_DIGEST("written", out, sizeof(out));
    cudaTextureDesc td = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, 0);
    T_OK(cudaCreateTextureObject(&t, &r, &td, NULL));
    read_tex<<<dim3(W / 8, H / 8), dim3(8, 8)>>>(t, d);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("read", out, sizeof(out));
    bounds<<<H + 4, W + 8>>>(s, d);
    T(cudaMemcpy(edge, d, sizeof(edge), cudaMemcpyDeviceToHost));
    T_DIGEST("edges", edge, sizeof(edge));
    outside<<<1, 4>>>(s);
    T(cudaMemcpy2DFromArray(out, W * 4, a, 0, 0, W * 4, H, cudaMemcpyDeviceToHost));
    T_DIGEST("outside", out, sizeof(out));
    T(cudaDestroySurfaceObject(s));
    T(cudaDestroyTextureObject(t));
    T(cudaCreateSurfaceObject(&s, &rp));
    r.resType = cudaResourceTypeLinear;
    T(cudaCreateSurfaceObject(&s, &r));
    T(cudaDestroySurfaceObject(0));
    T(cudaFreeArray(a));
    return 0;
}
