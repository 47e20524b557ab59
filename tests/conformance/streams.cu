/* SPDX-License-Identifier: MIT */
/* Several streams with pinned buffers, events between them, timing, priorities, queries. */
#include "check.h"

#define STREAMS 4

__global__ void scale(int *v, int n, int by)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        v[i] *= by;
}

__global__ void sum_all(int *const *v, int *out, int n)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < n)
        out[i] = v[0][i] + v[1][i] + v[2][i] + v[3][i];
}

int main(void)
{
    const int n = 8000;
    const size_t bytes = n * sizeof(int);
    cudaStream_t s[STREAMS], last;
    cudaEvent_t ready[STREAMS], begin, end, quiet;
    int *h[STREAMS], *d[STREAMS], **dv, *dsum, *sum, least, greatest, prio;
    unsigned flags;
    float ms = -1;

    test_name = "streams";
    CHECK(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    EXPECT(least >= greatest);
    CHECK(cudaStreamCreateWithPriority(&last, cudaStreamNonBlocking, greatest - 5));
    CHECK(cudaStreamGetPriority(last, &prio));
    EXPECT(prio == greatest);
    CHECK(cudaStreamGetFlags(last, &flags));
    EXPECT(flags == cudaStreamNonBlocking);
    CHECK(cudaEventCreate(&begin));
    CHECK(cudaEventCreate(&end));
    CHECK(cudaEventCreateWithFlags(&quiet, cudaEventDisableTiming));
    CHECK(cudaMallocHost(&sum, bytes));
    CHECK(cudaMalloc(&dsum, bytes));
    CHECK(cudaMalloc(&dv, sizeof(d)));
    for (int k = 0; k < STREAMS; k++) {
        CHECK(cudaStreamCreateWithFlags(&s[k], k % 2 ? cudaStreamNonBlocking : cudaStreamDefault));
        CHECK(cudaEventCreateWithFlags(&ready[k], k % 2 ? cudaEventDisableTiming
                                                        : cudaEventBlockingSync));
        CHECK(cudaMallocHost(&h[k], bytes));
        CHECK(cudaMalloc(&d[k], bytes));
        for (int i = 0; i < n; i++)
            h[k][i] = i + k;
    }
    CHECK(cudaMemcpy(dv, d, sizeof(d), cudaMemcpyHostToDevice));
    EXPECT(cudaEventQuery(begin) == cudaSuccess); /* never recorded */
    CHECK(cudaEventRecord(begin, last));
    for (int k = 0; k < STREAMS; k++) {
        CHECK(cudaMemcpyAsync(d[k], h[k], bytes, cudaMemcpyHostToDevice, s[k]));
        for (int r = 0; r < 3; r++)
            scale<<<(n + 127) / 128, 128, 0, s[k]>>>(d[k], n, k + 2);
        CHECK(cudaGetLastError());
        CHECK(cudaEventRecord(ready[k], s[k]));
        CHECK(cudaStreamWaitEvent(last, ready[k], 0));
    }
    sum_all<<<(n + 127) / 128, 128, 0, last>>>(dv, dsum, n);
    CHECK(cudaMemcpyAsync(sum, dsum, bytes, cudaMemcpyDeviceToHost, last));
    CHECK(cudaEventRecord(end, last));
    CHECK(cudaEventRecord(quiet, last));
    CHECK(cudaEventSynchronize(end));
    for (int i = 0; i < n; i++) {
        int want = 0;

        for (int k = 0; k < STREAMS; k++)
            want += (i + k) * (k + 2) * (k + 2) * (k + 2);
        EXPECT(sum[i] == want);
    }
    for (int k = 0; k < STREAMS; k++)
        CHECK(cudaEventQuery(ready[k]));
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    EXPECT(ms >= 0);
    CHECK(cudaStreamSynchronize(last));
    EXPECT(cudaEventElapsedTime(&ms, begin, quiet) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamQuery(last));
    for (int k = 0; k < STREAMS; k++) {
        CHECK(cudaStreamDestroy(s[k]));
        CHECK(cudaEventDestroy(ready[k]));
        CHECK(cudaFreeHost(h[k]));
        CHECK(cudaFree(d[k]));
    }
    cudaGetLastError(); /* the expected one above */
    CHECK(cudaStreamDestroy(last));
    CHECK(cudaDeviceSynchronize());
    CHECK(cudaGetLastError());
    return passed();
}
