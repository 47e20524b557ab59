/* SPDX-License-Identifier: MIT */
/* covers: cuModuleGetFunctionCount cuModuleEnumerateFunctions cuFuncGetName cuFuncGetModule
 * cuFuncIsLoaded cuFuncLoad cuFuncGetParamInfo cuModuleGetLoadingMode cuFuncSetCacheConfig */
/* What a module says about its kernels, and a kernel about itself. */
#include "module/driver.h"

static const char ptx[] = PTX_HEAD
    ".visible .entry none()\n{\n  ret;\n}\n"
    ".visible .entry mixed(.param .u8 a, .param .u16 b, .param .align 4 .b8 c[12], .param .f64 d,\n"
    "  .param .align 16 .b8 e[16], .param .u64 f)\n{\n  ret;\n}\n"
    ".entry hidden(.param .u32 a)\n{\n  ret;\n}\n";

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void params(CUfunction f)
{
    size_t off, size;

    for (size_t i = 0; i < 8; i++) {
        off = size = 77;
        T(cuFuncGetParamInfo(f, i, &off, &size));
        printf("parameter %zu at %zu of %zu\n", i, off, size);
    }
}

int main(void)
{
    CUmoduleLoadingMode mode;
    CUfunctionLoadingState state;
    CUfunction v[4] = {0}, f;
    const char *names[4] = {0}, *name;
    CUmodule m, back;
    unsigned n = 99;
    size_t off, size;

    T(cuModuleGetLoadingMode(&mode));
    t_context();
    T(cuModuleGetLoadingMode(&mode));
    T_INT("mode", mode);
    T_OK(cuModuleLoadData(&m, ptx));
    T(cuModuleGetFunctionCount(&n, m));
    T_INT("functions", n);
    T(cuModuleGetFunctionCount(NULL, m));
    T(cuModuleGetFunctionCount(&n, NULL));
    T(cuModuleEnumerateFunctions(v, 3, m));
    for (unsigned i = 0; i < 3 && v[i]; i++)
        T(cuFuncGetName(&names[i], v[i]));
    qsort(names, 3, sizeof(names[0]), by_name);
    for (unsigned i = 0; i < 3; i++)
        T_STR("name", names[i] ? names[i] : "(none)");
    memset(v, 0, sizeof(v));
    T(cuModuleEnumerateFunctions(v, 4, m));
    T_BOOL("fourth", v[3] != NULL);
    memset(v, 0, sizeof(v));
    T(cuModuleEnumerateFunctions(v, 1, m));
    T_BOOL("second", v[1] != NULL);
    T(cuModuleEnumerateFunctions(v, 0, m));
    T(cuModuleEnumerateFunctions(NULL, 1, m));
    T(cuModuleEnumerateFunctions(v, 1, NULL));
    T_OK(cuModuleGetFunction(&f, m, "mixed"));
    T(cuFuncGetName(&name, f));
    T_STR("name", name);
    T(cuFuncGetName(NULL, f));
    T(cuFuncGetName(&name, NULL));
    T(cuFuncGetModule(&back, f));
    T_BOOL("same module", back == m);
    T(cuFuncGetModule(NULL, f));
    T(cuFuncGetModule(&back, NULL));
    T(cuFuncLoad(f));
    T(cuFuncIsLoaded(&state, f));
    T_INT("state", state);
    T(cuFuncIsLoaded(NULL, f));
    T(cuFuncIsLoaded(&state, NULL));
    T(cuFuncLoad(NULL));
    params(f);
    T(cuFuncGetParamInfo(f, 0, NULL, &size));
    T(cuFuncGetParamInfo(f, 0, &off, NULL));
    T(cuFuncGetParamInfo(NULL, 0, &off, &size));
    T_OK(cuModuleGetFunction(&f, m, "none"));
    T(cuFuncGetParamInfo(f, 0, &off, &size));
    T(cuFuncSetCacheConfig(f, CU_FUNC_CACHE_PREFER_L1));
    T(cuFuncSetCacheConfig(f, (CUfunc_cache)9));
    T(cuFuncSetCacheConfig(NULL, CU_FUNC_CACHE_PREFER_L1));
    T(cuModuleUnload(m));
    return 0;
}
