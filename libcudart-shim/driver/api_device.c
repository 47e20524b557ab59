/* SPDX-License-Identifier: MIT */
/*
 * api_device.c - devices: there is one, number 0.
 */
#include "api.h"

#include <stdio.h>
#include <string.h>

/* The description of device `dev`; NULL with *rc set. */
static const struct vgpu_device_info *device(CUdevice dev, const void *out, int *rc)
{
    *rc = api_need_init();
    if (*rc)
        return NULL;
    *rc = !out ? 1 : dev != 0 ? 101 : 0;
    return *rc ? NULL : gvm_device(rc);
}

CUresult cuDeviceGetCount(int *n)
{
    int rc = gvm_barred() ? 800 : api_need_init();

    if (rc == 0 && !n)
        rc = 1;
    if (rc == 0)
        *n = 1;
    return (CUresult)rc;
}

CUresult cuDeviceGet(CUdevice *dev, int ordinal)
{
    int rc;

    device(ordinal, dev, &rc);
    if (rc == 0)
        *dev = 0;
    return (CUresult)rc;
}

CUresult cuDeviceGetName(char *name, int len, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, name, &rc);

    if (d && len > 0)
        snprintf(name, (size_t)len, "%s", d->name);
    return (CUresult)(d && len <= 0 ? 1 : rc);
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, uuid, &rc);

    if (d)
        memcpy(uuid->bytes, d->uuid, sizeof(uuid->bytes));
    return (CUresult)rc;
}

#undef cuDeviceGetUuid
GVM_API CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev);
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev)
{
    return cuDeviceGetUuid_v2(uuid, dev);
}

/* Windows has LUIDs. */
CUresult cuDeviceGetLuid(char *luid, unsigned *mask, CUdevice dev)
{
    int rc;

    device(dev, luid && mask ? luid : NULL, &rc);
    return (CUresult)(rc ? rc : 801);
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, bytes, &rc);

    if (d)
        *bytes = d->total_mem;
    return (CUresult)rc;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, value, &rc);

    if (gvm_barred())
        return CUDA_ERROR_NOT_PERMITTED;
    if (d && ((int)attr < 1 || attr >= CU_DEVICE_ATTRIBUTE_MAX))
        rc = 1;
    if (rc == 0)
        *value = d->attr[attr];
    return (CUresult)rc;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, major && minor ? major : NULL, &rc);

    if (d) {
        *major = d->attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR];
        *minor = d->attr[CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR];
    }
    return (CUresult)rc;
}

CUresult cuDeviceGetProperties(CUdevprop *p, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, p, &rc);

    if (!d)
        return (CUresult)rc;
    p->maxThreadsPerBlock = d->attr[CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK];
    memcpy(p->maxThreadsDim, &d->attr[CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X],
           sizeof(p->maxThreadsDim));
    memcpy(p->maxGridSize, &d->attr[CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X], sizeof(p->maxGridSize));
    p->sharedMemPerBlock = d->attr[CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK];
    p->totalConstantMemory = d->attr[CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY];
    p->SIMDWidth = d->attr[CU_DEVICE_ATTRIBUTE_WARP_SIZE];
    p->memPitch = d->attr[CU_DEVICE_ATTRIBUTE_MAX_PITCH];
    p->regsPerBlock = d->attr[CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK];
    p->clockRate = d->attr[CU_DEVICE_ATTRIBUTE_CLOCK_RATE];
    p->textureAlign = d->attr[CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT];
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int len, CUdevice dev)
{
    int rc;
    const struct vgpu_device_info *d = device(dev, id, &rc);

    if (d && (len <= 0 || snprintf(id, (size_t)len, "%s", d->pci_bus_id) >= len))
        rc = 1;
    return (CUresult)rc;
}

bool gvm_pci_parse(const char *s, int v[4])
{
    unsigned a, b, c, f = 0;

    if (sscanf(s, "%x:%x:%x.%x", &a, &b, &c, &f) < 3) {
        a = 0; /* without the domain */
        if (sscanf(s, "%x:%x.%x", &b, &c, &f) < 2)
            return false;
    }
    v[0] = (int)a;
    v[1] = (int)b;
    v[2] = (int)c;
    v[3] = (int)f;
    return true;
}

int gvm_device_by_pci(const char *id, int *number)
{
    const struct vgpu_device_info *d;
    int rc, a[4], b[4];

    d = gvm_device(&rc);
    if (!d)
        return rc;
    if (!gvm_pci_parse(id, a))
        return 1;
    if (!gvm_pci_parse(d->pci_bus_id, b) || memcmp(a, b, sizeof(a)) != 0)
        return 101;
    *number = 0;
    return 0;
}

CUresult cuDeviceGetByPCIBusId(CUdevice *dev, const char *id)
{
    int rc = api_need_init();

    if (rc == 0)
        rc = dev && id ? gvm_device_by_pci(id, dev) : 1;
    return (CUresult)rc;
}

/* ---- peers: there is nobody else ---------------------------------------------------------- */

CUresult cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer)
{
    int rc;

    device(dev | peer, can, &rc);
    if (rc == 0)
        *can = 0;
    return (CUresult)rc;
}

int gvm_p2p_attribute(const void *value, int attr, int a, int b)
{
    int rc = gvm_connected();

    if (rc)
        return rc;
    /* Of a device and itself no such attribute is told. */
    return value ? 101 : 1;
}

CUresult cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attr, CUdevice a, CUdevice b)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_p2p_attribute(value, (int)attr, a, b));
}

CUresult cuDeviceGetP2PAtomicCapabilities(unsigned *caps, const CUatomicOperation *ops,
                                          unsigned count, CUdevice a, CUdevice b)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_p2p_attribute(caps && ops && count ? caps : NULL, 0, a, b));
}

/* What atomics of kernels on memory of the host can do, by size and kind of operation: over PCIe, as
 * everywhere the device and its host are not one coherent machine, what the device's attributes say
 * is there or nothing. */
int gvm_host_atomics(unsigned *caps, const int *ops, unsigned count, int dev)
{
    const struct vgpu_device_info *d;
    int rc;

    if (!caps || !ops || !count)
        return 1;
    d = gvm_device(&rc);
    if (!d)
        return rc;
    if (dev != 0)
        return 101;
    for (unsigned i = 0; i < count; i++)
        if (ops[i] < 0 || ops[i] > CU_ATOMIC_OPERATION_FLOAT_MAX)
            return 1;
    memset(caps, 0, count * sizeof(*caps));
    return 0;
}

CUresult cuDeviceGetHostAtomicCapabilities(unsigned *caps, const CUatomicOperation *ops,
                                           unsigned count, CUdevice dev)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_host_atomics(caps, (const int *)ops, count, dev));
}

/* ---- what is told about the device and never used here ------------------------------------ */

CUresult cuDeviceGetExecAffinitySupport(int *value, CUexecAffinityType type, CUdevice dev)
{
    int rc;

    device(dev, value, &rc);
    if (rc == 0)
        *value = 0; /* shares of a device are the host's to give */
    return (CUresult)rc;
}

CUresult cuDeviceGetNvSciSyncAttributes(void *list, CUdevice dev, int flags)
{
    int rc;

    device(dev, &rc, &rc);
    return (CUresult)(rc ? rc : list ? 801 : 400);
}

/* Somebody to be told when memory runs short of a quota of the operating system; there is none, so
 * nobody is ever told. Handles are numbers. */
int gvm_notify_register(int dev, const void *fn, void **handle)
{
    static uintptr_t last;
    int rc = gvm_connected();

    if (rc == 0 && dev != 0)
        rc = 101;
    if (rc == 0 && (!fn || !handle))
        rc = 1;
    if (rc == 0)
        *handle = (void *)(__atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) << 4);
    return rc;
}

int gvm_notify_unregister(int dev, const void *handle)
{
    int rc = gvm_connected();

    if (rc == 0 && dev != 0)
        rc = 101;
    return rc ? rc : handle ? 0 : 1;
}

CUresult cuDeviceRegisterAsyncNotification(CUdevice dev, CUasyncCallback fn, void *arg,
                                           CUasyncCallbackHandle *handle)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_notify_register(dev, (const void *)fn, (void **)handle));
}

CUresult cuDeviceUnregisterAsyncNotification(CUdevice dev, CUasyncCallbackHandle handle)
{
    int rc = api_need_init();

    return (CUresult)(rc ? rc : gvm_notify_unregister(dev, handle));
}

/* No other device writes to this one's memory, so there is nothing to flush. */
int gvm_flush_writes(int target, int scope)
{
    return target != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TARGET_CURRENT_CTX ||
                   (scope != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_OWNER &&
                    scope != CU_FLUSH_GPU_DIRECT_RDMA_WRITES_TO_ALL_DEVICES)
               ? 1
               : gvm_context();
}

CUresult cuFlushGPUDirectRDMAWrites(CUflushGPUDirectRDMAWritesTarget target,
                                    CUflushGPUDirectRDMAWritesScope scope)
{
    int rc = api_need();

    return (CUresult)(rc ? rc : gvm_flush_writes((int)target, (int)scope));
}
