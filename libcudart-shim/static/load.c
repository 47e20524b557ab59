/* SPDX-License-Identifier: MIT */
/*
 * load.c - how libcudart_static.a reaches libcuda.so.1: by dlopen at the first CUDA call, as
 * NVIDIA's static runtime does. Without that library every call that needs it answers 35
 * (cudaErrorInsufficientDriver).
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "libcudart-shim/driver/core.h"
#include "libcudart-shim/driver/errors.h"
#include "libcudart-shim/driver/log.h"
#include "private_abi.h"

#define ERR_NO_DRIVER 35

/* By this section `gvm run` tells a program with this runtime from one with NVIDIA's. */
static const char mark[] __attribute__((section(".gvm_cudart"), used)) = "GVM libcudart_static";

extern const char gvm_static_names[] __attribute__((visibility("hidden"))); /* one after another */
extern const uint32_t gvm_static_count __attribute__((visibility("hidden")));
extern void *gvm_static_slots[] __attribute__((visibility("hidden")));

void *gvm_static_resolve(unsigned i);

static void *library;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- in place of what is not there ------------------------------------------------------- */

static int no_driver(void)
{
    return ERR_NO_DRIVER;
}

/* For functions that return a pointer or a truth. */
static void *nothing(void)
{
    return NULL;
}

static const void *no_device(int *err)
{
    *err = ERR_NO_DRIVER;
    return NULL;
}

static void *without(const char *name)
{
    static const char *const zero[] = {"gvm_func_name",      "gvm_func_valid",   "gvm_func_module",
                                       "gvm_module_func_at", "gvm_module_valid", "gvm_module_nfunc",
                                       "gvm_take_error",     "gvm_sticky"};

    if (strcmp(name, "gvm_device") == 0)
        return (void *)no_device;
    for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
        if (strcmp(name, zero[i]) == 0)
            return (void *)nothing;
    return (void *)no_driver;
}

/* ---- the library ------------------------------------------------------------------------- */

/* Called with `lock` held. A library that is not ours is not used, and not asked again. */
static void load(void)
{
    static bool refused;
    const uint64_t *abi;
    void (*loaded)(void), *h;

    if (library || refused)
        return;
    h = dlopen("libcuda.so.1", RTLD_NOW);
    if (!h)
        return;
    abi = dlsym(h, "gvm_private_abi");
    loaded = (void (*)(void))dlsym(h, "gvm_runtime_loaded");
    if (abi && loaded && *abi == GVM_PRIVATE_ABI) {
        loaded();
        library = h;
        return;
    }
    refused = true;
    gvm_log(abi ? "this program was linked with the libcudart_static.a of another GVM than the "
                  "libcuda.so.1 here: link it again, or use -cudart shared"
                : "this program was linked with GVM's libcudart_static.a; the libcuda.so.1 here "
                  "is not GVM's");
    dlclose(h);
}

/* What entry i goes on to. Kept once it is known; without a driver it is asked again. */
void *gvm_static_resolve(unsigned i)
{
    const char *name = gvm_static_names;
    void *fn = NULL;

    for (unsigned k = 0; k < i; k++)
        name += strlen(name) + 1;
    pthread_mutex_lock(&lock);
    load();
    if (library)
        fn = dlsym(library, name);
    if (fn)
        __atomic_store_n(&gvm_static_slots[i], fn, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&lock);
    return fn ? fn : without(name);
}

/* ---- what needs no driver ---------------------------------------------------------------- */

void gvm_say(const char *fmt, ...)
{
    char line[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    gvm_log("%s", line);
}

int gvm_refused(const char *name, uint32_t *flag)
{
    return gvm_refuse(name, flag);
}

const struct gvm_error *gvm_error_info(int number)
{
    return gvm_error_find(number);
}
