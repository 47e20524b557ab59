/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamWaitEvent cudaEventRecord cudaMemcpyAsync cudaEventCreateWithFlags */
/* Pipelines over streams: chains of dependent launches, copies between, events across. */
#include "kernels.h"

#define N       4096
#define STREAMS 6

int main(void)
{
    CUfunction chain = t_kernel("chain"), add = t_kernel("add_int");
    cudaStream_t s[STREAMS];
    cudaEvent_t e[STREAMS];
    int *a[STREAMS], *b[STREAMS], n = N, one = 1, failed = 0;

    for (int i = 0; i < STREAMS; i++) {
        failed += cudaStreamCreateWithFlags(&s[i], i & 1 ? cudaStreamNonBlocking : 0) != 0;
        failed += cudaEventCreateWithFlags(&e[i], cudaEventDisableTiming) != 0;
        failed += cudaMalloc((void **)&a[i], N * sizeof(int)) != 0;
        failed += cudaMalloc((void **)&b[i], N * sizeof(int)) != 0;
        failed += cudaMemset(a[i], i, N * sizeof(int)) != 0;
    }
    T(cudaDeviceSynchronize());
    /* 40 dependent launches in each stream, interleaved */
    for (int k = 0; k < 40; k++)
        for (int i = 0; i < STREAMS; i++) {
            failed += t_launch(chain, N / 256, 256, 0, s[i], ARGS(&a[i], &b[i], &n));
            failed += t_launch(chain, N / 256, 256, 0, s[i], ARGS(&b[i], &a[i], &n));
        }
    T_INT("failed", failed);
    for (int i = 0; i < STREAMS; i++)
        T(cudaStreamSynchronize(s[i]));
    for (int i = 0; i < STREAMS; i++)
        t_show("chains", a[i], N);
    /* a ring: each stream continues what the one before it left, by an event */
    for (int k = 0; k < 30; k++) {
        int i = k % STREAMS, next = (k + 1) % STREAMS;

        failed += t_launch(add, N / 256, 256, 0, s[i], ARGS(&a[i], &one, &n));
        failed += cudaMemcpyAsync(a[next], a[i], N * sizeof(int), cudaMemcpyDeviceToDevice, s[i]);
        failed += cudaEventRecord(e[i], s[i]);
        failed += cudaStreamWaitEvent(s[next], e[i], 0);
    }
    T_INT("failed", failed);
    T(cudaStreamSynchronize(s[0]));
    T(cudaStreamQuery(s[STREAMS - 1]));
    t_show("ring", a[0], N);
    for (int i = 0; i < STREAMS; i++) {
        failed +=
            cudaStreamDestroy(s[i]) + cudaEventDestroy(e[i]) + cudaFree(a[i]) + cudaFree(b[i]);
    }
    T_INT("failed", failed);
    return 0;
}
