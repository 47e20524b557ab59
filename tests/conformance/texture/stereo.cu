/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject */
/* Disparity of two pictures: sums of absolute differences of packed octets, read through textures
   over pitched memory, clamped at the edges. */
#include "tex.h"

#define W 96
#define H 40
#define RANGE 12

__global__ void disparity(cudaTextureObject_t left, cudaTextureObject_t right, unsigned *out)
{
    int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 8 + threadIdx.y;
    unsigned best = ~0u, at = 0;

    for (int d = -RANGE; d <= 0; d++) {
        unsigned sum = 0;

        for (int j = -2; j <= 2; j++)
            for (int i = -2; i <= 2; i++)
                sum += __vsadu4(tex2D<unsigned>(left, x + i + 0.5f, y + j + 0.5f),
                                tex2D<unsigned>(right, x + i + d + 0.5f, y + j + 0.5f));
        if (sum < best) {
            best = sum;
            at = -d;
        }
    }
    if (x < W && y < H)
        out[y * W + x] = at;
}

int main(void)
{
    static unsigned a[H][W], b[H][W], out[H][W];
    cudaTextureDesc s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint, cudaReadModeElementType, 0);
    cudaTextureObject_t t[2];
    unsigned *p[2], *d;
    size_t pitch;

    t_fill(a, sizeof(a), 3);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++) /* bands, each moved by another distance */
            b[y][x] = a[y][x + y / 8 < W ? x + y / 8 : W - 1];
    for (int i = 0; i < 2; i++) {
        cudaResourceDesc r;

        T_OK(cudaMallocPitch(&p[i], &pitch, W * 4, H));
        T_OK(cudaMemcpy2D(p[i], pitch, i ? b : a, W * 4, W * 4, H, cudaMemcpyHostToDevice));
        memset(&r, 0, sizeof(r));
        r.resType = cudaResourceTypePitch2D;
        r.res.pitch2D.devPtr = p[i];
        r.res.pitch2D.desc = cudaCreateChannelDesc<unsigned>();
        r.res.pitch2D.width = W;
        r.res.pitch2D.height = H;
        r.res.pitch2D.pitchInBytes = pitch;
        T_OK(cudaCreateTextureObject(&t[i], &r, &s, NULL));
    }
    T_OK(cudaMalloc(&d, sizeof(out)));
    disparity<<<dim3(3, 5), dim3(32, 8)>>>(t[0], t[1], d);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("disparity", out, sizeof(out));
    for (int i = 0; i < 5; i++)
        printf("band %d: %u\n", i, out[i * 8 + 4][50]);
    return 0;
}
