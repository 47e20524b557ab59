/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernelEx cuFuncSetAttribute cuFuncGetAttribute */
/* Thread block clusters: their registers, shared memory of a neighbour, sizes that cannot be. */
#include "module/driver.h"

#define HEAD90 ".version 7.8\n.target sm_90\n.address_size 64\n"

/* out[block] = cluster size * 1000 + rank * 100 + what the next block of the cluster put in its
 * shared memory. */
static const char ptx[] = HEAD90
    ".visible .entry k(.param .u64 out)\n{\n"
    "  .shared .align 4 .b8 s[4];\n"
    "  .reg .pred %p<2>; .reg .b32 %r<16>; .reg .b64 %rd<5>;\n"
    "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
    "  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %cluster_ctarank; mov.u32 %r3, %cluster_nctarank;\n"
    "  add.u32 %r4, %r1, 1; st.shared.u32 [s], %r4;\n"
    "  barrier.cluster.arrive; barrier.cluster.wait;\n"
    "  add.u32 %r5, %r2, 1; rem.u32 %r5, %r5, %r3; mov.u32 %r6, s;\n"
    "  mapa.shared::cluster.u32 %r7, %r6, %r5; ld.shared::cluster.u32 %r8, [%r7];\n"
    "  barrier.cluster.arrive; barrier.cluster.wait;\n"
    "  mad.lo.u32 %r9, %r3, 1000, %r8; mad.lo.u32 %r9, %r2, 100, %r9;\n"
    "  mul.wide.u32 %rd3, %r1, 4; add.u64 %rd4, %rd2, %rd3; st.global.u32 [%rd4], %r9; ret;\n}\n"
    ".visible .entry fixed(.param .u64 out)\n.reqnctapercluster 2, 1, 1\n{\n"
    "  .reg .b32 %r<4>; .reg .b64 %rd<5>;\n"
    "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1;\n"
    "  mov.u32 %r1, %ctaid.x; mov.u32 %r2, %cluster_nctarank;\n"
    "  mul.wide.u32 %rd3, %r1, 4; add.u64 %rd4, %rd2, %rd3; st.global.u32 [%rd4], %r2; ret;\n}\n";

static void launch(CUfunction f, unsigned grid, unsigned x, unsigned y, unsigned z, CUdeviceptr out)
{
    CUlaunchAttribute a = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    CUlaunchConfig cfg = {grid, 1, 1, 1, 1, 1, 0, NULL, &a, x ? 1 : 0};
    void *args[] = {&out};
    int v[32];

    printf("grid %u cluster %u %u %u\n", grid, x, y, z);
    a.value.clusterDim.x = x;
    a.value.clusterDim.y = y;
    a.value.clusterDim.z = z;
    T_OK(cuMemsetD32(out, 0, 32));
    if (T(cuLaunchKernelEx(&cfg, f, args, NULL)))
        return;
    T(cuMemcpyDtoH(v, out, sizeof(v)));
    for (unsigned i = 0; i < grid && i < 32; i++)
        printf("%d%s", v[i], i + 1 < grid && i < 31 ? " " : "\n");
}

int main(void)
{
    CUmodule m;
    CUfunction k, fixed;
    CUdeviceptr out;
    int v = 0;

    t_context();
    T(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, 0));
    T_INT("clusters", v);
    T_OK(cuModuleLoadData(&m, ptx));
    T_OK(cuModuleGetFunction(&k, m, "k"));
    T_OK(cuModuleGetFunction(&fixed, m, "fixed"));
    T_OK(cuMemAlloc(&out, 32 * 4));
    launch(k, 8, 0, 0, 0, out);
    launch(k, 8, 1, 1, 1, out);
    launch(k, 8, 2, 1, 1, out);
    launch(k, 8, 4, 1, 1, out);
    launch(k, 8, 8, 1, 1, out);
    launch(k, 16, 16, 1, 1, out);
    launch(k, 9, 2, 1, 1, out);
    launch(k, 8, 3, 1, 1, out);
    launch(k, 8, 2, 2, 1, out);
    launch(k, 8, 2, 0, 1, out);
    launch(k, 64, 64, 1, 1, out);
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
    launch(k, 16, 16, 1, 1, out);
    launch(k, 32, 32, 1, 1, out);
    for (int a = CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET; a <= 15; a++) {
        T(cuFuncGetAttribute(&v, (CUfunction_attribute)a, fixed));
        T_INT("value", v);
    }
    launch(fixed, 8, 0, 0, 0, out);
    launch(fixed, 8, 2, 1, 1, out);
    launch(fixed, 8, 4, 1, 1, out);
    launch(fixed, 7, 0, 0, 0, out);
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, 4));
    T(cuFuncSetAttribute(fixed, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, 4));
    launch(k, 8, 0, 0, 0, out);
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE, 1));
    T(cuFuncSetAttribute(k, CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE, 9));
    T(cuCtxSynchronize());
    return 0;
}
