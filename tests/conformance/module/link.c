/* SPDX-License-Identifier: MIT */
/* covers: cuLinkCreate cuLinkCreate_v2 cuLinkAddData cuLinkAddData_v2 cuLinkAddFile
 * cuLinkAddFile_v2 cuLinkComplete cuLinkDestroy */
/* Separately written PTX modules joined: a function, a variable and a name of two private ones. */
#include <unistd.h>

#include "module/driver.h"

static const char use[] = PTX_HEAD ".extern .func (.param .b32 r) helper(.param .b32 a);\n"
                                   ".extern .global .align 4 .u32 shared_value;\n"
                                   ".global .align 4 .u32 private_value = 5;\n"
                                   ".visible .entry k(.param .u64 out)\n{\n"
                                   "  .reg .b32 %r<5>; .reg .b64 %rd<5>;\n"
                                   "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
                                   "  mov.u64 %rd3, private_value; ld.global.u32 %r1, [%rd3];\n"
                                   "  { .param .b32 p0; .param .b32 q0; st.param.b32 [p0], %r1;\n"
                                   "    call (q0), helper, (p0); ld.param.b32 %r2, [q0]; }\n"
                                   "  mov.u64 %rd4, shared_value; ld.global.u32 %r3, [%rd4];\n"
                                   "  add.u32 %r4, %r2, %r3; st.global.u32 [%rd2], %r4; ret;\n}\n";
static const char def[] =
    PTX_HEAD ".visible .global .align 4 .u32 shared_value = 1000;\n"
             ".global .align 4 .u32 private_value = 70;\n"
             ".visible .func (.param .b32 r) helper(.param .b32 a)\n{\n"
             "  .reg .b32 %r<4>; .reg .b64 %rd<2>;\n"
             "  ld.param.b32 %r1, [a]; mov.u64 %rd1, private_value; ld.global.u32 %r2, [%rd1];\n"
             "  add.u32 %r3, %r1, %r2; st.param.b32 [r], %r3; ret;\n}\n";

static void run(const void *image)
{
    CUdeviceptr out = 0, g;
    CUmodule m;
    CUfunction f;
    void *args[] = {&out};
    size_t n = 0;

    if (T(cuModuleLoadData(&m, image)))
        return;
    T_OK(cuMemAlloc(&out, 4));
    T(cuModuleGetFunction(&f, m, "k"));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(out));
    T(cuModuleGetGlobal(&g, &n, m, "shared_value"));
    T_INT("size", n);
    T(cuMemFree(out));
    T(cuModuleUnload(m));
}

int main(void)
{
    char path[] = "/tmp/gvm-link-XXXXXX";
    int fd = mkstemp(path);
    CUlinkState l = NULL;
    void *cubin = NULL;
    size_t n = 0;
    char log[2048] = "";
    CUjit_option opt[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
    void *val[] = {log, (void *)sizeof(log)};

    t_context();
    T_OK(cuLinkCreate(2, opt, val, &l));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)use, sizeof(use), "use.ptx", 0, NULL, NULL));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)def, sizeof(def), "def.ptx", 0, NULL, NULL));
    T(cuLinkComplete(l, &cubin, &n));
    T_BOOL("image", cubin && n > 0);
    if (cubin)
        run(cubin);
    T(cuLinkDestroy(l));

    if (write(fd, def, sizeof(def) - 1) != sizeof(def) - 1)
        return 1;
    close(fd);
    T_OK(cuLinkCreate(0, NULL, NULL, &l));
    T(cuLinkAddFile(l, CU_JIT_INPUT_PTX, path, 0, NULL, NULL));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)use, sizeof(use), NULL, 0, NULL, NULL));
    T(cuLinkComplete(l, &cubin, NULL));
    run(cubin);
    T(cuLinkDestroy(l));
    unlink(path);

    T_OK(cuLinkCreate(0, NULL, NULL, &l));
    T(cuLinkAddFile(l, CU_JIT_INPUT_PTX, "/tmp/gvm-no-such-file", 0, NULL, NULL));
    T(cuLinkAddFile(l, CU_JIT_INPUT_PTX, NULL, 0, NULL, NULL));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, NULL, 10, "x", 0, NULL, NULL));
    T(cuLinkAddData(l, CU_JIT_INPUT_PTX, (void *)use, 0, "x", 0, NULL, NULL));
    T(cuLinkAddData(l, (CUjitInputType)77, (void *)use, sizeof(use), "x", 0, NULL, NULL));
    T(cuLinkDestroy(l));
    T(cuLinkCreate(0, NULL, NULL, NULL));
    T(cuLinkAddData(NULL, CU_JIT_INPUT_PTX, (void *)use, sizeof(use), "x", 0, NULL, NULL));
    T(cuLinkComplete(NULL, &cubin, &n));
    T(cuLinkDestroy(NULL));
    return 0;
}
