/* SPDX-License-Identifier: MIT */
/* covers: cudaEventElapsedTime cudaEventCreateWithFlags cudaEventQuery cudaEventRecordWithFlags */
/* What elapsed times are like, and when there is none. */
#include "kernels.h"

int main(void)
{
    CUfunction busy = t_kernel("busy");
    cudaEvent_t a, b, untimed, never;
    unsigned rounds = 500000, *p;
    float all = -1, ms = -1, half = -1;
    struct t_hold h;

    T_OK(cudaMalloc((void **)&p, 4096));
    T_OK(t_hold_init(&h));
    T_OK(cudaEventCreate(&a));
    T_OK(cudaEventCreate(&b));
    T_OK(cudaEventCreate(&never));
    T_OK(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming));
    T(cudaEventRecord(a, NULL));
    T(t_launch(busy, 1, 32, 0, NULL, ARGS(&p, &rounds)));
    T(cudaEventRecord(b, NULL));
    T(cudaEventSynchronize(b));
    T(cudaEventElapsedTime(&all, a, b));
    T_BOOL("took time", all > 0.01f && all < 20000);
    T(cudaEventElapsedTime(&ms, b, a));
    T_BOOL("negative", ms == -all);
    T(cudaEventElapsedTime(&ms, a, a));
    T_BOOL("zero", ms == 0);
    T(cudaEventElapsedTime(&ms, a, never));
    T(cudaEventElapsedTime(&ms, a, untimed));
    T(cudaEventElapsedTime(NULL, a, b));
    T(cudaDeviceSynchronize());
    T(t_hold(&h, NULL));
    T(cudaEventRecordWithFlags(b, NULL, cudaEventRecordDefault));
    T(cudaEventQuery(b));
    T(cudaEventElapsedTime(&ms, a, b));
    T(t_release(&h));
    T(cudaEventSynchronize(b));
    T(cudaEventElapsedTime(&half, a, b));
    T_BOOL("later", half >= all);
    T(cudaEventRecordWithFlags(b, NULL, 99));
    T(cudaEventCreateWithFlags(&b, 0x100));
    T(cudaGetLastError());
    return 0;
}
