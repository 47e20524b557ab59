/* SPDX-License-Identifier: MIT */
/* covers: cuInit cudaGetDeviceCount cudaGetLastError */
/* Which calls are enough for a child to be without CUDA. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

static void use(void)
{
    void *p;
    int n;

    T(cudaGetDeviceCount(&n));
    T(cudaMalloc(&p, 16));
    T(cudaGetLastError());
}

static void last_error(void)
{
    T(cudaGetLastError());
    t_child("inner", use);
}

static void runtime_version(void)
{
    int v;

    T(cudaRuntimeGetVersion(&v));
    t_child("inner", use);
}

static void driver_version(void)
{
    int v;

    T(cuDriverGetVersion(&v));
    t_child("inner", use);
}

static void runtime_driver_version(void)
{
    int v;

    T(cudaDriverGetVersion(&v));
    t_child("inner", use);
}

static void init(void)
{
    T(cuInit(0));
    t_child("inner", use);
}

static void count(void)
{
    int n;

    T(cudaGetDeviceCount(&n));
    t_child("inner", use);
}

int main(void)
{
    t_child("last error", last_error);
    t_child("runtime version", runtime_version);
    t_child("driver version", driver_version);
    t_child("runtime's driver version", runtime_driver_version);
    t_child("init", init);
    t_child("count", count);
    return 0;
}
