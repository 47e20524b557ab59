/* SPDX-License-Identifier: MIT */
/*
 * memquota.cu - one process of a guest, told by lines of standard input what to do with device
 * memory; one line of answer for each:
 *   take MIB    cudaMalloc            the error, 0: none
 *   give        cudaFree of the latest
 *   pool MIB    cudaMallocAsync and a wait
 *   array MIB   cudaMallocArray
 *   heap MIB    cudaDeviceSetLimit(cudaLimitMallocHeapSize)
 *   graph MIB   a memory allocation node
 *   module MIB  a module with a variable of that size; module 0: all of them unloaded
 *   export      cudaIpcGetMemHandle of the latest: the handle in hexadecimal digits
 *   open HANDLE cudaIpcOpenMemHandle; close: cudaIpcCloseMemHandle of the latest
 *   run         a kernel; the error after a wait
 *   info        free and total MiB; "differs" if calls that tell the total do not agree
 */
#include <cuda_runtime.h>

#include <cstdio>
#include <cstring>
#include <vector>

#define MIB ((size_t)1 << 20)

__global__ void mark(unsigned *p)
{
    *p = 42;
}

static void info()
{
    size_t left = 0, total = 0;
    cudaDeviceProp prop;

    cudaMemGetInfo(&left, &total);
    cudaGetDeviceProperties(&prop, 0);
    printf("%zu %zu%s\n", left / MIB, total / MIB, prop.totalGlobalMem == total ? "" : " differs");
}

static cudaError_t array(size_t mib)
{
    cudaChannelFormatDesc d = cudaCreateChannelDesc<float>();
    cudaArray_t a;

    /* 4096 floats by 64 rows are a MiB. */
    return cudaMallocArray(&a, &d, 4096, 64 * mib);
}

static cudaError_t graph(size_t mib)
{
    cudaMemAllocNodeParams p = {};
    cudaGraph_t g;
    cudaGraphNode_t n;

    p.poolProps.allocType = cudaMemAllocationTypePinned;
    p.poolProps.location.type = cudaMemLocationTypeDevice;
    p.bytesize = mib * MIB;
    cudaGraphCreate(&g, 0);
    return cudaGraphAddMemAllocNode(&n, g, NULL, 0, &p);
}

static cudaError_t module(size_t mib)
{
    static std::vector<cudaLibrary_t> loaded;
    char text[256];
    cudaLibrary_t m;
    cudaError_t err = cudaSuccess;

    if (!mib) {
        for (cudaLibrary_t x : loaded)
            err = err ? err : cudaLibraryUnload(x);
        loaded.clear();
        return err;
    }
    snprintf(text, sizeof(text), ".version 7.0\n.target sm_70\n.address_size 64\n"
             ".visible .global .align 4 .b8 big[%zu];\n", mib * MIB);
    err = cudaLibraryLoadData(&m, text, NULL, NULL, 0, NULL, NULL, 0);
    if (!err)
        loaded.push_back(m);
    return err;
}

static void print_handle(void *p)
{
    cudaIpcMemHandle_t h;
    cudaError_t err = cudaIpcGetMemHandle(&h, p);

    for (size_t i = 0; !err && i < sizeof(h); i++)
        printf("%02x", (unsigned char)h.reserved[i]);
    printf(err ? "%d\n" : "\n", (int)err);
}

static cudaError_t open_handle(const char *hex, void **p)
{
    cudaIpcMemHandle_t h = {};
    unsigned v = 0;

    for (size_t i = 0; i < sizeof(h) && sscanf(hex + 2 * i, "%2x", &v) == 1; i++)
        h.reserved[i] = (char)v;
    return cudaIpcOpenMemHandle(p, h, cudaIpcMemLazyEnablePeerAccess);
}

static cudaError_t run()
{
    unsigned v = 0, *p;
    cudaError_t err = cudaMalloc(&p, sizeof(v));

    if (err)
        return err;
    mark<<<1, 1>>>(p);
    err = cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost);
    cudaFree(p);
    return err ? err : v == 42 ? cudaSuccess : cudaErrorUnknown;
}

int main()
{
    std::vector<void *> held, opened;
    char line[256], what[64], handle[200];

    setvbuf(stdout, NULL, _IOLBF, 0);
    cudaFree(0);
    while (fgets(line, sizeof(line), stdin)) {
        size_t mib = 0;
        void *p = NULL;
        cudaError_t err = cudaErrorUnknown;

        if (sscanf(line, "%63s %zu", what, &mib) < 1)
            continue;
        if (!strcmp(what, "info")) {
            info();
            continue;
        } else if (!strcmp(what, "export")) {
            print_handle(held.back());
            continue;
        } else if (sscanf(line, "open %199s", handle) == 1) {
            err = open_handle(handle, &p);
            if (!err)
                opened.push_back(p);
        } else if (!strcmp(what, "close")) {
            err = cudaIpcCloseMemHandle(opened.back());
            opened.pop_back();
        } else if (!strcmp(what, "take")) {
            err = cudaMalloc(&p, mib * MIB);
            if (!err)
                held.push_back(p);
        } else if (!strcmp(what, "give")) {
            err = cudaFree(held.back());
            held.pop_back();
        } else if (!strcmp(what, "pool")) {
            err = cudaMallocAsync(&p, mib * MIB, 0);
            if (!err)
                err = cudaStreamSynchronize(0);
        } else if (!strcmp(what, "array")) {
            err = array(mib);
        } else if (!strcmp(what, "heap")) {
            err = cudaDeviceSetLimit(cudaLimitMallocHeapSize, mib * MIB);
        } else if (!strcmp(what, "graph")) {
            err = graph(mib);
        } else if (!strcmp(what, "module")) {
            err = module(mib);
        } else if (!strcmp(what, "run")) {
            err = run();
        }
        printf("%d\n", (int)err);
    }
    return 0;
}
