/* SPDX-License-Identifier: MIT */
/* covers: cuIpcGetEventHandle cuIpcOpenEventHandle cuEventQuery cuEventSynchronize
 * cuStreamWaitEvent cuEventRecord */
/* An event of two processes: each records it, each waits for the other's record. */
#include <cuda.h>

#include "two.h"

struct message {
    CUipcMemHandle mem;
    CUipcEventHandle event;
};

#define SIZE (1u << 20)

static void init(void)
{
    CUcontext ctx;
    CUdevice dev;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
}

static void child(int s)
{
    static uint8_t data[SIZE];
    CUipcEventHandle bad;
    struct message m;
    CUdeviceptr p;
    CUstream st;
    CUevent e, f;
    float ms;

    take(s, &m, sizeof(m));
    printf("-- child\n");
    init();
    T_OK(cuStreamCreate(&st, CU_STREAM_NON_BLOCKING));
    T_OK(cuIpcOpenMemHandle(&p, m.mem, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    T_OK(cuIpcOpenEventHandle(&e, m.event));
    /* The parent's fills come before its record, and this copy behind it. */
    T(cuStreamWaitEvent(st, e, 0));
    T(cuMemcpyDtoHAsync(data, p, SIZE, st));
    T(cuStreamSynchronize(st));
    T_DIGEST("sees", data, SIZE);
    T(cuEventQuery(e));
    T(cuEventElapsedTime(&ms, e, e));
    T(cuIpcGetEventHandle(&bad, e));
    for (unsigned i = 0; i < 20; i++)
        cuMemsetD32Async(p, 0x02020202u + i, SIZE / 4, st);
    T(cuEventRecord(e, st));
    turn(s);
    printf("-- child\n");
    T(cuEventSynchronize(e));
    T(cuEventQuery(e));
    memset(&bad, 0x5a, sizeof(bad));
    T(cuIpcOpenEventHandle(&f, bad));
    T(cuEventDestroy(e));
    T(cuIpcCloseMemHandle(p));
    give(s, "e", 1, -1);
}

int main(void)
{
    static uint8_t data[SIZE];
    CUipcEventHandle h;
    struct message m;
    CUdeviceptr p;
    CUstream st;
    CUevent e, plain;
    pid_t pid;
    int s = start(child, &pid);
    char c;

    init();
    T_OK(cuStreamCreate(&st, CU_STREAM_NON_BLOCKING));
    T_OK(cuMemAlloc(&p, SIZE));
    T_OK(cuEventCreate(&e, CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING));
    T(cuEventCreate(&plain, CU_EVENT_INTERPROCESS));
    T_OK(cuEventCreate(&plain, CU_EVENT_DISABLE_TIMING));
    T(cuEventQuery(e)); /* never recorded */
    T_OK(cuIpcGetMemHandle(&m.mem, p));
    T_OK(cuIpcGetEventHandle(&m.event, e));
    T(cuIpcGetEventHandle(&h, e));
    T_BOOL("the same handle", memcmp(&h, &m.event, sizeof(h)) == 0);
    T(cuIpcGetEventHandle(&h, plain));
    T(cuIpcGetEventHandle(NULL, e));
    T(cuIpcOpenEventHandle(&plain, m.event));
    for (unsigned i = 0; i < 20; i++)
        cuMemsetD32Async(p, 0x01010101u + i, SIZE / 4, st);
    T(cuEventRecord(e, st));
    give(s, &m, sizeof(m), -1);
    take(s, &c, 1);
    printf("-- parent\n");
    T(cuEventSynchronize(e)); /* the child's record */
    T(cuMemcpyDtoH(data, p, SIZE));
    T_DIGEST("sees", data, SIZE);
    T(cuMemsetD8Async(p, 3, SIZE, st));
    T(cuEventRecord(e, st));
    T(cuStreamSynchronize(st));
    T(cuEventQuery(e));
    turn(s);
    finish(pid);
    T(cuEventQuery(e));
    T(cuEventDestroy(e));
    T(cuMemFree(p));
    return 0;
}
