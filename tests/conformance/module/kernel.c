/* SPDX-License-Identifier: MIT */
/* covers: cuKernelGetFunction cuKernelGetName cuKernelGetLibrary cuKernelGetAttribute
 * cuKernelSetAttribute cuKernelGetParamInfo cuKernelSetCacheConfig cuFuncGetAttribute */
/* Kernels of a library, with no context of their own, and the functions that they become. */
#include "module/driver.h"

static const char ptx[] =
    PTX_HEAD ".visible .entry k(.param .u64 out, .param .u32 v, .param .align 8 .b8 s[24])\n"
             ".maxntid 256, 1, 1\n{\n"
             "  .shared .align 4 .b8 tile[1024];\n"
             "  .reg .b32 %r<2>; .reg .b64 %rd<3>;\n"
             "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; ld.param.u32 %r1, [v];\n"
             "  st.shared.u32 [tile], %r1; ld.shared.u32 %r1, [tile];\n"
             "  st.global.u32 [%rd2], %r1; ret;\n}\n";

int main(void)
{
    CUlibrary l, back = NULL;
    CUkernel k;
    CUfunction f = NULL, g = NULL;
    CUmodule m = NULL;
    const char *name = NULL;
    size_t off, size;
    int v;

    t_context();
    T_OK(cuLibraryLoadData(&l, ptx, NULL, NULL, 0, NULL, NULL, 0));
    T_OK(cuLibraryGetKernel(&k, l, "k"));
    T(cuKernelGetName(&name, k));
    T_STR("name", name);
    T(cuKernelGetName(NULL, k));
    T(cuKernelGetName(&name, NULL));
    T(cuKernelGetLibrary(&back, k));
    T_BOOL("its library", back == l);
    T(cuKernelGetLibrary(NULL, k));
    T(cuKernelGetLibrary(&back, NULL));
    T(cuKernelGetFunction(&f, k));
    T(cuKernelGetFunction(&g, k));
    T_BOOL("the same function", f == g);
    T(cuKernelGetFunction(NULL, k));
    T(cuKernelGetFunction(&f, NULL));
    T_OK(cuKernelGetFunction(&f, k));
    T(cuFuncGetModule(&m, f));
    T(cuFuncGetName(&name, f));
    T_STR("name", name);
    for (int a = 0; a <= CU_FUNC_ATTRIBUTE_MAX + 1; a++) {
        v = -99;
        printf("attribute %d\n", a);
        T(cuKernelGetAttribute(&v, (CUfunction_attribute)a, k, 0));
        if (a == CU_FUNC_ATTRIBUTE_NUM_REGS || a == CU_FUNC_ATTRIBUTE_BINARY_VERSION)
            T_DEVICE("value", v);
        else
            T_INT("value", v);
        v = -99;
        T(cuFuncGetAttribute(&v, (CUfunction_attribute)a, f));
        T_DEVICE("function's", v);
    }
    T(cuKernelGetAttribute(NULL, CU_FUNC_ATTRIBUTE_NUM_REGS, k, 0));
    T(cuKernelGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, NULL, 0));
    T(cuKernelGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, k, 99));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000, k, 0));
    T(cuKernelGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, k, 0));
    T_INT("dynamic", v);
    T(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f));
    T_INT("function's", v);
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1000000, k, 0));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, -1, k, 0));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50, k, 0));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 101, k, 0));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_NUM_REGS, 10, k, 0));
    T(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50, k, 77));
    T(cuKernelSetCacheConfig(k, CU_FUNC_CACHE_PREFER_SHARED, 0));
    T(cuKernelSetCacheConfig(k, (CUfunc_cache)8, 0));
    T(cuKernelSetCacheConfig(NULL, CU_FUNC_CACHE_PREFER_SHARED, 0));
    for (size_t i = 0; i < 4; i++) {
        off = size = 55;
        T(cuKernelGetParamInfo(k, i, &off, &size));
        printf("parameter %zu at %zu of %zu\n", i, off, size);
    }
    T(cuKernelGetParamInfo(k, 0, &off, NULL));
    T(cuKernelGetParamInfo(k, 0, NULL, &size));
    T(cuKernelGetParamInfo(NULL, 0, &off, &size));
    T(cuLibraryUnload(l));
    return 0;
}
