/* SPDX-License-Identifier: MIT */
/* covers: cuMemExportToShareableHandle cuMemImportFromShareableHandle */
/* Physical memory through a file descriptor, in one process. */
#include <cuda.h>
#include <unistd.h>

#include "transcript.h"

int main(void)
{
    CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
                                .requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
                                .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}};
    CUmemGenericAllocationHandle a = 0, b = 0;
    CUcontext ctx;
    CUdevice dev;
    size_t g = 0;
    int fd = -1, ok = 0, rc;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&dev, 0));
    T_OK(cuDevicePrimaryCtxRetain(&ctx, dev));
    T_OK(cuCtxSetCurrent(ctx));
    T(cuDeviceGetAttribute(&ok, CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED,
                           dev));
    T_VOLATILE("supported", ok);
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_NONE;
    T_OK(cuMemGetAllocationGranularity(&g, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
    T_OK(cuMemCreate(&a, g, &prop, 0));
    T(cuMemExportToShareableHandle(&fd, a, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    T(cuMemRelease(a));
    prop.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    rc = cuMemCreate(&a, g, &prop, 0);
    /* The attribute and the calls must say the same. */
    T_BOOL("create as the attribute says", (rc == 0) == (ok != 0));
    if (rc == 0) {
        rc = cuMemExportToShareableHandle(&fd, a, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0);
        T_BOOL("exported", rc == 0 && fd >= 0);
        rc = cuMemImportFromShareableHandle(&b, (void *)(uintptr_t)fd,
                                            CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR);
        T_BOOL("imported", rc == 0 && b != 0);
        cuMemRelease(b);
        cuMemRelease(a);
        close(fd);
    } else {
        T_BOOL("exported", 1);
        T_BOOL("imported", 1);
    }
    T(cuMemExportToShareableHandle(NULL, a, CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, 0));
    return 0;
}
