/* SPDX-License-Identifier: MIT */
/* covers: cuLibraryLoadData cuLibraryLoadFromFile cuLibraryUnload cuLibraryGetKernel
 * cuLibraryGetModule cuLibraryGetGlobal cuLibraryGetManaged cuLibraryGetKernelCount
 * cuLibraryEnumerateKernels cuLibraryGetUnifiedFunction */
/* Libraries: code that belongs to no context, its kernels, variables and modules. */
#include <unistd.h>

#include "module/driver.h"

static const char ptx[] = PTX_HEAD
    ".visible .global .align 4 .u32 value = 3;\n"
    ".visible .entry twice(.param .u64 out)\n{\n"
    "  .reg .b32 %r<3>; .reg .b64 %rd<4>;\n"
    "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; mov.u64 %rd3, value;\n"
    "  ld.global.u32 %r1, [%rd3]; shl.b32 %r2, %r1, 1; st.global.u32 [%rd2], %r2; ret;\n}\n"
    ".visible .entry other()\n{\n  ret;\n}\n";

static void use(CUlibrary l)
{
    CUkernel k = NULL, v[3] = {0};
    CUmodule m = NULL;
    CUfunction f = NULL;
    CUdeviceptr out = 0, g = 0;
    void *args[] = {&out}, *fn = NULL;
    size_t n = 0;
    unsigned count = 0;

    T_OK(cuMemAlloc(&out, 4));
    T(cuLibraryGetKernelCount(&count, l));
    T_INT("kernels", count);
    T(cuLibraryEnumerateKernels(v, 3, l));
    T_BOOL("two", v[0] && v[1] && !v[2]);
    T(cuLibraryGetKernel(&k, l, "twice"));
    T_BOOL("among them", k == v[0] || k == v[1]);
    T(cuLaunchKernel((CUfunction)k, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(out));
    T(cuLibraryGetGlobal(&g, &n, l, "value"));
    T_INT("size", n);
    T_INT("value", t_read(g));
    T(cuMemsetD32(g, 21, 1));
    T(cuLibraryGetModule(&m, l));
    T(cuModuleGetFunction(&f, m, "twice"));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(out));
    T(cuModuleUnload(m));
    T(cuLibraryGetManaged(&g, &n, l, "value"));
    T(cuLibraryGetManaged(&g, &n, l, "nothing"));
    T(cuLibraryGetUnifiedFunction(&fn, l, "twice"));
    T(cuLibraryGetKernel(&k, l, "nothing"));
    T(cuLibraryGetKernel(&k, l, NULL));
    T(cuLibraryGetKernel(NULL, l, "twice"));
    T(cuLibraryGetGlobal(&g, &n, l, "nothing"));
    T(cuLibraryGetGlobal(&g, &n, l, "twice"));
    T(cuLibraryGetGlobal(NULL, &n, l, "value"));
    T(cuLibraryGetGlobal(&g, NULL, l, "value"));
    T(cuLibraryGetGlobal(NULL, NULL, l, "value"));
    T(cuLibraryGetModule(NULL, l));
    T(cuLibraryGetKernelCount(NULL, l));
    T(cuLibraryEnumerateKernels(v, 0, l));
    T(cuLibraryEnumerateKernels(NULL, 1, l));
    T(cuMemFree(out));
}

int main(void)
{
    char path[] = "/tmp/gvm-library-XXXXXX";
    int fd = mkstemp(path);
    CUlibraryOption o = CU_LIBRARY_BINARY_IS_PRESERVED, bad = (CUlibraryOption)55;
    CUjit_option jo = CU_JIT_OPTIMIZATION_LEVEL;
    void *jv = (void *)3, *yes = (void *)1;
    CUlibrary l = NULL;
    CUkernel k;
    CUmodule m;
    unsigned count = 9;

    T(cuLibraryLoadData(&l, ptx, NULL, NULL, 0, NULL, NULL, 0));
    T_OK(cuInit(0));
    T(cuLibraryLoadData(&l, ptx, NULL, NULL, 0, NULL, NULL, 0)); /* no context is needed */
    T(cuLibraryGetKernelCount(&count, l));
    T(cuLibraryGetKernel(&k, l, "twice"));
    T(cuLibraryGetModule(&m, l)); /* a context is */
    t_context();
    use(l);
    T(cuLibraryUnload(l));
    T(cuLibraryLoadData(&l, ptx, &jo, &jv, 1, &o, &yes, 1));
    use(l);
    T(cuLibraryUnload(l));
    if (write(fd, ptx, sizeof(ptx) - 1) != sizeof(ptx) - 1)
        return 1;
    close(fd);
    T(cuLibraryLoadFromFile(&l, path, NULL, NULL, 0, NULL, NULL, 0));
    use(l);
    T(cuLibraryUnload(l));
    unlink(path);
    T(cuLibraryLoadFromFile(&l, path, NULL, NULL, 0, NULL, NULL, 0));
    T(cuLibraryLoadFromFile(&l, NULL, NULL, NULL, 0, NULL, NULL, 0));
    T(cuLibraryLoadData(NULL, ptx, NULL, NULL, 0, NULL, NULL, 0));
    T(cuLibraryLoadData(&l, NULL, NULL, NULL, 0, NULL, NULL, 0));
    T(cuLibraryLoadData(&l, ptx, NULL, NULL, 0, &bad, &yes, 1));
    T(cuLibraryLoadData(&l, "neither PTX nor a binary, but text of some length", NULL, NULL, 0,
                        NULL, NULL, 0));
    if (T(cuLibraryLoadData(&l, PTX_HEAD ".visible .entry k() { nosuch; }", NULL, NULL, 0, NULL,
                            NULL, 0)) == 0) {
        T(cuLibraryGetModule(&m, l));
        T(cuLibraryUnload(l));
    }
    T(cuLibraryUnload(NULL));
    T(cuLibraryGetKernel(&k, NULL, "twice"));
    T(cuLibraryGetModule(&m, NULL));
    T(cuLibraryGetKernelCount(&count, NULL));
    return 0;
}
