/* SPDX-License-Identifier: MIT */
/* covers: cuModuleLoadData cuModuleLoadFatBinary cuModuleLoad cuModuleUnload cuModuleGetFunction
 * cuModuleGetGlobal cuModuleGetGlobal_v2 */
/* Modules from every kind of image: what they hold, and what bad images and names answer. */
#include <unistd.h>

#include "module/driver.h"

static const char ptx[] =
    PTX_HEAD ".visible .global .align 4 .u32 counter = 41;\n"
             ".visible .const .align 8 .b8 table[24];\n"
             ".visible .entry bump(.param .u64 out)\n{\n"
             "  .reg .b32 %r<3>; .reg .b64 %rd<4>;\n"
             "  ld.param.u64 %rd1, [out]; cvta.to.global.u64 %rd2, %rd1; mov.u64 %rd3, counter;\n"
             "  atom.global.add.u32 %r1, [%rd3], 1; add.u32 %r2, %r1, 1;\n"
             "  st.global.u32 [%rd2], %r2; ret;\n}\n";

static void run(CUmodule m)
{
    CUfunction f;
    CUdeviceptr out = 0, g = 0;
    void *args[] = {&out};
    size_t n = 0;
    int v = 100;

    T_OK(cuMemAlloc(&out, 4));
    T(cuModuleGetFunction(&f, m, "bump"));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(out));
    T(cuModuleGetGlobal(&g, &n, m, "counter"));
    T_INT("size", n);
    T_INT("counter", t_read(g));
    T(cuMemcpyHtoD(g, &v, 4));
    T(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, args, NULL));
    T_INT("result", t_read(out));
    T(cuModuleGetGlobal(NULL, &n, m, "table"));
    T_INT("size", n);
    T(cuModuleGetGlobal(&g, NULL, m, "table"));
    T(cuModuleGetGlobal(NULL, NULL, m, "table"));
    T(cuModuleGetGlobal(&g, &n, m, "bump"));
    T(cuModuleGetGlobal(&g, &n, m, "nothing"));
    T(cuModuleGetGlobal(&g, &n, m, NULL));
    T(cuModuleGetFunction(&f, m, "counter"));
    T(cuModuleGetFunction(&f, m, "nothing"));
    T(cuModuleGetFunction(&f, m, ""));
    T(cuModuleGetFunction(&f, m, NULL));
    T(cuModuleGetFunction(NULL, m, "bump"));
    T(cuMemFree(out));
}

int main(void)
{
    char path[] = "/tmp/gvm-load-XXXXXX", none[] = "/tmp/gvm-no-such-file";
    static const char bad[] = "This is no module at all, and long enough to be looked at.....";
    static const char empty[64];
    int fd = mkstemp(path);
    CUmodule m = NULL, m2 = NULL;
    CUfunction f;

    T(cuModuleLoadData(&m, ptx));
    t_context();
    T_OK(cuModuleLoadData(&m, ptx));
    run(m);
    T(cuModuleLoadData(&m2, ptx)); /* the same image again is another module */
    T_BOOL("another", m != m2);
    run(m2);
    T(cuModuleUnload(m2));
    T(cuModuleUnload(m));
    T(cuModuleLoadFatBinary(&m, kernels_image));
    T(cuModuleGetFunction(&f, m, "add_int"));
    T(cuModuleUnload(m));
    if (write(fd, ptx, sizeof(ptx) - 1) != sizeof(ptx) - 1)
        return 1;
    close(fd);
    T(cuModuleLoad(&m, path));
    run(m);
    T(cuModuleUnload(m));
    unlink(path);
    T(cuModuleLoad(&m, none));
    T(cuModuleLoad(&m, NULL));
    T(cuModuleLoad(&m, ""));
    T(cuModuleLoad(NULL, path));
    T(cuModuleLoadData(&m, NULL));
    T(cuModuleLoadData(NULL, ptx));
    T(cuModuleLoadData(&m, bad));
    T(cuModuleLoadData(&m, empty));
    T(cuModuleLoadData(&m, PTX_HEAD ".visible .entry k() { nosuchinstruction; }"));
    T(cuModuleLoadData(&m, ".version 7.8\n.target sm_121\n.address_size 64\n"));
    T(cuModuleLoadData(&m, ".version 99.0\n.target sm_75\n.address_size 64\n"));
    T(cuModuleLoadData(&m, PTX_HEAD));
    T(cuModuleUnload(m));
    T(cuModuleUnload(NULL));
    T(cuModuleGetFunction(&f, NULL, "bump"));
    return 0;
}
