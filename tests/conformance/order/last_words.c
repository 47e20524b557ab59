/* SPDX-License-Identifier: MIT */
/* covers: cudaGetLastError cudaPeekAtLastError cuLaunchKernel cudaMemcpyAsync */
/* Posted calls that are wrong say so at once and change nothing; those around them are done. */
#include "kernels.h"

int main(void)
{
    CUfunction add = t_kernel("add_int"), bounded = t_kernel("bounded");
    int *p, n = 64, v = 1;
    cudaStream_t s;

    T_OK(cudaMalloc((void **)&p, 256));
    T_OK(cudaStreamCreate(&s));
    T(cudaMemset(p, 0, 256));
    T(t_launch(add, 1, 64, 0, s, ARGS(&p, &v, &n)));
    T(t_launch(add, 0, 64, 0, s, ARGS(&p, &v, &n)));
    T(t_launch(add, 1, 0, 0, s, ARGS(&p, &v, &n)));
    T(t_launch(add, 1, 1025, 0, s, ARGS(&p, &v, &n)));
    T(t_launch(add, 1, 64, 1 << 20, s, ARGS(&p, &v, &n)));
    T(cuLaunchKernel(add, 1, 65536, 1, 64, 1, 1, 0, (CUstream)s, ARGS(&p, &v, &n), NULL));
    T(cuLaunchKernel(add, 1, 1, 1, 1, 1, 65, 0, (CUstream)s, ARGS(&p, &v, &n), NULL));
    T(t_launch(bounded, 1, 65, 0, s, ARGS(&p)));
    T(t_launch(add, 1, 64, 0, s, ARGS(&p, &v, &n)));
    T(cudaPeekAtLastError());
    T(cudaMemcpyAsync(p, p + 1, 256, (enum cudaMemcpyKind)7, s));
    T(cudaMemsetAsync(NULL, 0, 4, s));
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(t_launch(add, 1, 64, 0, s, ARGS(&p, &v, &n)));
    T(cudaStreamSynchronize(s));
    t_show("p", p, 64);
    T(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, (CUstream)s, ARGS(&p, &v, &n), NULL));
    T(cudaGetLastError());
    return 0;
}
