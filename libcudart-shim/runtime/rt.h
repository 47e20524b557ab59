/* SPDX-License-Identifier: MIT */
/*
 * rt.h - inside libcudart.so.13: the error of the last call, kernels and variables that the program
 * has registered, and the stream that a `_ptsz` or `_ptds` twin means by 0.
 */
#ifndef GVM_RT_H
#define GVM_RT_H

#include <cuda.h>
#pragma GCC visibility push(default)
#include <cuda_runtime_api.h>
#pragma GCC visibility pop

#include "../driver/core.h"
#include "../driver/log.h"

#define RT_API __attribute__((visibility("default")))

extern __thread int rt_last __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Every public call returns through this. */
static inline cudaError_t rt_done(int err)
{
    if (__builtin_expect(err, 0))
        rt_last = err;
    return (cudaError_t)err;
}

static inline uint64_t rt_addr(const void *p)
{
    return (uintptr_t)p;
}

static inline uint64_t rt_stream(cudaStream_t s)
{
    return (uintptr_t)s;
}

/* The stream of a twin: 0 is the thread's own default stream. */
static inline cudaStream_t rt_own(cudaStream_t s)
{
    return s ? s : cudaStreamPerThread;
}

/* Direction of a cudaMemcpyKind; -1: none. */
static inline int rt_dir(enum cudaMemcpyKind kind)
{
    switch (kind) {
    case cudaMemcpyHostToHost:
        return GVM_H2H;
    case cudaMemcpyHostToDevice:
        return GVM_H2D;
    case cudaMemcpyDeviceToHost:
        return GVM_D2H;
    case cudaMemcpyDeviceToDevice:
        return GVM_D2D;
    case cudaMemcpyDefault:
        return GVM_ANY;
    }
    return -1;
}

struct image;

/* A kernel that the program registered; its address is the cudaKernel_t. */
struct rt_func {
    struct gvm_launcher again;
    struct gvm_func *f; /* atomic; NULL until used */
    const void *host;
    const char *name;
    struct image *image;
};

/* By host stub address or cudaKernel_t; NULL: neither. */
struct rt_func *rt_func_find(const void *func);

/* Its kernel, loading the module if need be. 98: not registered. */
int rt_func_get(struct rt_func *r, struct gvm_func **f);
static inline int rt_func_of(const void *func, struct gvm_func **f)
{
    struct rt_func *r = rt_func_find(func);

    if (r)
        return rt_func_get(r, f);
    if (!func)
        return 98;
    *f = gvm_func_find(func); /* a kernel of a library: what is registered is none */
    return *f ? 0 : 400;
}

/* What the program calls a kernel: its stub if it has registered one, else the handle itself. */
const void *rt_func_symbol(const struct gvm_func *f);

/* A registered variable: address and size on the device. 13: not registered. */
int rt_symbol(const void *symbol, uint64_t *dptr, uint64_t *size);

int rt_launch(struct rt_func *r, const struct gvm_launch *l);
/* gvm_launcher.other of all kernels */
int rt_launch_other(struct gvm_launcher *k, uint64_t grid_xy, uint32_t grid_z, uint64_t block_xy,
                    uint32_t block_z, void **params, size_t shmem, uint64_t stream);

#endif
