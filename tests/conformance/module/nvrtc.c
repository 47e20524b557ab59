/* SPDX-License-Identifier: MIT */
/* covers: cuModuleLoadDataEx cuModuleGetFunction cuLaunchKernel */
/* Code made at run time by libnvrtc: PTX, or with BINARY (nvrtcbin.c) a binary for this device. */
#include <dlfcn.h>

#include "module/driver.h"

#ifndef BINARY
#define BINARY 0
#endif

static const char source[] = "extern \"C\" __global__ void axpy(float a, const float *x, float *y, "
                             "int n)\n{\n"
                             "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n\n"
                             "    if (i < n)\n        y[i] = a * x[i] + y[i];\n}\n";

static void run(const void *image)
{
    static float x[1000], y[1000];
    CUdeviceptr dx, dy;
    CUmodule m;
    CUfunction f;
    float a = 3;
    int n = 1000;
    void *args[] = {&a, &dx, &dy, &n};

    if (T(cuModuleLoadDataEx(&m, image, 0, NULL, NULL)))
        return;
    for (int i = 0; i < n; i++) {
        x[i] = (float)i;
        y[i] = 2;
    }
    T_OK(cuMemAlloc(&dx, sizeof(x)));
    T_OK(cuMemAlloc(&dy, sizeof(y)));
    T_OK(cuMemcpyHtoD(dx, x, sizeof(x)));
    T_OK(cuMemcpyHtoD(dy, y, sizeof(y)));
    T(cuModuleGetFunction(&f, m, "axpy"));
    T(cuLaunchKernel(f, 4, 1, 1, 256, 1, 1, 0, NULL, args, NULL));
    T(cuMemcpyDtoH(y, dy, sizeof(y)));
    T_DIGEST("y", y, sizeof(y));
    T(cuMemFree(dx));
    T(cuMemFree(dy));
    T(cuModuleUnload(m));
}

int main(void)
{
    void *lib = dlopen("libnvrtc.so.13", RTLD_NOW);
    int (*create)(void **, const char *, const char *, int, void *, void *);
    int (*compile)(void *, int, const char *const *);
    int (*size)(void *, size_t *), (*get)(void *, char *);
    char arch[32];
    const char *opts[] = {arch};
    int major = 0, minor = 0;
    void *p;
    size_t n = 0;
    char *image;

    if (!lib)
        lib = dlopen("/usr/local/cuda/lib64/libnvrtc.so.13", RTLD_NOW);
    if (!lib) {
        printf("skipped: libnvrtc.so.13 is not here\n");
        return 77;
    }
    create = dlsym(lib, "nvrtcCreateProgram");
    compile = dlsym(lib, "nvrtcCompileProgram");
    size = dlsym(lib, BINARY ? "nvrtcGetCUBINSize" : "nvrtcGetPTXSize");
    get = dlsym(lib, BINARY ? "nvrtcGetCUBIN" : "nvrtcGetPTX");
    t_context();
    cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0);
    cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 0);
    snprintf(arch, sizeof(arch), "--gpu-architecture=%s%d%d", BINARY ? "sm_" : "compute_",
             BINARY ? major : 7, BINARY ? minor : 5);
    T_OK(create(&p, source, "axpy.cu", 0, NULL, NULL));
    T_OK(compile(p, 1, opts));
    T_OK(size(p, &n));
    image = malloc(n);
    T_OK(get(p, image));
    run(image);
    free(image);
    return 0;
}
