/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyToSymbol cudaMemcpyFromSymbol cudaMemcpyToSymbolAsync cudaMemcpyFromSymbolAsync
 * cudaGetSymbolAddress cudaGetSymbolSize */
#include <cuda_runtime.h>

#include "transcript.h"

__device__ int table[256];
__constant__ float scale[10];
__device__ int count = 5;
static int not_a_symbol[4];

__global__ void use(int *out)
{
    int i = threadIdx.x;

    out[i] = table[i] * (int)scale[i % 10] + count;
    table[i] += i;
}

int main()
{
    static int in[256], out[256];
    float f[10];
    int *d, n;
    void *p;
    size_t size;
    cudaStream_t s;

    for (int i = 0; i < 256; i++)
        in[i] = 3 * i;
    for (int i = 0; i < 10; i++)
        f[i] = i + 1;
    T(cudaGetSymbolSize(&size, table));
    T_INT("table", size);
    T(cudaGetSymbolSize(&size, scale));
    T_INT("scale", size);
    T_OK(cudaMalloc((void **)&d, sizeof(out)));
    T_OK(cudaStreamCreate(&s));
    T(cudaMemcpyToSymbol(table, in, sizeof(in)));
    T(cudaMemcpyToSymbol(scale, f, 5 * sizeof(float)));
    T(cudaMemcpyToSymbolAsync(scale, f + 5, 5 * sizeof(float), 5 * sizeof(float),
                              cudaMemcpyHostToDevice, s));
    T(cudaStreamSynchronize(s));
    use<<<1, 256>>>(d);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("kernel", out, sizeof(out));
    T(cudaMemcpyFromSymbol(out, table, sizeof(out)));
    T_DIGEST("table", out, sizeof(out));
    T(cudaMemcpyFromSymbolAsync(out, table, 40, 100, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    T_INT("element 25", out[0]);
    T(cudaGetSymbolAddress(&p, count));
    T(cudaMemcpy(&n, p, sizeof(n), cudaMemcpyDeviceToHost));
    T_INT("count", n);
    T(cudaMemcpyFromSymbol(d, table, 64, 0, cudaMemcpyDeviceToDevice));
    T(cudaMemcpyToSymbol(table, d, 64, 64, cudaMemcpyDeviceToDevice));
    T(cudaMemcpyFromSymbol(out, table, 256, 0, cudaMemcpyDefault));
    T_DIGEST("moved", out, 256);

    T(cudaMemcpyToSymbol(not_a_symbol, in, 4));
    T(cudaMemcpyFromSymbol(out, not_a_symbol, 4));
    T(cudaGetSymbolAddress(&p, not_a_symbol));
    T(cudaGetSymbolSize(&size, not_a_symbol));
    T(cudaMemcpyToSymbol(table, in, sizeof(in) + 1));
    T(cudaMemcpyToSymbol(table, in, 4, sizeof(in) - 3));
    T(cudaMemcpyToSymbol(table, in, 4, ~(size_t)0));
    T(cudaMemcpyFromSymbol(out, table, 4, sizeof(in)));
    T(cudaMemcpyToSymbol(table, in, 4, 0, cudaMemcpyDeviceToHost));
    T(cudaMemcpyFromSymbol(out, table, 4, 0, cudaMemcpyHostToDevice));
    T(cudaMemcpyToSymbol(table, in, 4, 0, cudaMemcpyHostToHost));
    T(cudaMemcpyToSymbol(table, in, 4, 0, (cudaMemcpyKind)12));
    T(cudaMemcpyToSymbol(table, in, 0));
    T(cudaMemcpyFromSymbol(out, table, 0));
    T(cudaMemcpyToSymbol((const void *)NULL, in, 4));
    T(cudaGetLastError());
    T(cudaMemcpyFromSymbol(out, table, 16));
    T_DIGEST("after refusals", out, 16);
    return 0;
}
