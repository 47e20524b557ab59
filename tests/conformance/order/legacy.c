/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamCreate cudaStreamCreateWithFlags cudaStreamQuery cudaStreamSynchronize */
/* The legacy stream waits for blocking streams and they for it; not for non-blocking ones. */
#include "kernels.h"

int main(void)
{
    CUfunction add = t_kernel("add_int");
    cudaStream_t blocking, free_running;
    int *p, n = 1, v = 1, *q, host = -1;
    struct t_hold h;

    T_OK(cudaStreamCreate(&blocking));
    T_OK(cudaStreamCreateWithFlags(&free_running, cudaStreamNonBlocking));
    T_OK(cudaMalloc((void **)&p, 8));
    q = p + 1;
    T_OK(cudaMemset(p, 0, 8));
    T_OK(t_hold_init(&h));
    T_OK(cudaDeviceSynchronize());

    T(t_hold(&h, blocking));
    T(t_launch(add, 1, 1, 0, NULL, ARGS(&p, &v, &n)));
    T(t_launch(add, 1, 1, 0, free_running, ARGS(&q, &v, &n)));
    T(cudaStreamSynchronize(free_running));
    T(cudaMemcpyAsync(&host, q, 4, cudaMemcpyDeviceToHost, free_running));
    T_INT("q", host);
    T(cudaStreamQuery(blocking));
    T(cudaStreamQuery(NULL));
    T(cudaStreamQuery(cudaStreamLegacy));
    T(cudaStreamQuery(cudaStreamPerThread));
    T(t_release(&h));
    T(cudaStreamSynchronize(NULL));
    T(cudaStreamQuery(blocking));
    t_show("p", p, 2);

    T(cudaMemset(h.flag, 0, 4));
    T(cudaDeviceSynchronize());
    T(t_hold(&h, NULL));
    T(t_launch(add, 1, 1, 0, blocking, ARGS(&p, &v, &n)));
    T(cudaStreamQuery(blocking));
    T(cudaStreamQuery(free_running));
    T(t_release(&h));
    T(cudaStreamSynchronize(blocking));
    T(cudaStreamQuery(NULL));
    t_show("p", p, 2);
    T(cudaStreamDestroy(blocking));
    T(cudaStreamDestroy(free_running));
    return 0;
}
