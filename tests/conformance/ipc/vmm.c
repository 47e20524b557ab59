/* SPDX-License-Identifier: MIT */
/* covers: cuMemExportToShareableHandle cuMemImportFromShareableHandle cuMemCreate cuMemRelease
 * cuMemGetAllocationPropertiesFromHandle */
/* Physical memory by a descriptor that is passed on through a socket; its owner lets go first. */
#include <cuda.h>

#include "two.h"

static CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                   .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
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

#define FD(fd) ((void *)(uintptr_t)(fd))
#define POSIX  CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR

static void child(int s)
{
    static uint8_t data[10000];
    CUmemGenericAllocationHandle h, again, bad;
    CUmemAllocationProp got;
    CUdeviceptr va;
    size_t size;
    int fd = take(s, &size, sizeof(size));
    int other[2];

    printf("-- child\n");
    init();
    T_BOOL("a descriptor", fd >= 0);
    T_OK(cuMemImportFromShareableHandle(&h, FD(fd), POSIX));
    T(cuMemGetAllocationPropertiesFromHandle(&got, h));
    T_INT("type", got.type);
    T_INT("location", got.location.type);
    T_INT("handle types", got.requestedHandleTypes);
    T_OK(cuMemAddressReserve(&va, size, 0, 0, 0));
    T_OK(cuMemMap(va, size, 0, h, 0));
    T_OK(cuMemSetAccess(va, size, &all, 1));
    T(cuMemcpyDtoH(data, va, sizeof(data)));
    T_DIGEST("sees", data, sizeof(data));
    T(cuMemsetD8(va + 100, 0x77, 50));
    T(cuCtxSynchronize());
    T(cuMemImportFromShareableHandle(&again, FD(fd), POSIX));
    T(cuMemRelease(again));
    T(cuMemImportFromShareableHandle(&bad, FD(fd), CU_MEM_HANDLE_TYPE_NONE));
    T(cuMemImportFromShareableHandle(NULL, FD(fd), POSIX));
    close(fd);
    if (pipe(other))
        return;
    T(cuMemImportFromShareableHandle(&bad, FD(other[0]), POSIX));
    T(cuMemImportFromShareableHandle(&bad, FD(777), POSIX));
    T(cuMemExportToShareableHandle(&other[0], h, POSIX, 0));
    turn(s);
    printf("-- child\n"); /* the parent has let go */
    T(cuMemcpyDtoH(data, va, sizeof(data)));
    T_DIGEST("sees", data, sizeof(data));
    T(cuMemRelease(h));
    T(cuMemcpyDtoH(data, va, sizeof(data)));
    T_DIGEST("sees", data, sizeof(data));
    T(cuMemUnmap(va, size));
    T(cuMemAddressFree(va, size));
    give(s, "e", 1, -1);
}

int main(void)
{
    static uint8_t data[10000];
    CUmemGenericAllocationHandle h, plain, own;
    CUdeviceptr va;
    size_t size = 0;
    pid_t pid;
    int s = start(child, &pid), fd = -1, fd2 = -1;
    unsigned long long types = 9;
    char c;

    init();
    T_OK(cuMemGetAllocationGranularity(&size, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    size *= 2;
    T_OK(cuMemCreate(&h, size, &prop, 0));
    T_OK(cuMemAddressReserve(&va, size, 0, 0, 0));
    T_OK(cuMemMap(va, size, 0, h, 0));
    T_OK(cuMemSetAccess(va, size, &all, 1));
    t_fill(data, sizeof(data), 5);
    T_OK(cuMemcpyHtoD(va, data, sizeof(data)));
    T(cuPointerGetAttribute(&types, CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES, va));
    T_INT("types", types);
    T(cuMemExportToShareableHandle(&fd, h, POSIX, 0));
    T(cuMemExportToShareableHandle(&fd2, h, POSIX, 0));
    T_BOOL("descriptors", fd >= 0 && fd2 >= 0 && fd != fd2);
    close(fd2);
    T(cuMemImportFromShareableHandle(&own, FD(fd), POSIX));
    T(cuMemRelease(own));
    T(cuMemExportToShareableHandle(&fd2, h, POSIX, 1));
    T(cuMemExportToShareableHandle(NULL, h, POSIX, 0));
    T(cuMemExportToShareableHandle(&fd2, h, CU_MEM_HANDLE_TYPE_NONE, 0));
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_NONE;
    T_OK(cuMemCreate(&plain, size, &prop, 0));
    T(cuMemExportToShareableHandle(&fd2, plain, POSIX, 0));
    T(cuMemRelease(plain));
    give(s, &size, sizeof(size), fd);
    close(fd);
    take(s, &c, 1);
    printf("-- parent\n");
    T(cuMemcpyDtoH(data, va, sizeof(data)));
    T_DIGEST("sees", data, sizeof(data));
    T(cuMemsetD8(va + 200, 0x66, 50));
    T(cuCtxSynchronize());
    T(cuMemUnmap(va, size));
    T(cuMemRelease(h));
    T(cuMemAddressFree(va, size));
    turn(s);
    finish(pid);
    return 0;
}
