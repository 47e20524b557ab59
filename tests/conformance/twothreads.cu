/* SPDX-License-Identifier: MIT */
/* Threads that share a process: each its own stream, the per-thread default stream, its own last
 * error; work of one goes on while another waits. */
#include "check.h"

#include <pthread.h>

#define THREADS 2
#define ROUNDS  20

__global__ void add(int *v, int n, int by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        v[i] += by;
}

static void *work(void *arg)
{
    const int n = 1000, id = *(int *)arg;
    int h[n], *d;
    cudaStream_t s;

    EXPECT(cudaGetLastError() == cudaSuccess);
    CHECK(cudaStreamCreate(&s));
    CHECK(cudaMalloc(&d, sizeof(h)));
    for (int r = 0; r < ROUNDS; r++) {
        cudaStream_t on = r % 2 ? s : cudaStreamPerThread;

        CHECK(cudaMemsetAsync(d, 0, sizeof(h), on));
        for (int k = 0; k < 5; k++)
            add<<<8, 128, 0, on>>>(d, n, id * 100 + k);
        CHECK(cudaMemcpyAsync(h, d, sizeof(h), cudaMemcpyDeviceToHost, on));
        CHECK(cudaStreamSynchronize(on));
        for (int i = 0; i < n; i++)
            EXPECT(h[i] == id * 500 + 10);
    }
    /* An error of this thread is not seen by the other. */
    EXPECT(cudaSetDevice(99) == cudaErrorInvalidDevice);
    CHECK(cudaFree(d));
    CHECK(cudaStreamDestroy(s));
    return NULL;
}

int main(void)
{
    pthread_t t[THREADS];
    int id[THREADS];

    test_name = "twothreads";
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < THREADS; i++) {
            id[i] = i + 1;
            EXPECT(pthread_create(&t[i], NULL, work, &id[i]) == 0);
        }
        for (int i = 0; i < THREADS; i++)
            pthread_join(t[i], NULL);
    }
    EXPECT(cudaGetLastError() == cudaSuccess);
    return passed();
}
