/* SPDX-License-Identifier: MIT */
/* covers: cuCtxSetCurrent cuCtxGetCurrent cudaGetDevice */
/* The current context belongs to the thread; a context may be current in several. */
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <pthread.h>

#include "transcript.h"

static CUcontext a;
static CUstream s;
static CUdeviceptr p;

static void in_thread(const char *name, void *(*fn)(void *))
{
    pthread_t t;

    printf("-- %s\n", name);
    pthread_create(&t, NULL, fn, NULL);
    pthread_join(t, NULL);
}

static void *driver(void *arg)
{
    CUcontext c = (CUcontext)1;
    CUdeviceptr q = 0;
    int v = 0;

    T(cuCtxGetCurrent(&c));
    T_BOOL("none", c == NULL);
    T(cuMemAlloc(&q, 16));
    T(cuStreamSynchronize(s));
    T(cuCtxSetCurrent(a));
    T(cuMemAlloc(&q, 16));
    T(cuMemcpyDtoH(&v, p, 4));
    T_HEX("v", v);
    T(cuMemsetD8Async(p, 7, 16, s));
    T(cuStreamSynchronize(s));
    T(cuMemFree(q));
    return NULL;
}

static void *pop(void *arg)
{
    CUcontext c = NULL;

    T(cuCtxPopCurrent(&c));
    T(cuCtxPushCurrent(a));
    T(cuCtxPopCurrent(&c));
    T_BOOL("a", c == a);
    return NULL;
}

static void *runtime(void *arg)
{
    CUcontext c = (CUcontext)1;
    void *q = NULL;
    int d = -1;

    T(cudaGetDevice(&d));
    T_INT("device", d);
    T(cuCtxGetCurrent(&c));
    T_BOOL("none", c == NULL);
    T(cudaMalloc(&q, 16));
    T(cuCtxGetCurrent(&c));
    T_BOOL("current", c != NULL && c != a);
    T(cudaFree(q));
    return NULL;
}

static void *destroy(void *arg)
{
    T(cuCtxDestroy(a));
    return NULL;
}

int main(void)
{
    CUcontext c = NULL;
    int v = 0;

    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&a, NULL, 0, 0));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T_OK(cuMemAlloc(&p, 16));
    T_OK(cuMemsetD32(p, 0x1234, 4));
    in_thread("driver", driver);
    T(cuMemcpyDtoH(&v, p, 4));
    T_HEX("v", v);
    in_thread("pop", pop);
    in_thread("runtime", runtime);
    T(cuCtxGetCurrent(&c));
    T_BOOL("a", c == a);
    in_thread("destroy", destroy);
    T(cuCtxSynchronize());
    T(cuMemAlloc(&p, 16));
    T(cuCtxPopCurrent(&c));
    T(cuCtxSynchronize());
    return 0;
}
