/* SPDX-License-Identifier: MIT */
/* C = A B by tiles in shared memory, with barriers; sizes that are no multiples of the tile. */
#include "check.h"

#define TILE 16

__global__ void multiply(const float *a, const float *b, float *c, int m, int n, int k)
{
    __shared__ float ta[TILE][TILE], tb[TILE][TILE];
    int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
    float sum = 0;

    for (int t = 0; t < k; t += TILE) {
        int ac = t + threadIdx.x, br = t + threadIdx.y;

        ta[threadIdx.y][threadIdx.x] = row < m && ac < k ? a[row * k + ac] : 0;
        tb[threadIdx.y][threadIdx.x] = br < k && col < n ? b[br * n + col] : 0;
        __syncthreads();
        for (int i = 0; i < TILE; i++)
            sum += ta[threadIdx.y][i] * tb[i][threadIdx.x];
        __syncthreads();
    }
    if (row < m && col < n)
        c[row * n + col] = sum;
}

int main(void)
{
    const int m = 50, n = 72, k = 61;
    float a[m * k], b[k * n], c[m * n];
    float *da, *db, *dc;
    dim3 block(TILE, TILE), grid((n + TILE - 1) / TILE, (m + TILE - 1) / TILE);
    unsigned seed = 2;

    test_name = "matrixMul";
    for (int i = 0; i < m * k; i++)
        a[i] = test_random(&seed) - 0.5f;
    for (int i = 0; i < k * n; i++)
        b[i] = test_random(&seed) - 0.5f;
    CHECK(cudaMalloc(&da, sizeof(a)));
    CHECK(cudaMalloc(&db, sizeof(b)));
    CHECK(cudaMalloc(&dc, sizeof(c)));
    CHECK(cudaMemcpy(da, a, sizeof(a), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(db, b, sizeof(b), cudaMemcpyHostToDevice));
    CHECK(cudaMemset(dc, 0xff, sizeof(c)));
    multiply<<<grid, block>>>(da, db, dc, m, n, k);
    CHECK(cudaGetLastError());
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaMemcpy(c, dc, sizeof(c), cudaMemcpyDeviceToHost));
    for (int y = 0; y < m; y++) {
        for (int x = 0; x < n; x++) {
            double want = 0;

            for (int i = 0; i < k; i++)
                want += (double)a[y * k + i] * b[i * n + x];
            EXPECT(fabs(c[y * n + x] - want) < 1e-4);
        }
    }
    CHECK(cudaFree(da));
    CHECK(cudaFree(db));
    CHECK(cudaFree(dc));
    return passed();
}
