/* SPDX-License-Identifier: MIT */
/* Sums and a maximum: warp shuffles, shared memory of dynamic size, atomics on global memory. */
#include "check.h"

__global__ void sum_kernel(const int *in, int n, int *sum, int *max, unsigned long long *wide)
{
    extern __shared__ int part[];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, s = 0, m = -2147483647 - 1;

    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        s += in[i];
        m = in[i] > m ? in[i] : m;
    }
    for (int d = 16; d; d /= 2) {
        int other = __shfl_xor_sync(0xffffffffu, m, d);

        s += __shfl_down_sync(0xffffffffu, s, d);
        m = other > m ? other : m;
    }
    if (lane == 0) {
        part[warp] = s;
        atomicMax(max, m);
    }
    __syncthreads();
    if (warp == 0) {
        s = lane < blockDim.x / 32 ? part[lane] : 0;
        for (int d = 16; d; d /= 2)
            s += __shfl_down_sync(0xffffffffu, s, d);
        if (lane == 0) {
            atomicAdd(sum, s);
            atomicAdd(wide, (unsigned long long)(long long)s);
        }
    }
}

__global__ void sum_float(const float *in, int n, float *out)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        atomicAdd(out, in[i]);
}

int main(void)
{
    const int n = 20011, threads = 128, blocks = 6;
    int *in = (int *)malloc(n * sizeof(int)), *din, *dout, out[2] = {0, -2147483647 - 1};
    int sum = 0, max = out[1];
    unsigned long long *dwide, wide = 0;
    float *f = (float *)malloc(n * sizeof(float)), *df, *dsum, fsum = -1;
    unsigned seed = 3;

    test_name = "reduction";
    for (int i = 0; i < n; i++) {
        in[i] = (int)(test_random(&seed) * 2000) - 900;
        f[i] = (float)(in[i] % 8); /* sums of small integers are exact in any order */
        sum += in[i];
        max = in[i] > max ? in[i] : max;
    }
    CHECK(cudaMalloc(&din, n * sizeof(int)));
    CHECK(cudaMalloc(&dout, sizeof(out)));
    CHECK(cudaMalloc(&dwide, sizeof(wide)));
    CHECK(cudaMalloc(&df, n * sizeof(float)));
    CHECK(cudaMalloc(&dsum, sizeof(float)));
    CHECK(cudaMemcpy(din, in, n * sizeof(int), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(df, f, n * sizeof(float), cudaMemcpyHostToDevice));
    CHECK(cudaMemcpy(dout, out, sizeof(out), cudaMemcpyHostToDevice));
    CHECK(cudaMemset(dwide, 0, sizeof(wide)));
    CHECK(cudaMemset(dsum, 0, sizeof(float)));
    sum_kernel<<<blocks, threads, threads / 32 * sizeof(int)>>>(din, n, dout, dout + 1, dwide);
    CHECK(cudaGetLastError());
    sum_float<<<(n + 255) / 256, 256>>>(df, n, dsum);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(out, dout, sizeof(out), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(&wide, dwide, sizeof(wide), cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(&fsum, dsum, sizeof(fsum), cudaMemcpyDeviceToHost));
    EXPECT(out[0] == sum);
    EXPECT(out[1] == max);
    EXPECT((long long)wide == sum);
    double want = 0;
    for (int i = 0; i < n; i++)
        want += f[i];
    EXPECT(fsum == (float)want);
    CHECK(cudaFree(din));
    CHECK(cudaFree(dout));
    CHECK(cudaFree(dwide));
    CHECK(cudaFree(df));
    CHECK(cudaFree(dsum));
    free(in);
    free(f);
    return passed();
}
