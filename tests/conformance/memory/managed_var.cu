/* SPDX-License-Identifier: MIT */
/* covers: __cudaRegisterManagedVar __cudaInitModule */
/* __managed__ variables: one memory for kernels and the program. */
#include <cuda_runtime.h>

#include "transcript.h"

__device__ __managed__ int counter = 7;
__managed__ double values[100];
__managed__ int *link;

__global__ void step(int by)
{
    atomicAdd(&counter, by);
    values[threadIdx.x] += threadIdx.x + 0.5;
}

__global__ void through(int *p, double *v)
{
    *p += 1000;
    v[0] = 99;
    link = p;
}

int main()
{
    static double out[100];
    cudaPointerAttributes a;
    cudaStream_t s;
    size_t n;

    T_INT("initial", counter);
    counter = 20;
    for (int i = 0; i < 100; i++)
        values[i] = i;
    step<<<1, 100>>>(3);
    step<<<1, 100>>>(3);
    T(cudaDeviceSynchronize());
    T_INT("counter", counter);
    T_DIGEST("values", values, sizeof(values));
    counter++;
    values[5] = 0;
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    through<<<1, 1, 0, s>>>(&counter, values + 5);
    T(cudaStreamSynchronize(s));
    T_INT("counter", counter);
    T_INT("values[5]", values[5]);
    T_BOOL("link", link == &counter);
    *link = 5;
    step<<<1, 100, 0, s>>>(1);
    T(cudaStreamSynchronize(s));
    T_INT("counter", counter);
    T(cudaMemcpyFromSymbol(out, values, sizeof(out)));
    T_DIGEST("symbol", out, sizeof(out));
    out[3] = 1;
    T(cudaMemcpyToSymbol(values, out, sizeof(out)));
    T_INT("values[3]", values[3]);
    T(cudaMemcpy(values, out + 3, 8, cudaMemcpyDefault));
    T(cudaDeviceSynchronize());
    T_INT("values[0]", values[0]);
    T(cudaMemset(values, 0, 16));
    T(cudaDeviceSynchronize());
    T_INT("values[1]", values[1]);
    T(cudaGetSymbolSize(&n, values));
    T_INT("size", n);
    T(cudaPointerGetAttributes(&a, values));
    T_INT("type", a.type);
    T_BOOL("pointers", a.devicePointer == values && a.hostPointer == values);
    return 0;
}
