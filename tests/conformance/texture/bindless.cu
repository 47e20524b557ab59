/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaDestroyTextureObject */
/* Many texture objects of pictures of different sizes, in a table in device memory; each thread
   takes its own. */
#include "tex.h"

#define PICTURES 24

struct entry {
    cudaTextureObject_t t;
    int w, h;
};

__global__ void collage(const entry *table, uchar4 *out)
{
    int x = blockIdx.x * 16 + threadIdx.x, y = blockIdx.y * 16 + threadIdx.y;
    const entry *e = &table[(x * 7 + y * 3) % PICTURES];
    float4 v = tex2D<float4>(e->t, (x + 0.5f) / e->w, (y + 0.5f) / e->h);

    out[y * 64 + x] = make_uchar4(rintf(v.x * 255), rintf(v.y * 255), rintf(v.z * 255),
                                  rintf(v.w * 255));
}

int main(void)
{
    static unsigned char in[64 * 64 * 4], out[64 * 64 * 4];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<uchar4>();
    cudaTextureDesc s = tex_desc(cudaAddressModeWrap, cudaFilterModePoint,
                                 cudaReadModeNormalizedFloat, 1);
    cudaArray_t a[PICTURES];
    entry table[PICTURES], *d_table;
    uchar4 *d;

    for (int i = 0; i < PICTURES; i++) {
        cudaResourceDesc r;

        table[i].w = 8 << i % 4;
        table[i].h = 8 << i / 4 % 4;
        t_fill(in, sizeof(in), i + 1);
        T_OK(cudaMallocArray(&a[i], &f, table[i].w, table[i].h));
        T_OK(cudaMemcpy2DToArray(a[i], 0, 0, in, 256, table[i].w * 4, table[i].h,
                                 cudaMemcpyHostToDevice));
        r = tex_array(a[i]);
        T_OK(cudaCreateTextureObject(&table[i].t, &r, &s, NULL));
        for (int k = 0; k < i; k++)
            if (table[k].t == table[i].t)
                printf("%d and %d have one handle\n", k, i);
    }
    T_OK(cudaMalloc(&d_table, sizeof(table)));
    T_OK(cudaMalloc(&d, sizeof(out)));
    T_OK(cudaMemcpy(d_table, table, sizeof(table), cudaMemcpyHostToDevice));
    collage<<<dim3(4, 4), dim3(16, 16)>>>(d_table, d);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("collage", out, sizeof(out));
    for (int i = 0; i < PICTURES; i++) {
        T(cudaDestroyTextureObject(table[i].t));
        T(cudaFreeArray(a[i]));
    }
    return 0;
}
