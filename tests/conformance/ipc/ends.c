/* SPDX-License-Identifier: MIT */
/* covers: cuMemImportFromShareableHandle cuIpcOpenMemHandle_v2 cuMemFree_v2 */
/* The process whose memory it is frees it, and is killed: what another one has imported stays. */
#include <cuda.h>
#include <signal.h>

#include "two.h"

#define POSIX CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

static const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                         .requestedHandleTypes = POSIX,
                                         .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
static const CUmemAccessDesc all = {.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0},
                                    .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static void init(void)
{
    CUcontext ctx;
    CUdevice dev;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
}

struct message {
    size_t size;
    CUipcMemHandle freed, kept;
};

/* The owner; it does not end by itself. */
static void child(int s)
{
    CUmemGenericAllocationHandle h;
    struct message m;
    CUdeviceptr va, p, q;
    int fd = -1;
    char c;

    take(s, &c, 1);
    printf("-- owner\n");
    init();
    T_OK(cuMemGetAllocationGranularity(&m.size, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    T_OK(cuMemCreate(&h, m.size, &prop, 0));
    T_OK(cuMemAddressReserve(&va, m.size, 0, 0, 0));
    T_OK(cuMemMap(va, m.size, 0, h, 0));
    T_OK(cuMemSetAccess(va, m.size, &all, 1));
    T_OK(cuMemsetD32(va, 0xabcdef01, m.size / 4));
    T_OK(cuMemAlloc(&p, 1 << 20));
    T_OK(cuIpcGetMemHandle(&m.freed, p));
    T_OK(cuMemAlloc(&q, 3 << 20));
    T_OK(cuMemsetD32(q, 0x55667788, 1000));
    T_OK(cuIpcGetMemHandle(&m.kept, q));
    T_OK(cuMemFree(p));
    T_OK(cuCtxSynchronize());
    T_OK(cuMemExportToShareableHandle(&fd, h, POSIX, 0));
    give(s, &m, sizeof(m), fd);
    take(s, &c, 1);
}

int main(void)
{
    CUmemGenericAllocationHandle h;
    struct message m;
    CUdeviceptr va, p, q;
    unsigned v[4] = {0};
    pid_t pid;
    int s = start(child, &pid), fd;

    give(s, "g", 1, -1);
    fd = take(s, &m, sizeof(m));
    printf("-- the other\n");
    init();
    T_OK(cuMemImportFromShareableHandle(&h, (void *)(uintptr_t)fd, POSIX));
    T_OK(cuMemAddressReserve(&va, m.size, 0, 0, 0));
    T_OK(cuMemMap(va, m.size, 0, h, 0));
    T_OK(cuMemSetAccess(va, m.size, &all, 1));
    T_BOOL("freed memory is not opened",
           cuIpcOpenMemHandle(&p, m.freed, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) != 0);
    T_OK(cuIpcOpenMemHandle(&q, m.kept, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
    kill(pid, SIGKILL);
    finish(pid);
    T(cuMemcpyDtoH(v, q, sizeof(v)));
    T_HEX("value", v[2]);
    T(cuMemsetD32(q, 0x11223344, 1000));
    T(cuMemcpyDtoH(v, q, sizeof(v)));
    T_HEX("value", v[1]);
    T(cuIpcCloseMemHandle(q));
    T(cuIpcCloseMemHandle(q));
    T(cuMemcpyDtoH(v, va + m.size - sizeof(v), sizeof(v)));
    T_HEX("value", v[3]);
    T(cuMemsetD32(va, 0x12345678, m.size / 4));
    T(cuMemcpyDtoH(v, va, sizeof(v)));
    T_HEX("value", v[0]);
    T(cuMemUnmap(va, m.size));
    T(cuMemRelease(h));
    T(cuMemAddressFree(va, m.size));
    T(cuMemAlloc(&p, 1 << 20));
    T(cuMemFree(p));
    return 0;
}
