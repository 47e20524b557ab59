/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaDestroyTextureObject cudaMemcpyToArray */
/* A rotated image, read through a texture with normalized coordinates and wrapping; the addressing
   modes at places inside and outside. */
#include "tex.h"

#define W 64
#define H 48

__global__ void rotate(cudaTextureObject_t t, float *out, int quarter)
{
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    float u = (x + 0.5f) / W - 0.5f, v = (y + 0.5f) / H - 0.5f, s;

    for (int i = 0; i < quarter; i++) {
        s = u;
        u = v;
        v = -s;
    }
    out[y * W + x] = tex2D<float>(t, u + 0.5f, v + 0.5f);
}

__global__ void places(cudaTextureObject_t t, const float2 *at, float *out, int n)
{
    int i = threadIdx.x;

    if (i < n)
        out[i] = tex2D<float>(t, at[i].x, at[i].y);
}

int main(void)
{
    static float in[H][W], out[H][W];
    static const float xs[] = {0.0078125f, 0.5078125f, 0.9921875f, 1.0078125f, 1.7578125f,
                               -0.0078125f, -0.2421875f, -1.4921875f, 2.2578125f, 17.0078125f};
    cudaTextureAddressMode modes[] = {cudaAddressModeWrap, cudaAddressModeClamp,
                                      cudaAddressModeMirror, cudaAddressModeBorder};
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    cudaTextureObject_t t = 0;
    cudaArray_t a;
    float2 at[100], *d_at;
    float *d;

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            in[y][x] = y * 100 + x;
    T_OK(cudaMallocArray(&a, &f, W, H));
    T(cudaMemcpyToArray(a, 0, 0, in, sizeof(in), cudaMemcpyHostToDevice));
    T_OK(cudaMalloc(&d, sizeof(out)));
    T_OK(cudaMalloc(&d_at, sizeof(at)));
    cudaResourceDesc r = tex_array(a);
    cudaTextureDesc s = tex_desc(cudaAddressModeWrap, cudaFilterModePoint, cudaReadModeElementType, 1);
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    for (int q = 0; q < 3; q += 2) {
        rotate<<<dim3(W / 16, H / 16), dim3(16, 16)>>>(t, d, q);
        T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
        T_DIGEST("rotated", out, sizeof(out));
    }
    T(cudaDestroyTextureObject(t));
    for (int i = 0; i < 100; i++) {
        at[i].x = xs[i % 10];
        at[i].y = xs[i / 10] + 1.0f / 384;
    }
    T(cudaMemcpy(d_at, at, sizeof(at), cudaMemcpyHostToDevice));
    for (int m = 0; m < 4; m++)
        for (int n = 0; n < 2; n++) {
            s = tex_desc(modes[m], cudaFilterModePoint, cudaReadModeElementType, !n);
            s.borderColor[0] = 7.5f;
            T(cudaCreateTextureObject(&t, &r, &s, NULL));
            places<<<1, 128>>>(t, d_at, d, 100);
            T(cudaMemcpy(out, d, 100 * 4, cudaMemcpyDeviceToHost));
            printf("mode %d, %s: ", modes[m], n ? "texels" : "normalized");
            T_DIGEST("places", out, 100 * 4);
            for (int i = 0; i < 10; i++)
                printf("x %g: %g\n", xs[i], out[0][i]);
            T(cudaDestroyTextureObject(t));
        }
    T(cudaFreeArray(a));
    return 0;
}
