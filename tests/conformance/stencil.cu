/* SPDX-License-Identifier: MIT */
/* A 1D stencil with its weights in constant memory, a device counter and a device table: symbols
 * by copy in both directions, with offsets, by address and by size. */
#include "check.h"

#define RADIUS 3

__constant__ float weight[2 * RADIUS + 1];
__device__ unsigned done;
__device__ int table[8] = {1, 2, 3, 4, 5, 6, 7, 8};

__global__ void apply(const float *in, float *out, int n)
{
    extern __shared__ float tile[];
    int g = blockIdx.x * blockDim.x + threadIdx.x, l = threadIdx.x + RADIUS;

    tile[l] = g < n ? in[g] : 0;
    if (threadIdx.x < RADIUS) {
        int left = g - RADIUS, right = g + blockDim.x;

        tile[l - RADIUS] = left >= 0 && left < n ? in[left] : 0;
        tile[l + blockDim.x] = right < n ? in[right] : 0;
    }
    __syncthreads();
    if (g < n) {
        float sum = 0;

        for (int i = -RADIUS; i <= RADIUS; i++)
            sum += weight[i + RADIUS] * tile[l + i];
        out[g] = sum;
        atomicAdd(&done, 1);
    }
}

__global__ void add_one(void)
{
    table[threadIdx.x] += 1;
}

int main(void)
{
    const int n = 3000, threads = 128;
    float w[2 * RADIUS + 1], back[2 * RADIUS + 1], in[n], out[n], *din, *dout;
    unsigned count = 1, seed = 7;
    int t[8], two[2] = {100, 200}, *addr;
    size_t size = 0;

    test_name = "stencil";
    for (int i = 0; i < n; i++)
        in[i] = test_random(&seed);
    for (int i = 0; i <= 2 * RADIUS; i++)
        w[i] = 0.05f * (i + 1);
    CHECK(cudaMemcpyToSymbol(weight, w, sizeof(w)));
    CHECK(cudaMemcpyFromSymbol(back, weight, sizeof(back)));
    for (int i = 0; i <= 2 * RADIUS; i++)
        EXPECT(back[i] == w[i]);
    CHECK(cudaMemcpyFromSymbol(&count, done, sizeof(count)));
    EXPECT(count == 0);
    CHECK(cudaMalloc(&din, sizeof(in)));
    CHECK(cudaMalloc(&dout, sizeof(out)));
    CHECK(cudaMemcpy(din, in, sizeof(in), cudaMemcpyHostToDevice));
    apply<<<(n + threads - 1) / threads, threads, (threads + 2 * RADIUS) * sizeof(float)>>>(
        din, dout, n);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(out, dout, sizeof(out), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) {
        double want = 0;

        for (int k = -RADIUS; k <= RADIUS; k++)
            if (i + k >= 0 && i + k < n)
                want += (double)w[k + RADIUS] * in[i + k];
        EXPECT(fabs(out[i] - want) < 1e-5);
    }
    CHECK(cudaMemcpyFromSymbol(&count, done, sizeof(count)));
    EXPECT(count == n);

    add_one<<<1, 8>>>();
    CHECK(cudaMemcpyToSymbol(table, two, sizeof(two), 3 * sizeof(int)));
    CHECK(cudaMemcpyFromSymbol(t, table, sizeof(t)));
    for (int i = 0; i < 8; i++)
        EXPECT(t[i] == (i == 3 ? 100 : i == 4 ? 200 : i + 2));
    CHECK(cudaGetSymbolSize(&size, table));
    EXPECT(size == sizeof(t));
    CHECK(cudaGetSymbolAddress((void **)&addr, table));
    CHECK(cudaMemcpy(t, addr + 6, 2 * sizeof(int), cudaMemcpyDeviceToHost));
    EXPECT(t[0] == 8 && t[1] == 9);
    EXPECT(cudaMemcpyToSymbol(table, t, sizeof(t), 4) == cudaErrorInvalidValue);
    EXPECT(cudaGetLastError() == cudaErrorInvalidValue);
    EXPECT(cudaGetLastError() == cudaSuccess);
    CHECK(cudaFree(din));
    CHECK(cudaFree(dout));
    return passed();
}
