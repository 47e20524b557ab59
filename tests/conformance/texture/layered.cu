/* SPDX-License-Identifier: MIT */
/* covers: cudaMalloc3DArray cudaMemcpy3D cudaCreateTextureObject */
/* Layered textures in one and two dimensions; layers outside are the nearest ones. */
#include "tex.h"

#define W 32
#define L 5

__global__ void layers(cudaTextureObject_t t, float *out, bool two)
{
    int x = threadIdx.x, y = threadIdx.y, l = (int)blockIdx.x - 1;
    float u = (x + 0.5f) / W, v = (y + 0.5f) / W;

    out[(blockIdx.x * W + y) * W + x] =
        two ? tex2DLayered<float>(t, u, v, l) : tex1DLayered<float>(t, u, l);
}

static void run(bool two)
{
    static float in[L][W][W], out[L + 2][W][W];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    cudaMemcpy3DParms c;
    cudaTextureObject_t t = 0;
    cudaArray_t a;
    float *d;

    for (int i = 0; i < L * W * W; i++)
        (&in[0][0][0])[i] = i * 0.25f;
    T_OK(cudaMalloc3DArray(&a, &f, make_cudaExtent(W, two ? W : 0, L), cudaArrayLayered));
    memset(&c, 0, sizeof(c));
    c.srcPtr = make_cudaPitchedPtr(in, W * 4, W, two ? W : 1);
    c.dstArray = a;
    c.extent = make_cudaExtent(W, two ? W : 1, L);
    c.kind = cudaMemcpyHostToDevice;
    T(cudaMemcpy3D(&c));
    c.extent.depth = L + 1;
    T(cudaMemcpy3D(&c));
    T_OK(cudaMalloc(&d, sizeof(out)));
    cudaResourceDesc r = tex_array(a);
    cudaTextureDesc s = tex_desc(cudaAddressModeWrap, cudaFilterModeLinear, cudaReadModeElementType, 1);
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    layers<<<L + 2, dim3(W, W)>>>(t, d, two);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST(two ? "2D" : "1D", out, sizeof(out));
    T(cudaDestroyTextureObject(t));
    memset(&c, 0, sizeof(c));
    c.srcArray = a;
    c.srcPos = make_cudaPos(3, two ? 2 : 0, 1);
    c.dstPtr = make_cudaPitchedPtr(out, W * 4, W, two ? W : 1);
    c.extent = make_cudaExtent(W - 3, two ? 7 : 1, 3);
    c.kind = cudaMemcpyDeviceToHost;
    T(cudaMemcpy3D(&c));
    T_DIGEST("part", out, 3 * W * (two ? W : 1) * 4 - 12);
    T(cudaFreeArray(a));
    T(cudaFree(d));
}

int main(void)
{
    run(true);
    run(false);
    return 0;
}
