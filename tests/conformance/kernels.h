/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - kernels.cu from .c programs: launches through the driver API in the primary context,
 * which runtime calls share. Work for a stream that stays busy until told: hold() and release().
 */
#ifndef GVM_TEST_KERNELS_H
#define GVM_TEST_KERNELS_H

#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

#define ARGS(...) ((void *[]){__VA_ARGS__})

/* The kernel of kernels.cu, or NULL, printed; the first use loads the module. */
T_INLINE CUfunction t_kernel(const char *name)
{
    static CUmodule module;
    CUfunction f = NULL;
    int rc = 0;

    if (!module) {
        rc = (int)cudaFree(NULL); /* makes the primary context current */
        if (!rc)
            rc = (int)cuModuleLoadData(&module, kernels_image);
    }
    if (!rc)
        rc = (int)cuModuleGetFunction(&f, module, name);
    if (rc) {
        printf("%s: set-up failed: %d\n", name, rc);
        exit(3);
    }
    return f;
}

/* One-dimensional launch. */
T_INLINE int t_launch(CUfunction f, unsigned grid, unsigned block, unsigned shared, void *stream,
                      void **args)
{
    return (int)cuLaunchKernel(f, grid, 1, 1, block, 1, 1, shared, (CUstream)stream, args, NULL);
}

/* Keeps a stream busy until release(): independent of how fast a device is. */
struct t_hold {
    int *flag, *seen;
    cudaStream_t side; /* not blocked by the legacy stream */
    int set;
};

T_INLINE int t_hold_init(struct t_hold *h)
{
    int rc = (int)cudaMalloc((void **)&h->flag, 2 * sizeof(int));

    h->seen = h->flag + 1;
    h->set = 1;
    if (!rc)
        rc = (int)cudaStreamCreateWithFlags(&h->side, cudaStreamNonBlocking);
    return rc ? rc : (int)cudaMemset(h->flag, 0, 2 * sizeof(int));
}

T_INLINE int t_hold(struct t_hold *h, void *stream)
{
    return t_launch(t_kernel("wait_flag"), 1, 1, 0, stream, ARGS(&h->flag, &h->seen));
}

T_INLINE int t_release(struct t_hold *h)
{
    int rc = (int)cudaMemcpyAsync(h->flag, &h->set, sizeof(int), cudaMemcpyHostToDevice, h->side);

    return rc ? rc : (int)cudaStreamSynchronize(h->side);
}

/* n ints at device address p. */
T_INLINE void t_show(const char *name, const int *p, size_t n)
{
    int *host = (int *)malloc(n * sizeof(int));
    int rc = (int)cudaMemcpy(host, p, n * sizeof(int), cudaMemcpyDeviceToHost);

    if (rc)
        printf("%s = error %d\n", name, rc);
    else
        T_DIGEST(name, host, n * sizeof(int));
    free(host);
}

#endif
