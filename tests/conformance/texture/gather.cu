/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject */
/* Gathers: one channel of the four texels around a place. */
#include "tex.h"

#define N 8

__global__ void gather(cudaTextureObject_t t, float4 *out, int comp)
{
    float x = 0.125f + threadIdx.x * 0.75f - 1, y = 0.375f + threadIdx.y * 0.75f - 1;
    float4 v = make_float4(0, 0, 0, 0);

    switch (comp) {
    case 0:
        v = tex2Dgather<float4>(t, x / N, y / N, 0);
        break;
    case 1:
        v = tex2Dgather<float4>(t, x / N, y / N, 1);
        break;
    case 2:
        v = tex2Dgather<float4>(t, x / N, y / N, 2);
        break;
    case 3:
        v = tex2Dgather<float4>(t, x / N, y / N, 3);
        break;
    }
    out[(comp * 16 + threadIdx.y) * 16 + threadIdx.x] = v;
}

int main(void)
{
    static float4 in[N][N], out[4][16][16];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float4>();
    cudaTextureObject_t t = 0;
    cudaArray_t a;
    float4 *d;

    for (int i = 0; i < N * N; i++)
        in[i / N][i % N] = make_float4(i, 100 + i, 200 + i, 300 + i);
    T_OK(cudaMallocArray(&a, &f, N, N, cudaArrayTextureGather));
    T_OK(cudaMemcpyToArray(a, 0, 0, in, sizeof(in), cudaMemcpyHostToDevice));
    T_OK(cudaMalloc(&d, sizeof(out)));
    cudaResourceDesc r = tex_array(a);
    for (int mode = 0; mode < 3; mode++) {
        cudaTextureDesc s = tex_desc((cudaTextureAddressMode)mode, cudaFilterModePoint,
                                     cudaReadModeElementType, 1);

        T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
        for (int comp = 0; comp < 4; comp++)
            gather<<<1, dim3(16, 16)>>>(t, d, comp);
        T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
        T_DIGEST("gathered", out, sizeof(out));
        for (int i = 0; i < 4; i++)
            printf("mode %d: %g %g %g %g\n", mode, out[i][2][5].x, out[i][2][5].y, out[i][2][5].z,
                   out[i][2][5].w);
        T(cudaDestroyTextureObject(t));
    }
    T(cudaFreeArray(a));
    return 0;
}
