/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cuLaunchCooperativeKernel */
/* Launches that the driver refuses on the spot: geometry, shared memory, block limits of the
 * kernel, too many blocks for a cooperative launch. Nothing of it is sticky. */
#include "module/driver.h"

static const char ptx[] =
    PTX_HEAD ".visible .entry k(.param .u64 out)\n{\n"
             "  .reg .b32 %r<2>; .reg .b64 %rd<3>;\n"
             "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
             "  mov.u32 %r1, 1; atom.global.add.u32 %r1, [%rd2], %r1; ret;\n}\n"
             ".visible .entry bounded()\n.maxntid 64, 1, 1\n{\n  ret;\n}\n"
             ".visible .entry required()\n.reqntid 32, 2, 1\n{\n  ret;\n}\n"
             ".visible .entry shared()\n{\n  .shared .align 4 .b8 s[40000]; .reg .b32 %r<2>;\n"
             "  mov.u32 %r1, %tid.x; st.shared.u32 [s], %r1; ret;\n}\n";

int main(void)
{
    static const unsigned shape[][6] = {
        {0, 1, 1, 1, 1, 1},           {1, 0, 1, 1, 1, 1},           {1, 1, 0, 1, 1, 1},
        {1, 1, 1, 0, 1, 1},           {1, 1, 1, 1, 0, 1},           {1, 1, 1, 1, 1, 0},
        {1, 1, 1, 1025, 1, 1},        {1, 1, 1, 1, 1025, 1},        {1, 1, 1, 1, 1, 65},
        {1, 1, 1, 1, 1, 64},          {1, 1, 1, 32, 33, 1},         {1, 1, 1, 1024, 1, 1},
        {1, 65536, 1, 1, 1, 1},       {1, 1, 65536, 1, 1, 1},       {1, 65535, 1, 1, 1, 1},
        {2147483648u, 1, 1, 1, 1, 1}, {1, 1, 1, 4294967295u, 1, 1}, {3, 2, 2, 4, 4, 4},
    };
    static const unsigned dynamic[] = {0, 49152, 49153, 100000, 232448, 232449, 4294967295u};
    CUmodule m;
    CUfunction k, f;
    CUdeviceptr out;
    void *args[] = {&out};

    t_context();
    T_OK(cuModuleLoadData(&m, ptx));
    T_OK(cuModuleGetFunction(&k, m, "k"));
    T_OK(cuMemAlloc(&out, 4));
    T_OK(cuMemsetD32(out, 0, 1));
    for (unsigned i = 0; i < sizeof(shape) / sizeof(shape[0]); i++) {
        const unsigned *s = shape[i];

        printf("grid %u %u %u block %u %u %u\n", s[0], s[1], s[2], s[3], s[4], s[5]);
        T(cuLaunchKernel(k, s[0], s[1], s[2], s[3], s[4], s[5], 0, NULL, args, NULL));
    }
    for (unsigned i = 0; i < sizeof(dynamic) / sizeof(dynamic[0]); i++) {
        printf("dynamic %u\n", dynamic[i]);
        T(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, dynamic[i], NULL, args, NULL));
    }
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000));
    for (unsigned i = 0; i < sizeof(dynamic) / sizeof(dynamic[0]); i++) {
        printf("dynamic %u\n", dynamic[i]);
        T(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, dynamic[i], NULL, args, NULL));
    }
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 10));
    T(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 10, NULL, args, NULL));
    T(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 11, NULL, args, NULL));
    T(cuLaunchKernel(k, 1, 1, 1, 1, 1, 1, 100000, NULL, args, NULL));
    T_OK(cuModuleGetFunction(&f, m, "bounded"));
    T(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 65, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 64, 1, 0, NULL, NULL, NULL));
    T_OK(cuModuleGetFunction(&f, m, "required"));
    T(cuLaunchKernel(f, 1, 1, 1, 32, 2, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 64, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 16, 2, 1, 0, NULL, NULL, NULL));
    T_OK(cuModuleGetFunction(&f, m, "shared"));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 9152, NULL, NULL, NULL));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 9153, NULL, NULL, NULL));
    T(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 192448));
    T(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 192449));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 192448, NULL, NULL, NULL));
    T(cuLaunchCooperativeKernel(k, 1, 1, 1, 32, 1, 1, 0, NULL, args));
    T(cuLaunchCooperativeKernel(k, 1000000, 1, 1, 32, 1, 1, 0, NULL, args));
    T(cuLaunchCooperativeKernel(k, 0, 1, 1, 32, 1, 1, 0, NULL, args));
    T(cuLaunchCooperativeKernel(k, 1, 1, 1, 2000, 1, 1, 0, NULL, args));
    T(cuLaunchCooperativeKernel(NULL, 1, 1, 1, 32, 1, 1, 0, NULL, args));
    T(cuCtxSynchronize());
    T_INT("threads that ran", t_read(out));
    T(cuMemFree(out));
    return 0;
}
