/* SPDX-License-Identifier: MIT */
/* side_gpu.c - the driver of a real GPU, loaded at run time. */
#include "side.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#pragma GCC diagnostic ignored "-Wstrict-prototypes"
typedef int (*cu)(); /* the driver's functions, with whatever arguments each takes */
static void *cuda, *module;

static cu sym(const char *n)
{
    cu f = (cu)dlsym(cuda, n);

    if (!f) {
        fprintf(stderr, "no %s in libcuda.so.1\n", n);
        exit(2);
    }
    return f;
}

static void must(int err, const char *what)
{
    if (err) {
        fprintf(stderr, "%s: error %d\n", what, err);
        exit(2);
    }
}

static uint64_t gpu_alloc(size_t n)
{
    uint64_t d;

    must(sym("cuMemAlloc_v2")(&d, n), "cuMemAlloc");
    return d;
}

static void gpu_put(uint64_t to, const void *from, size_t n)
{
    must(sym("cuMemcpyHtoD_v2")(to, from, n), "cuMemcpyHtoD");
}

static void gpu_get(void *to, uint64_t from, size_t n)
{
    must(sym("cuMemcpyDtoH_v2")(to, from, n), "cuMemcpyDtoH");
}

static int gpu_load(const char *text, char *log, size_t log_n)
{
    /* CU_JIT_ERROR_LOG_BUFFER, its size, CU_JIT_OPTIMIZATION_LEVEL: as written, instruction by
     * instruction; what the assembler folds is not always what the instruction would have given */
    int opt[3] = {5, 6, 7};
    void *val[3] = {log, (void *)log_n, (void *)0};

    if (module)
        must(sym("cuModuleUnload")(module), "cuModuleUnload");
    module = NULL;
    return sym("cuModuleLoadDataEx")(&module, text, 3, opt, val);
}

static int gpu_run(const char *kernel, uint32_t grid, const uint32_t block[3], uint32_t shmem,
                   const uint64_t *args, unsigned nargs, char *log, size_t log_n)
{
    uint64_t v[8];
    void *a[8], *fn;
    int err;

    for (unsigned i = 0; i < nargs && i < 8; i++) {
        v[i] = args[i];
        a[i] = &v[i];
    }
    snprintf(log, log_n, "%s", kernel);
    if ((err = sym("cuModuleGetFunction")(&fn, module, kernel)))
        return err;
    err = sym("cuLaunchKernel")(fn, grid, 1, 1, block[0], block[1], block[2], shmem, NULL, a, NULL);
    return err ? err : sym("cuCtxSynchronize")();
}

const struct side *side_gpu(void)
{
    static const struct side s = {gpu_alloc, gpu_put, gpu_get, gpu_load, gpu_run};
    void *ctx;
    int dev;

    cuda = dlopen("libcuda.so.1", RTLD_NOW);
    if (!cuda) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    must(sym("cuInit")(0), "cuInit");
    must(sym("cuDeviceGet")(&dev, 0), "cuDeviceGet");
    must(sym("cuDevicePrimaryCtxRetain")(&ctx, dev), "cuDevicePrimaryCtxRetain");
    must(sym("cuCtxSetCurrent")(ctx), "cuCtxSetCurrent");
    return &s;
}
