/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy cudaMemset cudaMallocHost cudaFreeHost */
/* cudaMemcpy as a barrier: when it returns, what blocking streams did before it is there. */
#include "kernels.h"

#define N 256

int main(void)
{
    CUfunction set_late = t_kernel("set_late");
    int *a, *b, *pinned, host[N], n = N, v = 1, small = 5;
    unsigned rounds = 300000;
    cudaStream_t s;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&a, N * sizeof(int)));
    T_OK(cudaMalloc((void **)&b, N * sizeof(int)));
    T_OK(cudaMallocHost((void **)&pinned, N * sizeof(int)));
    T(cudaMemset(a, 0, N * sizeof(int)));
    memset(pinned, 0, N * sizeof(int));

    /* to the host: of other memory */
    T(t_launch(set_late, 2, 128, 0, s, ARGS(&a, &v, &n, &rounds)));
    T(cudaMemcpyAsync(pinned, a, N * sizeof(int), cudaMemcpyDeviceToHost, s));
    T(cudaMemcpy(host, b, 4, cudaMemcpyDeviceToHost));
    T_DIGEST("pinned after a copy to the host", pinned, N * sizeof(int));

    /* to the device */
    v = 2;
    T(t_launch(set_late, 2, 128, 0, s, ARGS(&a, &v, &n, &rounds)));
    T(cudaMemcpyAsync(pinned, a, N * sizeof(int), cudaMemcpyDeviceToHost, s));
    T(cudaMemcpy(b, &small, 4, cudaMemcpyHostToDevice));
    T_DIGEST("pinned after a copy to the device", pinned, N * sizeof(int));
    T(cudaStreamQuery(s));

    /* the kernel reads what the copy after it overwrites */
    v = 3;
    T(t_launch(set_late, 2, 128, 0, s, ARGS(&a, &v, &n, &rounds)));
    T(cudaMemcpyAsync(b, a, N * sizeof(int), cudaMemcpyDeviceToDevice, s));
    memset(host, 7, sizeof(host));
    T(cudaMemcpy(a, host, N * sizeof(int), cudaMemcpyHostToDevice));
    t_show("b", b, N);
    t_show("a", a, N);
    T(cudaStreamDestroy(s));
    T(cudaFreeHost(pinned));
    T(cudaFree(a));
    T(cudaFree(b));
    return 0;
}
