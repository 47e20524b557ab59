/* SPDX-License-Identifier: MIT */
/* covers: cudaMemGetInfo cuMemGetInfo cudaMalloc cudaFree */
/* Alignment, accounting, and the order of frees. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define BIG ((size_t)64 << 20)

int main(void)
{
    static const size_t sizes[] = {1, 255, 256, 257, 511, 4095, 65536, 1000000, 3 << 20};
    size_t f0 = 0, f1 = 0, f2 = 0, total = 0, t2 = 0;
    void *p[9], *big = NULL;
    int aligned = 1, apart = 1;

    T_OK(cudaFree(NULL));
    T(cudaMemGetInfo(&f0, &total));
    T_BOOL("sensible", f0 > 0 && f0 <= total);
    T(cuMemGetInfo(&f1, &t2));
    T_BOOL("same total", total == t2);
    T_OK(cudaMalloc(&big, BIG));
    T(cudaMemGetInfo(&f1, &total));
    T_VOLATILE("accounted", f0 - f1 >= BIG && f0 - f1 <= BIG + (4 << 20));
    T_OK(cudaFree(big));
    T(cudaMemGetInfo(&f2, NULL));
    T_VOLATILE("given back", f2 >= f1 + BIG);
    T(cudaMemGetInfo(NULL, &total));
    T(cudaMemGetInfo(NULL, NULL));
    for (int i = 0; i < 9; i++) {
        T_OK(cudaMalloc(&p[i], sizes[i]));
        aligned &= (uintptr_t)p[i] % 256 == 0;
        for (int k = 0; k < i; k++)
            apart &=
                (char *)p[i] >= (char *)p[k] + sizes[k] || (char *)p[k] >= (char *)p[i] + sizes[i];
    }
    T_BOOL("aligned", aligned);
    T_BOOL("apart", apart);
    for (int i = 0; i < 9; i += 2)
        T(cudaFree(p[i]));
    T(cudaMemset(p[1], 1, 255));
    T(cudaFree(p[2]));
    for (int i = 1; i < 9; i += 2)
        T(cudaFree(p[i]));
    T(cudaMalloc(&big, total + 1));
    T(cudaMalloc(&big, ~(size_t)0));
    T(cudaMalloc(&big, 0));
    T_BOOL("nothing", big == NULL);
    T(cudaMalloc(NULL, 10));
    T(cudaFree((void *)16));
    T(cudaFree(&big));
    T(cudaGetLastError());
    return 0;
}
