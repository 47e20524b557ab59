/* SPDX-License-Identifier: MIT */
/* Linked with our libcudart_static.a, as nvcc does by default: names of the program that the runtime
 * uses inside as well are the program's own. Without libcuda.so.1 it prints the error's number. */
#include "check.h"

extern "C" {
int gvm_init(void)
{
    return 41;
}
int gvm_log(const char *s)
{
    return s[0];
}
int rt_last = 17, gvm_device = 5;
void *find, *load, *resolve;
}

__device__ int counter = 3;
__constant__ int step;

__global__ void add(int *p)
{
    p[threadIdx.x] = counter + step * (int)threadIdx.x;
}

int main(void)
{
    int *p, h[32], two = 2, n = -1;
    cudaError_t err = cudaGetDeviceCount(&n);

    test_name = "ownstatic";
    if (err == cudaErrorInsufficientDriver) {
        int v = -1;

        EXPECT(cudaGetLastError() == err && cudaGetLastError() == cudaSuccess);
        EXPECT(cudaMalloc((void **)&p, 16) == err);
        EXPECT(cudaDriverGetVersion(&v) == cudaSuccess && v == 0);
        EXPECT(cudaRuntimeGetVersion(&v) == cudaSuccess && v == CUDART_VERSION);
        printf("%d %s\n", (int)err, cudaGetErrorName(err));
        return passed();
    }
    CHECK(err);
    CHECK(cudaMalloc((void **)&p, sizeof(h)));
    CHECK(cudaMemcpyToSymbol(step, &two, sizeof(two)));
    add<<<1, 32>>>(p);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(h, p, sizeof(h), cudaMemcpyDeviceToHost));
    for (int i = 0; i < 32; i++)
        EXPECT(h[i] == 3 + 2 * i);
    EXPECT(gvm_init() == 41 && rt_last == 17 && gvm_device == 5 && gvm_log("a") == 'a');
    CHECK(cudaFree(p));
    return passed();
}
