/* SPDX-License-Identifier: MIT */
/*
 * cuda_api.c - finds the driver's library.
 *
 * Our own shim has the same name and may come first in LD_LIBRARY_PATH: a worker that called it
 * would call itself. The shim is told by a symbol that the driver does not have.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "cuda_int.h"

struct cu_api cu;

/* Where drivers' packages put it, after the loader's own search. */
static const char *const places[] = {
    "libcuda.so.1",
    "/usr/local/nvidia/lib64/libcuda.so.1",
    "/usr/lib/x86_64-linux-gnu/libcuda.so.1",
    "/usr/lib/x86_64-linux-gnu/nvidia/current/libcuda.so.1",
    "/usr/lib64/libcuda.so.1",
    "/usr/lib/libcuda.so.1",
};

static bool is_shim(void *lib)
{
    return dlsym(lib, "gvm_init") != NULL;
}

static void *open_library(char *why, size_t n)
{
    const char *wish = getenv("GVM_LIBCUDA");
    bool shim = false;
    void *h;

    if (wish && *wish) {
        h = dlopen(wish, RTLD_NOW | RTLD_LOCAL);
        if (h && !is_shim(h))
            return h;
        /* What is asked for is not replaced by something else. */
        snprintf(why, n, "GVM_LIBCUDA=%s: %s", wish,
                 h ? "this is GVM's own library for guests, not NVIDIA's driver" : dlerror());
        if (h)
            dlclose(h);
        return NULL;
    }
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        h = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
        if (!h)
            continue;
        if (!is_shim(h))
            return h;
        shim = true;
        dlclose(h);
    }
    snprintf(why, n, "%s",
             shim ? "the only libcuda.so.1 found is GVM's own: no NVIDIA driver here"
                  : "no libcuda.so.1: NVIDIA's driver is not installed");
    return NULL;
}

int cuda_api_load(char *why, size_t n)
{
    static bool loaded;
    const char *missing = NULL;
    void *h;

    if (loaded)
        return 0;
    h = open_library(why, n);
    if (!h)
        return -1;
#define Y(name) cu.name = (__typeof__(cu.name))dlsym(h, #name);
#define X(name)                                                                                    \
    Y(name)                                                                                        \
    if (!cu.name)                                                                                  \
        missing = #name;
#include "cuda_api.def"
#undef X
#undef Y
    if (missing) {
        snprintf(why, n, "the driver's libcuda.so.1 has no %s: it is older than CUDA 12", missing);
        return -1;
    }
    loaded = true;
    return 0;
}
