/* SPDX-License-Identifier: MIT */
/* covers: cuLinkAddData cuLinkAddData_v2 cuLinkComplete */
/* What cannot be linked: names missing, names twice, text that is not PTX, things of another kind. */
#include "module/driver.h"

static const char missing[] =
    PTX_HEAD ".extern .func (.param .b32 r) helper();\n"
             ".visible .entry k()\n{\n  .reg .b32 %r<2>;\n"
             "  { .param .b32 q0; call (q0), helper, (); ld.param.b32 %r1, [q0]; }\n  ret;\n}\n";
static const char missing_var[] = PTX_HEAD
    ".extern .global .align 4 .u32 nowhere;\n"
    ".visible .entry k(.param .u64 out)\n{\n  .reg .b32 %r<2>; .reg .b64 %rd<2>;\n"
    "  mov.u64 %rd1, nowhere; ld.global.u32 %r1, [%rd1]; st.global.u32 [%rd1], %r1; ret;\n}\n";
static const char one[] = PTX_HEAD ".visible .entry k()\n{\n  ret;\n}\n";
static const char var1[] = PTX_HEAD ".visible .global .align 4 .u32 v = 1;\n";
static const char var2[] = PTX_HEAD ".visible .global .align 4 .u32 v = 2;\n";
static const char broken[] = PTX_HEAD ".visible .entry k()\n{\n  nosuch %r1;\n}\n";

static void link2(const char *a, const char *b)
{
    char info[2048] = "", error[2048] = "";
    CUjit_option opt[] = {CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
                          CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *val[] = {info, (void *)sizeof(info), error, (void *)sizeof(error)};
    CUlinkState l;
    CUmodule m;
    void *image = NULL;
    size_t n = 0;

    T_OK(cuLinkCreate(4, opt, val, &l));
    if (a)
        T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)a, strlen(a) + 1, "a", 0, NULL, NULL));
    if (b)
        T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)b, strlen(b) + 1, "b", 0, NULL, NULL));
    if (T(cuLinkComplete(l, &image, &n)) == 0 && T(cuModuleLoadData(&m, image)) == 0)
        T(cuModuleUnload(m));
    T_BOOL("error given", error[0] != 0);
    printf("error text ~ %.*s\n", (int)strcspn(error, "\n"), error);
    T(cuLinkDestroy(l));
}

int main(void)
{
    CUlinkState l;
    void *image = NULL;
    size_t n = 0;

    t_context();
    link2(one, NULL);
    link2(missing, NULL);
    link2(missing_var, NULL);
    link2(one, one);
    link2(var1, var2);
    link2(broken, NULL);
    link2(NULL, NULL);
    T_OK(cuLinkCreate(0, NULL, NULL, &l));
    T(cuLinkAddData(l, CU_JIT_INPUT_CUBIN, (void *)one, sizeof(one), "x", 0, NULL, NULL));
    T(cuLinkDestroy(l));
    T_OK(cuLinkCreate(0, NULL, NULL, &l));
    T(cuLinkAddData(l, CU_JIT_INPUT_FATBINARY, (void *)one, sizeof(one), "x", 0, NULL, NULL));
    T(cuLinkDestroy(l));
    T_OK(cuLinkCreate(0, NULL, NULL, &l));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)one, sizeof(one), "one", 0, NULL, NULL));
    T(cuLinkComplete(l, NULL, &n));
    T(cuLinkComplete(l, &image, &n));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)var1, sizeof(var1), "late", 0, NULL, NULL));
    T(cuLinkDestroy(l));
    return 0;
}
