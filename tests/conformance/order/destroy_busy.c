/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamDestroy cudaEventDestroy cuStreamDestroy_v2 */
/* Streams and events destroyed while work on them is still to be done: the work is done. */
#include "kernels.h"

int main(void)
{
    CUfunction add = t_kernel("add_int");
    int *p, n = 64, v = 3;
    cudaStream_t s, other;
    cudaEvent_t e;
    struct t_hold h;

    T_OK(cudaMalloc((void **)&p, 256));
    T_OK(cudaMemset(p, 0, 256));
    T_OK(t_hold_init(&h));
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaDeviceSynchronize());
    T(t_hold(&h, s));
    for (int i = 0; i < 10; i++)
        T(t_launch(add, 1, 64, 0, s, ARGS(&p, &v, &n)));
    T(cudaEventRecord(e, s));
    T(cudaStreamWaitEvent(other, e, 0));
    T(t_launch(add, 1, 64, 0, other, ARGS(&p, &v, &n)));
    T(cudaEventQuery(e));
    T(cudaEventDestroy(e));
    T(cudaStreamDestroy(s));
    T(cudaStreamQuery(other));
    T(t_release(&h));
    T(cudaStreamSynchronize(other));
    t_show("p", p, 64);
    T(cudaDeviceSynchronize());
    T(cuStreamDestroy((CUstream)other));
    return 0;
}
