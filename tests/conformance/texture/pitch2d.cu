/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaMallocPitch */
/* A picture in pitched linear memory, shifted by a kernel; wrong pitches and places. */
#include "tex.h"

#define W 70
#define H 33

__global__ void shift(cudaTextureObject_t t, float *out, int dx, int dy)
{
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y;

    if (x < W)
        out[y * W + x] = tex2D<float>(t, (x + dx + 0.5f) / W, (y + dy + 0.5f) / H);
}

static cudaResourceDesc pitched(void *p, size_t width, size_t height, size_t pitch)
{
    cudaResourceDesc r;

    memset(&r, 0, sizeof(r));
    r.resType = cudaResourceTypePitch2D;
    r.res.pitch2D.devPtr = p;
    r.res.pitch2D.desc = cudaCreateChannelDesc<float>();
    r.res.pitch2D.width = width;
    r.res.pitch2D.height = height;
    r.res.pitch2D.pitchInBytes = pitch;
    return r;
}

int main(void)
{
    static float in[H][W], out[H][W];
    cudaTextureDesc s = tex_desc(cudaAddressModeWrap, cudaFilterModePoint, cudaReadModeElementType, 1);
    cudaTextureObject_t t = 0;
    size_t pitch = 0;
    char *p;
    float *d;

    for (int i = 0; i < W * H; i++)
        in[i / W][i % W] = i;
    T_OK(cudaMallocPitch(&p, &pitch, W * 4, H));
    T_OK(cudaMalloc(&d, sizeof(out)));
    T(cudaMemcpy2D(p, pitch, in, W * 4, W * 4, H, cudaMemcpyHostToDevice));
    for (int filter = 0; filter < 2; filter++) {
        s.filterMode = (cudaTextureFilterMode)filter;
        cudaResourceDesc r = pitched(p, W, H, pitch);
        T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
        shift<<<dim3(1, H), 96>>>(t, d, 5, -7);
        T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
        printf("%g %g %g %g\n", out[0][0], out[1][69], out[20][3], out[32][69]);
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                out[y][x] = floorf(out[y][x] + 0.5f);
        T_DIGEST("shifted", out, sizeof(out));
        T(cudaDestroyTextureObject(t));
    }
    cudaResourceDesc wrong[] = {pitched(p + 32, W, 8, pitch), pitched(p, W, H, pitch + 16),
                                pitched(p, W, H, 256),        pitched(p, 0, H, pitch),
                                pitched(p, W, 0, pitch),      pitched(p, 1 << 20, H, 1 << 22),
                                pitched(p, W, 70000, pitch)};
    for (int i = 0; i < 7; i++)
        if (T(cudaCreateTextureObject(&t, &wrong[i], &s, NULL)) == 0)
            T(cudaDestroyTextureObject(t));
    T(cudaFree(p));
    return 0;
}
