/* SPDX-License-Identifier: MIT */
/* covers: cudaGetLastError cudaDeviceSynchronize */
/* Threads that end with work posted and errors latched: the work is done, the errors are gone. */
#include "kernels.h"

#include <pthread.h>

static CUfunction add;
static int *p, rc[20];

static void *work(void *arg)
{
    long me = (long)arg;
    int n = 64, v = 1;

    rc[me] = t_launch(add, 1, 64, 0, me & 1 ? cudaStreamPerThread : NULL, ARGS(&p, &v, &n));
    cudaFree((void *)0x30);
    rc[me] += (int)cudaPeekAtLastError() * 1000;
    return NULL;
}

int main(void)
{
    add = t_kernel("add_int");
    T_OK(cudaMalloc((void **)&p, 256));
    T(cudaMemset(p, 0, 256));
    T(cudaDeviceSynchronize());
    for (long i = 0; i < 20; i++) {
        pthread_t t;

        pthread_create(&t, NULL, work, (void *)i);
        pthread_join(t, NULL);
        T_INT("thread", rc[i]);
    }
    T(cudaGetLastError());
    T(cudaDeviceSynchronize());
    t_show("p", p, 64);
    return 0;
}
