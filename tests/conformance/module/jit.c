/* SPDX-License-Identifier: MIT */
/* covers: cuModuleLoadDataEx */
/* JIT options: what each is taken for, logs in both directions, a register limit that holds. */
#include "module/driver.h"

static const char good[] = PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n"
                                    "  .reg .b32 %r<2>; .reg .b64 %rd<3>;\n"
                                    "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
                                    "  mov.u32 %r1, 5; st.global.u32 [%rd2], %r1; ret;\n}\n";
static const char bad[] =
    PTX_HEAD ".visible .entry k()\n{\n  .reg .b32 %r<2>;\n  add.u32 %r1, %r7, 1;\n  ret;\n}\n";
static const char undefined[] =
    PTX_HEAD ".extern .func missing();\n.visible .entry k()\n{\n  call missing, ();\n  ret;\n}\n";

static void *num(uintptr_t v)
{
    return (void *)v;
}

static void logged(const char *image)
{
    char info[4096], error[4096];
    CUjit_option opt[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                          CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
                          CU_JIT_LOG_VERBOSE};
    void *val[] = {info, num(sizeof(info)), error, num(sizeof(error)), num(1)};
    CUmodule m;

    memset(info, 'x', sizeof(info));
    memset(error, 'x', sizeof(error));
    if (T(cuModuleLoadDataEx(&m, image, 5, opt, val)) == 0)
        T(cuModuleUnload(m));
    T_BOOL("info ended", memchr(info, 0, sizeof(info)) != NULL);
    T_BOOL("error ended", memchr(error, 0, sizeof(error)) != NULL);
    info[sizeof(info) - 1] = error[sizeof(error) - 1] = 0;
    T_BOOL("info given", info[0] && info[0] != 'x');
    T_BOOL("error given", error[0] && error[0] != 'x');
    T_BOOL("info size is the text's",
           (uintptr_t)val[1] == strlen(info) || (uintptr_t)val[1] == strlen(info) + 1);
    T_BOOL("error size is the text's",
           (uintptr_t)val[3] == strlen(error) || (uintptr_t)val[3] == strlen(error) + 1);
    T_BOOL("error names line", strstr(error, "line") != NULL);
    printf("error text ~ %.*s\n", (int)strcspn(error, "\n"), error);
}

int main(void)
{
    static const struct {
        CUjit_option opt;
        uintptr_t val;
    } single[] = {
        {CU_JIT_MAX_REGISTERS, 32},
        {CU_JIT_MAX_REGISTERS, 0},
        {CU_JIT_MAX_REGISTERS, 100000},
        {CU_JIT_THREADS_PER_BLOCK, 256},
        {CU_JIT_OPTIMIZATION_LEVEL, 0},
        {CU_JIT_OPTIMIZATION_LEVEL, 4},
        {CU_JIT_OPTIMIZATION_LEVEL, 9},
        {CU_JIT_TARGET_FROM_CUCONTEXT, 0},
        {CU_JIT_TARGET, CU_TARGET_COMPUTE_75},
        {CU_JIT_TARGET, CU_TARGET_COMPUTE_90},
        {CU_JIT_TARGET, 12345},
        {CU_JIT_FALLBACK_STRATEGY, CU_PREFER_PTX},
        {CU_JIT_GENERATE_DEBUG_INFO, 0},
        {CU_JIT_GENERATE_LINE_INFO, 1},
        {CU_JIT_CACHE_MODE, CU_JIT_CACHE_OPTION_CA},
        {CU_JIT_LOG_VERBOSE, 0},
        {CU_JIT_FAST_COMPILE, 0},
        {CU_JIT_POSITION_INDEPENDENT_CODE, 0},
        {CU_JIT_NUM_OPTIONS, 0},
        {(CUjit_option)1000, 0},
    };
    float wall = -1;
    CUjit_option time_opt[] = {CU_JIT_WALL_TIME};
    void *time_val[] = {NULL};
    CUmodule m = NULL;
    CUjit_option o;
    void *v;

    t_context();
    T(cuModuleLoadDataEx(&m, good, 0, NULL, NULL));
    T(cuModuleUnload(m));
    T(cuModuleLoadDataEx(NULL, good, 0, NULL, NULL));
    T(cuModuleLoadDataEx(&m, NULL, 0, NULL, NULL));
    for (unsigned i = 0; i < sizeof(single) / sizeof(single[0]); i++) {
        o = single[i].opt;
        v = num(single[i].val);
        printf("option %d value %u\n", (int)o, (unsigned)single[i].val);
        if (T(cuModuleLoadDataEx(&m, good, 1, &o, &v)) == 0)
            T(cuModuleUnload(m));
    }
    T(cuModuleLoadDataEx(&m, good, 1, time_opt, time_val));
    memcpy(&wall, time_val, 4);
    T_BOOL("time given", wall >= 0 && wall < 100000);
    T(cuModuleUnload(m));
    logged(good);
    logged(bad);
    logged(undefined);
    logged("");
    logged((const char *)kernels_image);
    return 0;
}
