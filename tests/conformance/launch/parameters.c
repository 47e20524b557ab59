/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cuLaunchKernelEx cuLaunchCooperativeKernel */
/* Both ways to hand parameters over, kernels without any, and arguments that cannot be. */
#include "module/driver.h"

static const char ptx[] = PTX_HEAD
    ".visible .entry none()\n{\n  ret;\n}\n"
    ".visible .entry odd(.param .u64 out, .param .u32 v)\n{\n"
    "  .reg .b32 %r<2>; .reg .b64 %rd<3>;\n"
    "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; ld.param.u32 %r1, [v];\n"
    "  st.global.u32 [%rd2], %r1; ret;\n}\n"
    ".visible .entry sum(.param .u8 a, .param .u16 b, .param .align 4 .b8 c[12], .param .f64 d,\n"
    "  .param .u64 out)\n{\n"
    "  .reg .b16 %rs<3>; .reg .b32 %r<9>; .reg .f64 %fd<2>; .reg .b64 %rd<3>;\n"
    "  ld.param.u8 %rs1, [a]; ld.param.u16 %rs2, [b]; cvt.u32.u16 %r1, %rs1;\n"
    "  cvt.u32.u16 %r2, %rs2; ld.param.u32 %r3, [c]; ld.param.u32 %r4, [c+8];\n"
    "  ld.param.f64 %fd1, [d]; cvt.rzi.s32.f64 %r5, %fd1;\n"
    "  add.u32 %r6, %r1, %r2; add.u32 %r7, %r3, %r4; add.u32 %r8, %r6, %r7;\n"
    "  add.u32 %r8, %r8, %r5; ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
    "  st.global.u32 [%rd2], %r8; ret;\n}\n";

int main(void)
{
    struct {
        uint8_t a, pad;
        uint16_t b;
        uint32_t c[3];
        double d;
        CUdeviceptr out;
    } flat = {1, 0, 20, {300, 7777, 4000}, 50000.5, 0};
    uint8_t wide[sizeof(flat) + 16] __attribute__((aligned(8)));
    size_t n = sizeof(flat), room;
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &flat, CU_LAUNCH_PARAM_BUFFER_SIZE, &n,
                     CU_LAUNCH_PARAM_END};
    void *swapped[] = {CU_LAUNCH_PARAM_BUFFER_SIZE, &n, CU_LAUNCH_PARAM_BUFFER_POINTER, &flat,
                       CU_LAUNCH_PARAM_END};
    void *longer[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, wide, CU_LAUNCH_PARAM_BUFFER_SIZE, &room,
                      CU_LAUNCH_PARAM_END};
    void *strange[] = {(void *)77, &flat, CU_LAUNCH_PARAM_END};
    void *nothing[] = {CU_LAUNCH_PARAM_END};
    void *args[] = {&flat.a, &flat.b, flat.c, &flat.d, &flat.out};
    CUlaunchConfig cfg = {1, 1, 1, 1, 1, 1, 0, NULL, NULL, 0};
    CUmodule m;
    CUfunction none, odd, sum;

    t_context();
    T_OK(cuModuleLoadData(&m, ptx));
    T_OK(cuModuleGetFunction(&none, m, "none"));
    T_OK(cuModuleGetFunction(&sum, m, "sum"));
    T_OK(cuModuleGetFunction(&odd, m, "odd"));
    T_OK(cuMemAlloc(&flat.out, 4));
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(flat.out));
    flat.b = 21;
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    T_INT("result", t_read(flat.out));
    flat.b = 22;
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, swapped));
    T_INT("result", t_read(flat.out));
    flat.b = 23;
    T(cuLaunchKernelEx(&cfg, sum, args, NULL));
    T_INT("result", t_read(flat.out));
    flat.b = 24;
    T(cuLaunchKernelEx(&cfg, sum, NULL, extra));
    T_INT("result", t_read(flat.out));
    flat.b = 25;
    T(cuLaunchCooperativeKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, args));
    T_INT("result", t_read(flat.out));
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, args, extra));
    memcpy(wide, &flat, sizeof(flat));
    for (room = sizeof(flat); room <= sizeof(wide); room += 4) {
        T_INT("buffer", room);
        T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, longer));
    }
    memcpy(wide, &flat.out, 8);
    for (room = 12; room <= 20; room += 4) {
        T_INT("buffer", room);
        T(cuLaunchKernel(odd, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, longer));
    }
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, strange));
    T(cuLaunchKernel(sum, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(none, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(none, 1, 1, 1, 1, 1, 1, 0, NULL, (void **)(uintptr_t)16, NULL));
    T(cuLaunchKernel(none, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, nothing));
    T(cuLaunchKernel(none, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
    T(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T(cuLaunchKernelEx(NULL, none, NULL, NULL));
    T(cuCtxSynchronize());
    T(cuMemFree(flat.out));
    return 0;
}
