/* SPDX-License-Identifier: MIT */
/* covers: cuCtxDestroy cuCtxPopCurrent cuCtxPushCurrent cuCtxCreate_v3 cuCtxSetSharedMemConfig
 * cuCtxGetSharedMemConfig cuFuncSetSharedMemConfig cuDevicePrimaryCtxRelease
 * cuDevicePrimaryCtxReset cuDevicePrimaryCtxSetFlags cuEventDestroy cuEventElapsedTime
 * cuEventQuery cuEventRecord cuEventSynchronize cuStreamQuery cuStreamSynchronize cuStreamDestroy
 * cuStreamCreateWithPriority cuStreamGetCtx_v2 cuLinkCreate cuLinkAddData cuDeviceTotalMem
 * cuLinkAddFile cuMemHostRegister cuMemHostUnregister */
/* Names that newer forms have replaced, which programs built long ago still call, and streams and
 * events through the driver API alone. */
#include "kernels.h"

#define OLD(name) __asm__(#name)
CUresult ctx_destroy(CUcontext) OLD(cuCtxDestroy);
CUresult ctx_pop(CUcontext *) OLD(cuCtxPopCurrent);
CUresult ctx_push(CUcontext) OLD(cuCtxPushCurrent);
CUresult ctx_create(CUcontext *, CUexecAffinityParam *, int, unsigned, CUdevice)
    OLD(cuCtxCreate_v3);
CUresult primary_release(CUdevice) OLD(cuDevicePrimaryCtxRelease);
CUresult primary_reset(CUdevice) OLD(cuDevicePrimaryCtxReset);
CUresult primary_flags(CUdevice, unsigned) OLD(cuDevicePrimaryCtxSetFlags);
CUresult event_destroy(CUevent) OLD(cuEventDestroy);
CUresult event_elapsed(float *, CUevent, CUevent) OLD(cuEventElapsedTime);
CUresult stream_destroy(CUstream) OLD(cuStreamDestroy);
CUresult stream_ctx(CUstream, CUcontext *, CUgreenCtx *) OLD(cuStreamGetCtx_v2);
CUresult total_mem(unsigned *, CUdevice) OLD(cuDeviceTotalMem);
CUresult link_create(unsigned, CUjit_option *, void **, CUlinkState *) OLD(cuLinkCreate);
CUresult link_data(CUlinkState, CUjitInputType, void *, size_t, const char *, unsigned,
                   CUjit_option *, void **) OLD(cuLinkAddData);
CUresult link_file(CUlinkState, CUjitInputType, const char *, unsigned, CUjit_option *, void **)
    OLD(cuLinkAddFile);

CUresult host_register(void *, size_t, unsigned) OLD(cuMemHostRegister);

static const char ptx[] = ".version 8.0\n.target sm_75\n.address_size 64\n"
                          ".visible .entry nothing()\n{\n    ret;\n}\n";

static void contexts(void)
{
    CUcontext c, got = NULL;
    CUdevice dev;
    unsigned n = 0, version = 0;
    int active = 0;

    puts("contexts");
    T_OK(cuDeviceGet(&dev, 0));
    T(total_mem(&n, dev));
    T_DEVICE("total", n);
    T(total_mem(NULL, dev));
    T(total_mem(&n, 99));
    T(primary_flags(dev, CU_CTX_SCHED_BLOCKING_SYNC));
    T(cuDevicePrimaryCtxGetState(dev, &n, &active));
    T_INT("flags", n);
    T(ctx_create(&c, NULL, 0, CU_CTX_SCHED_SPIN, dev));
    T(cuCtxGetApiVersion(c, &version));
    T_INT("version", version);
    T(ctx_pop(&got));
    T_BOOL("same", got == c);
    T(cuCtxGetCurrent(&got));
    T_BOOL("none", got == NULL);
    T(ctx_push(c));
    T(cuCtxGetCurrent(&got));
    T_BOOL("same", got == c);
    T(ctx_destroy(c));
    T(cuCtxGetCurrent(&got));
    T(ctx_pop(NULL));
    T(ctx_push(NULL));
    T(ctx_destroy(NULL));
    T(cuDevicePrimaryCtxRetain(&c, dev));
    T(primary_release(dev));
    T(primary_reset(dev));
    T(primary_flags(dev, 0));
}

static void streams(void)
{
    CUstream s = NULL;
    CUgreenCtx green = (CUgreenCtx)1;
    CUcontext c = NULL, now = NULL;
    CUevent a, b;
    float ms = -1;

    puts("streams and events");
    T(cuStreamCreateWithPriority(&s, CU_STREAM_NON_BLOCKING, -1));
    T(cuStreamCreateWithPriority(&s, 77, 0));
    T(cuStreamCreateWithPriority(NULL, 0, 0));
    T(cuCtxGetCurrent(&now));
    T(stream_ctx(s, &c, &green));
    T_BOOL("context", c == now);
    T_BOOL("green", green != NULL);
    T(cuEventCreate(&a, 0));
    T(cuEventCreate(&b, 0));
    T(cuEventQuery(a));
    T(event_elapsed(&ms, a, b));
    T(cuEventRecord(a, s));
    T(t_launch(t_kernel("empty"), 1, 32, 0, s, NULL));
    T(cuEventRecord(b, s));
    T(cuEventSynchronize(b));
    T(cuEventQuery(b));
    T(event_elapsed(&ms, a, b));
    T_BOOL("time", ms >= 0);
    T(cuStreamSynchronize(s));
    T(cuStreamQuery(s));
    T(event_destroy(a));
    T(event_destroy(b));
    T(stream_destroy(s));
}

static void shared(void)
{
    CUsharedconfig config = (CUsharedconfig)9;
    CUfunction f = t_kernel("empty");

    puts("shared memory");
    T(cuCtxSetSharedMemConfig(CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE));
    T(cuCtxGetSharedMemConfig(&config));
    T_INT("config", config);
    T(cuCtxSetSharedMemConfig((CUsharedconfig)7));
    T(cuFuncSetSharedMemConfig(f, CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE));
    T(cuFuncSetSharedMemConfig(f, (CUsharedconfig)7));
}

static void registered(void)
{
    static char memory[3 * 4096] __attribute__((aligned(4096)));
    unsigned flags = 77;

    puts("registered memory");
    T(host_register(memory, 8192, CU_MEMHOSTREGISTER_PORTABLE));
    T(cuMemHostGetFlags(&flags, memory));
    T_HEX("flags", flags);
    T(host_register(memory + 4096, 8192, 0));
    T(host_register(NULL, 4096, 0));
    T(host_register(memory, 0, 0));
    T(cuMemHostUnregister(memory));
    T(cuMemHostUnregister(memory));
}

static void linker(void)
{
    CUlinkState l;
    CUfunction f;
    CUmodule m;
    void *image;
    size_t n = 0;

    puts("linker");
    T(link_create(0, NULL, NULL, &l));
    T(link_data(l, CU_JIT_INPUT_PTX, (void *)ptx, sizeof(ptx), "text", 0, NULL, NULL));
    T(link_file(l, CU_JIT_INPUT_PTX, "/nonexistent.ptx", 0, NULL, NULL));
    T(cuLinkComplete(l, &image, &n));
    T_BOOL("image", n > 0);
    T(cuModuleLoadData(&m, image));
    T(cuLinkDestroy(l));
    T(cuModuleGetFunction(&f, m, "nothing"));
    T(t_launch(f, 1, 1, 0, NULL, NULL));
    T(cuCtxSynchronize());
    T(cuModuleUnload(m));
}

int main(void)
{
    T_OK(cuInit(0));
    contexts();
    T_OK(cudaFree(NULL));
    streams();
    shared();
    registered();
    linker();
    return 0;
}
