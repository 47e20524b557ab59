/* SPDX-License-Identifier: MIT */
/* covers: cudaLibraryLoadData cudaLibraryLoadFromFile cudaLibraryUnload cudaLibraryGetKernel
 * cudaLibraryGetGlobal cudaLibraryGetManaged cudaLibraryGetKernelCount cudaLibraryEnumerateKernels
 * cudaLibraryGetUnifiedFunction cudaKernelSetAttributeForDevice cudaFuncGetAttributes
 * cudaFuncSetAttribute cudaFuncGetName cudaFuncGetParamInfo */
/* The runtime's libraries and the kernels in them, used wherever a kernel may be named. */
#include <cuda_runtime_api.h>
#include <unistd.h>

#include "module/driver.h"

static const char ptx[] =
    PTX_HEAD ".visible .global .align 4 .u32 value = 3;\n"
             ".visible .entry twice(.param .u64 out, .param .u32 n)\n{\n"
             "  .reg .b32 %r<3>; .reg .b64 %rd<4>;\n"
             "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; mov.u64 %rd3, value;\n"
             "  ld.global.u32 %r1, [%rd3]; ld.param.u32 %r2, [n]; mul.lo.u32 %r2, %r1, %r2;\n"
             "  st.global.u32 [%rd2], %r2; ret;\n}\n";

static void use(cudaLibrary_t l)
{
    struct cudaFuncAttributes a;
    cudaKernel_t k = NULL, all[2] = {0};
    unsigned count = 0;
    uint32_t n = 2, v = 0, *out = NULL;
    void *g = NULL, *args[] = {&out, &n};
    const char *name = NULL;
    dim3 one = {1, 1, 1};
    size_t size = 0, off = 0;

    T_OK(cudaMalloc((void **)&out, 4));
    T(cudaLibraryGetKernelCount(&count, l));
    T_INT("kernels", count);
    T(cudaLibraryEnumerateKernels(all, 2, l));
    T_BOOL("one", all[0] && !all[1]);
    T(cudaLibraryGetKernel(&k, l, "twice"));
    T_BOOL("the same", k == all[0]);
    T(cudaLaunchKernel((const void *)k, one, one, args, 0, NULL));
    T(cudaMemcpy(&v, out, 4, cudaMemcpyDeviceToHost));
    T_INT("result", v);
    T(cudaLibraryGetGlobal(&g, &size, l, "value"));
    T_INT("size", size);
    T(cudaMemset(g, 1, 4));
    T(cudaLaunchKernel((const void *)k, one, one, args, 0, NULL));
    T(cudaMemcpy(&v, out, 4, cudaMemcpyDeviceToHost));
    T_HEX("result", v);
    T(cudaFuncGetName(&name, (const void *)k));
    T_STR("name", name ? name : "(none)");
    T(cudaFuncGetParamInfo((const void *)k, 1, &off, &size));
    printf("parameter 1 at %zu of %zu\n", off, size);
    T(cudaFuncGetParamInfo((const void *)k, 2, &off, &size));
    T(cudaFuncGetAttributes(&a, (const void *)k));
    T_INT("threads", a.maxThreadsPerBlock);
    T_INT("dynamic", a.maxDynamicSharedSizeBytes);
    T(cudaFuncSetAttribute((const void *)k, cudaFuncAttributeMaxDynamicSharedMemorySize, 65536));
    T(cudaKernelSetAttributeForDevice(k, cudaFuncAttributeMaxDynamicSharedMemorySize, 70000, 0));
    T(cudaFuncGetAttributes(&a, (const void *)k));
    T_INT("dynamic", a.maxDynamicSharedSizeBytes);
    T(cudaKernelSetAttributeForDevice(k, cudaFuncAttributeMaxDynamicSharedMemorySize, 1 << 30, 0));
    T(cudaKernelSetAttributeForDevice(k, cudaFuncAttributeMaxDynamicSharedMemorySize, 70000, 99));
    T(cudaKernelSetAttributeForDevice(NULL, cudaFuncAttributeMaxDynamicSharedMemorySize, 1, 0));
    T(cudaLibraryGetKernel(&k, l, "nothing"));
    T(cudaLibraryGetKernel(&k, l, NULL));
    T(cudaLibraryGetKernel(NULL, l, "twice"));
    T(cudaLibraryGetGlobal(&g, &size, l, "nothing"));
    T(cudaLibraryGetManaged(&g, &size, l, "value"));
    T(cudaLibraryGetUnifiedFunction(&g, l, "twice"));
    T(cudaLibraryEnumerateKernels(NULL, 1, l));
    T(cudaLibraryGetKernelCount(NULL, l));
    T(cudaGetLastError());
    T(cudaFree(out));
}

int main(void)
{
    char path[] = "/tmp/gvm-rtlibrary-XXXXXX";
    int fd = mkstemp(path);
    enum cudaLibraryOption o = cudaLibraryBinaryIsPreserved;
    enum cudaJitOption jo = cudaJitOptimizationLevel;
    void *jv = (void *)3, *yes = (void *)1;
    cudaLibrary_t l = NULL;
    cudaKernel_t k;

    T(cudaLibraryLoadData(&l, ptx, NULL, NULL, 0, NULL, NULL, 0));
    use(l);
    T(cudaLibraryUnload(l));
    T(cudaLibraryLoadData(&l, ptx, &jo, &jv, 1, &o, &yes, 1));
    T(cudaLibraryUnload(l));
    if (write(fd, ptx, sizeof(ptx) - 1) != sizeof(ptx) - 1)
        return 1;
    close(fd);
    T(cudaLibraryLoadFromFile(&l, path, NULL, NULL, 0, NULL, NULL, 0));
    use(l);
    T(cudaLibraryUnload(l));
    unlink(path);
    T(cudaLibraryLoadFromFile(&l, path, NULL, NULL, 0, NULL, NULL, 0));
    T(cudaLibraryLoadData(&l, NULL, NULL, NULL, 0, NULL, NULL, 0));
    T(cudaLibraryLoadData(NULL, ptx, NULL, NULL, 0, NULL, NULL, 0));
    T(cudaLibraryLoadData(&l, "no code", NULL, NULL, 0, NULL, NULL, 0));
    T(cudaLibraryUnload(NULL));
    T(cudaLibraryGetKernel(&k, NULL, "twice"));
    T(cudaGetLastError());
    return 0;
}
