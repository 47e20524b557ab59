/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamDestroy cuLaunchKernel */
/* More streams than any queue has room for at once, some work in each, in every order. */
#include "kernels.h"

#define STREAMS 200

int main(void)
{
    static cudaStream_t s[STREAMS];
    CUfunction add = t_kernel("add_int");
    int *p, n = 16, failed = 0;

    T_OK(cudaMalloc((void **)&p, STREAMS * 64));
    T(cudaMemset(p, 0, STREAMS * 64));
    for (int i = 0; i < STREAMS; i++)
        failed += cudaStreamCreateWithFlags(&s[i], cudaStreamNonBlocking) != 0;
    T(cudaDeviceSynchronize());
    for (int round = 0; round < 10; round++)
        for (int k = 0; k < STREAMS; k++) {
            int i = k * 7 % STREAMS, *mine = p + 16 * i, v = i + round;

            failed += t_launch(add, 1, 16, 0, s[i], ARGS(&mine, &v, &n)) != 0;
        }
    T_INT("failed", failed);
    for (int i = STREAMS; i--;)
        failed += cudaStreamDestroy(s[i]) != 0;
    T_INT("failed", failed);
    T(cudaDeviceSynchronize());
    t_show("sums", p, STREAMS * 16);
    return 0;
}
