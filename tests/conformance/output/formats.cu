/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSynchronize cudaLaunchKernel */
/* Device printf: conversions, flags, many arguments, strings, its result. */
#include <cuda_runtime.h>

#include "transcript.h"

__constant__ char text[] = "constant text";

__global__ void formats(int *rc)
{
    char local[8] = {'l', 'o', 'c', 'a', 'l', 0};

    rc[0] = printf("plain\n");
    rc[1] = printf("%d %i %u %x %X %o %c %%\n", -5, 7, 4000000000u, 0xbeef, 0xbeef, 8, 'q');
    rc[2] = printf("[%8d] [%-8d] [%08d] [%+d] [% d] [%#x] [%#o]\n", 42, 42, 42, 42, 42, 42, 42);
    rc[3] = printf("%ld %lu %lld %llx %hd %hhd %zu\n", -1l, 1ul << 40, -(1ll << 50), ~0ull,
                   (short)-3, (char)-4, (size_t)99);
    rc[4] = printf("%f %e %g %E %G %.3f %10.2f %-10.1f|\n", 1.5, 12345.678, 1e-10, 0.5, 1e20,
                   3.14159, 2.71828, 1.0);
    rc[5] = printf("%s %s %10s|%-10s|%.3s\n", "literal", text, "right", "left", "cut off");
    rc[6] = printf("%s\n", local);
    rc[7] = printf("%*d %.*f\n", 6, 1, 2, 2.0);
    rc[8] = printf("%f %f %f\n", 1.0 / 0.0, -1.0 / 0.0, (double)(1.0f / 3));
    rc[9] = printf("%d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d %d\n", 1, 2, 3, 4, 5,
                   6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20);
    rc[10] = printf("");
    rc[11] = printf("%a\n", 1.0);
    rc[12] = printf("no newline, ");
    rc[13] = printf("then one\n");
    rc[14] = printf("%p\n", (void *)0x1234);
    rc[15] = printf("%5c|%-5c|\n", 'a', 'b');
}

__global__ void threads(void)
{
    printf("thread %d of block %d\n", threadIdx.x, blockIdx.x);
}

int main(void)
{
    int *rc, host[16];

    T_OK(cudaMalloc(&rc, sizeof(host)));
    formats<<<1, 1>>>(rc);
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(host, rc, sizeof(host), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 16; i++)
        T_INT("result", host[i]);
    threads<<<1, 8>>>();
    T(cudaDeviceSynchronize());
    return 0;
}
