/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchHostFunc */
/* Host functions hold back their own stream, and what waits for it, and nothing else. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <semaphore.h>

#include "transcript.h"

#define K 4

static sem_t go;
static int order[64], n;

static void wait_go(void *arg)
{
    sem_wait(&go);
}

static void note(void *arg)
{
    order[n++] = (int)(intptr_t)arg;
}

int main(void)
{
    cudaStream_t s[K], b;
    cudaEvent_t e;
    int *d, out = 0, one = 1;

    sem_init(&go, 0, 0);
    for (int i = 0; i < K; i++)
        T_OK(cudaStreamCreateWithFlags(&s[i], cudaStreamNonBlocking));
    T_OK(cudaStreamCreate(&b));
    T_OK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming));
    T_OK(cudaMalloc((void **)&d, 4));
    T(cudaLaunchHostFunc(s[0], wait_go, NULL));
    T(cudaMemsetAsync(d, 5, 4, s[0]));
    T(cudaEventRecord(e, s[0]));
    T(cudaStreamQuery(s[0]));
    T(cudaEventQuery(e));
    /* Other streams go on; s[1] waits. */
    T(cudaStreamWaitEvent(s[1], e, 0));
    T(cudaMemcpyAsync(&out, d, 4, cudaMemcpyDeviceToHost, s[2]));
    T(cudaStreamSynchronize(s[2]));
    T(cudaStreamQuery(s[2]));
    T(cudaStreamQuery(s[1]));
    sem_post(&go);
    T(cudaMemcpyAsync(&out, d, 4, cudaMemcpyDeviceToHost, s[1]));
    T(cudaStreamSynchronize(s[1]));
    T_HEX("out", out);
    T(cudaEventQuery(e));

    /* The legacy stream waits for a blocking stream's function. */
    T(cudaLaunchHostFunc(b, wait_go, NULL));
    T(cudaMemsetAsync(d, 6, 4, b));
    T(cudaStreamQuery(NULL));
    sem_post(&go);
    T(cudaMemcpy(&out, d, 4, cudaMemcpyDeviceToHost));
    T_HEX("out", out);

    /* Many streams: each in its own order. */
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < K; k++)
            if (cudaLaunchHostFunc(s[k], note, (void *)(intptr_t)(k * 100 + i)))
                return 1;
    T(cudaDeviceSynchronize());
    T_INT("ran", n);
    for (int k = 0; k < K; k++) {
        int last = -1, bad = 0;

        for (int i = 0; i < n; i++)
            if (order[i] / 100 == k) {
                bad += order[i] % 100 <= last;
                last = order[i] % 100;
            }
        T_INT("out of order", bad);
    }
    for (int k = 0; k < K; k++)
        T(cudaStreamDestroy(s[k]));
    return 0;
}
