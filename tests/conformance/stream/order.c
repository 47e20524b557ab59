/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamWaitEvent cudaStreamQuery cudaStreamSynchronize cudaEventQuery cudaEventRecord
 * cudaDeviceSynchronize */
/* The order between streams: events, and the legacy default stream, seen in the data. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

static CUfunction wait_flag, add_int;
static volatile int *flag;
static int *seen, *data;

static void wait_on(cudaStream_t s)
{
    void *args[] = {&flag, &seen};

    T_OK(cuLaunchKernel(wait_flag, 1, 1, 1, 1, 1, 1, 0, (CUstream)s, args, NULL));
}

static void add(cudaStream_t s, int v)
{
    int n = 64;
    void *args[] = {&data, &v, &n};

    T_OK(cuLaunchKernel(add_int, 1, 1, 1, 64, 1, 1, 0, (CUstream)s, args, NULL));
}

int main(void)
{
    cudaStream_t a, b, free1;
    int out[64] = {0}, can = 0;
    cudaEvent_t e;
    CUmodule m;

    T_OK(cudaDeviceGetAttribute(&can, cudaDevAttrCanMapHostMemory, 0));
    if (!can) {
        printf("no mapped host memory\n");
        return 0;
    }
    T_OK(cudaHostAlloc((void **)&flag, 4096, cudaHostAllocMapped));
    *flag = 0;
    T_OK(cudaMalloc((void **)&seen, 64));
    T_OK(cudaMalloc((void **)&data, sizeof(out)));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&wait_flag, m, "wait_flag"));
    T_OK(cuModuleGetFunction(&add_int, m, "add_int"));
    T_OK(cudaStreamCreate(&a));
    T_OK(cudaStreamCreate(&b));
    T_OK(cudaStreamCreateWithFlags(&free1, cudaStreamNonBlocking));
    T_OK(cudaEventCreate(&e));
    T_OK(cudaMemset(data, 0, sizeof(out)));
    add(free1, 0); /* loaded before a kernel waits */
    T_OK(cudaDeviceSynchronize());

    wait_on(a);
    T(cudaEventRecord(e, a));
    T(cudaStreamQuery(a));
    T(cudaEventQuery(e));
    T(cudaStreamQuery(b));
    T(cudaStreamWaitEvent(b, e, 0));
    add(b, 1);
    T(cudaStreamQuery(b));
    add(free1, 10);
    T(cudaStreamSynchronize(free1));
    T(cudaStreamQuery(free1));
    *flag = 1;
    T(cudaStreamSynchronize(b));
    T(cudaEventQuery(e));
    T(cudaMemcpy(out, data, sizeof(out), cudaMemcpyDeviceToHost));
    T_INT("sum", out[63]);

    *flag = 0;
    wait_on(a);
    add(0, 100); /* the legacy stream waits for a, and b for it */
    T(cudaStreamQuery(0));
    add(b, 1000);
    T(cudaStreamQuery(b));
    T(cudaStreamQuery(free1));
    add(free1, 10000);
    T(cudaStreamSynchronize(free1));
    *flag = 2;
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(out, data, sizeof(out), cudaMemcpyDeviceToHost));
    T_INT("sum", out[63]);
    T(cudaMemcpy(out, seen, 4, cudaMemcpyDeviceToHost));
    T_INT("seen", out[0]);
    return 0;
}
