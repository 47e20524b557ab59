/* SPDX-License-Identifier: MIT */
/* covers: cudaMalloc3DArray cudaCreateTextureObject */
/* Cube maps, plain and layered: which face and texel a direction means. */
#include "tex.h"

#define N 16

/* The direction of the middle of a texel, by the table of the programming guide. */
__device__ float3 direction(int face, int x, int y)
{
    float s = 2 * (x + 0.5f) / N - 1, t = 2 * (y + 0.5f) / N - 1;

    switch (face) {
    case 0:
        return make_float3(1, -t, -s);
    case 1:
        return make_float3(-1, -t, s);
    case 2:
        return make_float3(s, 1, t);
    case 3:
        return make_float3(s, -1, -t);
    case 4:
        return make_float3(s, -t, 1);
    default:
        return make_float3(-s, -t, -1);
    }
}

__global__ void faces(cudaTextureObject_t t, float *out, int layer, float scale)
{
    int x = threadIdx.x, y = threadIdx.y, f = blockIdx.x;
    float3 d = direction(f, x, y);

    d = make_float3(d.x * scale, d.y * scale, d.z * scale);
    out[(f * N + y) * N + x] = layer < 0 ? texCubemap<float>(t, d.x, d.y, d.z)
                                         : texCubemapLayered<float>(t, d.x, d.y, d.z, layer);
}

static void run(int layers, cudaTextureFilterMode filter, int seamless)
{
    static float in[18][N][N], out[6][N][N];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    cudaTextureObject_t t = 0;
    cudaMemcpy3DParms c;
    cudaArray_t a;
    float *d;

    for (int i = 0; i < 18 * N * N; i++)
        (&in[0][0][0])[i] = i;
    printf("layers %d, filter %d, seamless %d\n", layers, filter, seamless);
    T_OK(cudaMalloc3DArray(&a, &f, make_cudaExtent(N, N, 6 * (layers ? layers : 1)),
                           layers ? cudaArrayCubemap | cudaArrayLayered : cudaArrayCubemap));
    memset(&c, 0, sizeof(c));
    c.srcPtr = make_cudaPitchedPtr(in, N * 4, N, N);
    c.dstArray = a;
    c.extent = make_cudaExtent(N, N, 6 * (layers ? layers : 1));
    c.kind = cudaMemcpyHostToDevice;
    T(cudaMemcpy3D(&c));
    T_OK(cudaMalloc(&d, sizeof(out)));
    cudaResourceDesc r = tex_array(a);
    cudaTextureDesc s = tex_desc(cudaAddressModeClamp, filter, cudaReadModeElementType, 1);
    s.seamlessCubemap = seamless;
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    for (int l = 0; l < (layers ? layers : 1); l++) {
        faces<<<6, dim3(N, N)>>>(t, d, layers ? l : -1, l + 1.0f);
        T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
        T_DIGEST("faces", out, sizeof(out));
        for (int i = 0; i < 6; i++)
            printf("face %d: %g %g\n", i, out[i][0][0], out[i][5][9]);
    }
    T(cudaDestroyTextureObject(t));
    T(cudaFreeArray(a));
    T(cudaFree(d));
}

int main(void)
{
    run(0, cudaFilterModePoint, 0);
    run(0, cudaFilterModePoint, 1);
    run(3, cudaFilterModePoint, 0);
    run(0, cudaFilterModeLinear, 1);
    return 0;
}
