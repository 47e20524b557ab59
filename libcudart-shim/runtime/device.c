/* SPDX-License-Identifier: MIT */
/*
 * device.c - the device, its attributes and properties, limits, versions. There is one device, 0.
 */
#include "rt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

/* cudaDeviceAttr and CUdevice_attribute share their numbers. */
static const struct vgpu_device_info *device(int number, int *err)
{
    const struct vgpu_device_info *d = gvm_device(err);

    if (d && number != 0) {
        *err = 101;
        return NULL;
    }
    return d;
}

/* A child of a process that had asked already knows, as natively. */
cudaError_t cudaGetDeviceCount(int *n)
{
    int err = n ? gvm_begin() : 1;

    if (err == cudaErrorInitializationError && gvm_runtime_used())
        err = 0;
    if (err == 0)
        *n = 1;
    return rt_done(err);
}

cudaError_t cudaSetDevice(int number)
{
    return rt_done(gvm_barred() ? 800 : gvm_use_device(number, true));
}

static bool flags_fit(unsigned flags)
{
    unsigned schedule = flags & cudaDeviceScheduleMask;

    return !(flags & ~(unsigned)cudaDeviceMask) && !(schedule & (schedule - 1));
}

cudaError_t cudaInitDevice(int number, unsigned device_flags, unsigned flags)
{
    int err;

    device(number, &err);
    if (err == 0 && flags & cudaInitDeviceFlagsAreValid)
        err = flags_fit(device_flags) ? gvm_set_primary_flags(device_flags) : 1;
    return rt_done(err ? err : gvm_use_device(number, false));
}

cudaError_t cudaGetDevice(int *number)
{
    int err = gvm_barred() ? 800 : number ? gvm_begin() : 1;

    if (err == 0)
        *number = 0;
    return rt_done(err);
}

/* Of a list without repetitions the first that works is used; there is one. */
cudaError_t cudaSetValidDevices(int *list, int n)
{
    if (n < 0 || n > 1 || (n && !list))
        return rt_done(1);
    if (n && list[0] != 0)
        return rt_done(101);
    return rt_done(gvm_begin());
}

cudaError_t cudaChooseDevice(int *number, const struct cudaDeviceProp *prop)
{
    return number && prop ? cudaGetDevice(number) : rt_done(1);
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int number)
{
    const struct vgpu_device_info *d;
    int err = gvm_barred() ? 800 : value ? 0 : 1;

    if (err)
        return rt_done(err);
    d = device(number, &err);
    if (d && ((int)attr < 1 || (int)attr >= CU_DEVICE_ATTRIBUTE_MAX))
        err = 1;
    if (err == 0)
        *value = d->attr[attr];
    return rt_done(err);
}

static void fill(struct cudaDeviceProp *p, const struct vgpu_device_info *d)
{
    const int32_t *a = d->attr;
    int pci[4] = {0};

#define A(name) a[CU_DEVICE_ATTRIBUTE_##name]
    /* What is reserved stays as it was, as natively. */
    memset(p, 0, offsetof(struct cudaDeviceProp, reserved));
    memcpy(p->name, d->name, sizeof(p->name));
    memcpy(&p->uuid, d->uuid, sizeof(d->uuid));
    p->totalGlobalMem = d->total_mem;
    p->sharedMemPerBlock = (size_t)A(MAX_SHARED_MEMORY_PER_BLOCK);
    p->regsPerBlock = A(MAX_REGISTERS_PER_BLOCK);
    p->warpSize = A(WARP_SIZE);
    p->memPitch = (size_t)A(MAX_PITCH);
    p->maxThreadsPerBlock = A(MAX_THREADS_PER_BLOCK);
    memcpy(p->maxThreadsDim, &A(MAX_BLOCK_DIM_X), sizeof(p->maxThreadsDim));
    memcpy(p->maxGridSize, &A(MAX_GRID_DIM_X), sizeof(p->maxGridSize));
    p->totalConstMem = (size_t)A(TOTAL_CONSTANT_MEMORY);
    p->major = A(COMPUTE_CAPABILITY_MAJOR);
    p->minor = A(COMPUTE_CAPABILITY_MINOR);
    p->textureAlignment = (size_t)A(TEXTURE_ALIGNMENT);
    p->texturePitchAlignment = (size_t)A(TEXTURE_PITCH_ALIGNMENT);
    p->multiProcessorCount = A(MULTIPROCESSOR_COUNT);
    p->integrated = A(INTEGRATED);
    p->canMapHostMemory = A(CAN_MAP_HOST_MEMORY);
    p->maxTexture1D = A(MAXIMUM_TEXTURE1D_WIDTH);
    p->maxTexture1DMipmap = A(MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH);
    p->maxTexture2D[0] = A(MAXIMUM_TEXTURE2D_WIDTH);
    p->maxTexture2D[1] = A(MAXIMUM_TEXTURE2D_HEIGHT);
    p->maxTexture2DMipmap[0] = A(MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH);
    p->maxTexture2DMipmap[1] = A(MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT);
    p->maxTexture2DLinear[0] = A(MAXIMUM_TEXTURE2D_LINEAR_WIDTH);
    p->maxTexture2DLinear[1] = A(MAXIMUM_TEXTURE2D_LINEAR_HEIGHT);
    p->maxTexture2DLinear[2] = A(MAXIMUM_TEXTURE2D_LINEAR_PITCH);
    p->maxTexture2DGather[0] = A(MAXIMUM_TEXTURE2D_GATHER_WIDTH);
    p->maxTexture2DGather[1] = A(MAXIMUM_TEXTURE2D_GATHER_HEIGHT);
    p->maxTexture3D[0] = A(MAXIMUM_TEXTURE3D_WIDTH);
    p->maxTexture3D[1] = A(MAXIMUM_TEXTURE3D_HEIGHT);
    p->maxTexture3D[2] = A(MAXIMUM_TEXTURE3D_DEPTH);
    p->maxTexture3DAlt[0] = A(MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE);
    p->maxTexture3DAlt[1] = A(MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE);
    p->maxTexture3DAlt[2] = A(MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE);
    p->maxTextureCubemap = A(MAXIMUM_TEXTURECUBEMAP_WIDTH);
    p->maxTexture1DLayered[0] = A(MAXIMUM_TEXTURE1D_LAYERED_WIDTH);
    p->maxTexture1DLayered[1] = A(MAXIMUM_TEXTURE1D_LAYERED_LAYERS);
    p->maxTexture2DLayered[0] = A(MAXIMUM_TEXTURE2D_LAYERED_WIDTH);
    p->maxTexture2DLayered[1] = A(MAXIMUM_TEXTURE2D_LAYERED_HEIGHT);
    p->maxTexture2DLayered[2] = A(MAXIMUM_TEXTURE2D_LAYERED_LAYERS);
    p->maxTextureCubemapLayered[0] = A(MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH);
    p->maxTextureCubemapLayered[1] = A(MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS);
    p->maxSurface1D = A(MAXIMUM_SURFACE1D_WIDTH);
    p->maxSurface2D[0] = A(MAXIMUM_SURFACE2D_WIDTH);
    p->maxSurface2D[1] = A(MAXIMUM_SURFACE2D_HEIGHT);
    p->maxSurface3D[0] = A(MAXIMUM_SURFACE3D_WIDTH);
    p->maxSurface3D[1] = A(MAXIMUM_SURFACE3D_HEIGHT);
    p->maxSurface3D[2] = A(MAXIMUM_SURFACE3D_DEPTH);
    p->maxSurface1DLayered[0] = A(MAXIMUM_SURFACE1D_LAYERED_WIDTH);
    p->maxSurface1DLayered[1] = A(MAXIMUM_SURFACE1D_LAYERED_LAYERS);
    p->maxSurface2DLayered[0] = A(MAXIMUM_SURFACE2D_LAYERED_WIDTH);
    p->maxSurface2DLayered[1] = A(MAXIMUM_SURFACE2D_LAYERED_HEIGHT);
    p->maxSurface2DLayered[2] = A(MAXIMUM_SURFACE2D_LAYERED_LAYERS);
    p->maxSurfaceCubemap = A(MAXIMUM_SURFACECUBEMAP_WIDTH);
    p->maxSurfaceCubemapLayered[0] = A(MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH);
    p->maxSurfaceCubemapLayered[1] = A(MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS);
    p->surfaceAlignment = (size_t)A(SURFACE_ALIGNMENT);
    p->concurrentKernels = A(CONCURRENT_KERNELS);
    p->ECCEnabled = A(ECC_ENABLED);
    p->pciBusID = A(PCI_BUS_ID);
    p->pciDeviceID = A(PCI_DEVICE_ID);
    p->pciDomainID = A(PCI_DOMAIN_ID);
    if (!p->pciBusID && !p->pciDeviceID && gvm_pci_parse(d->pci_bus_id, pci)) {
        p->pciDomainID = pci[0];
        p->pciBusID = pci[1];
        p->pciDeviceID = pci[2];
    }
    p->tccDriver = A(TCC_DRIVER);
    p->asyncEngineCount = A(ASYNC_ENGINE_COUNT);
    p->unifiedAddressing = A(UNIFIED_ADDRESSING);
    p->memoryBusWidth = A(GLOBAL_MEMORY_BUS_WIDTH);
    p->l2CacheSize = A(L2_CACHE_SIZE);
    p->persistingL2CacheMaxSize = A(MAX_PERSISTING_L2_CACHE_SIZE);
    p->maxThreadsPerMultiProcessor = A(MAX_THREADS_PER_MULTIPROCESSOR);
    p->streamPrioritiesSupported = A(STREAM_PRIORITIES_SUPPORTED);
    p->globalL1CacheSupported = A(GLOBAL_L1_CACHE_SUPPORTED);
    p->localL1CacheSupported = A(LOCAL_L1_CACHE_SUPPORTED);
    p->sharedMemPerMultiprocessor = (size_t)A(MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
    p->regsPerMultiprocessor = A(MAX_REGISTERS_PER_MULTIPROCESSOR);
    p->managedMemory = A(MANAGED_MEMORY);
    p->isMultiGpuBoard = A(MULTI_GPU_BOARD);
    p->multiGpuBoardGroupID = A(MULTI_GPU_BOARD_GROUP_ID);
    p->hostNativeAtomicSupported = A(HOST_NATIVE_ATOMIC_SUPPORTED);
    p->pageableMemoryAccess = A(PAGEABLE_MEMORY_ACCESS);
    p->concurrentManagedAccess = A(CONCURRENT_MANAGED_ACCESS);
    p->computePreemptionSupported = A(COMPUTE_PREEMPTION_SUPPORTED);
    p->canUseHostPointerForRegisteredMem = A(CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM);
    p->cooperativeLaunch = A(COOPERATIVE_LAUNCH);
    p->sharedMemPerBlockOptin = (size_t)A(MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
    p->pageableMemoryAccessUsesHostPageTables = A(PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES);
    p->directManagedMemAccessFromHost = A(DIRECT_MANAGED_MEM_ACCESS_FROM_HOST);
    p->maxBlocksPerMultiProcessor = A(MAX_BLOCKS_PER_MULTIPROCESSOR);
    p->accessPolicyMaxWindowSize = A(MAX_ACCESS_POLICY_WINDOW_SIZE);
    p->reservedSharedMemPerBlock = (size_t)A(RESERVED_SHARED_MEMORY_PER_BLOCK);
    p->hostRegisterSupported = A(HOST_REGISTER_SUPPORTED);
    p->sparseCudaArraySupported = A(SPARSE_CUDA_ARRAY_SUPPORTED);
    p->hostRegisterReadOnlySupported = A(READ_ONLY_HOST_REGISTER_SUPPORTED);
    p->timelineSemaphoreInteropSupported = A(TIMELINE_SEMAPHORE_INTEROP_SUPPORTED);
    p->memoryPoolsSupported = A(MEMORY_POOLS_SUPPORTED);
    p->gpuDirectRDMASupported = A(GPU_DIRECT_RDMA_SUPPORTED);
    p->gpuDirectRDMAFlushWritesOptions = (unsigned)A(GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS);
    p->gpuDirectRDMAWritesOrdering = A(GPU_DIRECT_RDMA_WRITES_ORDERING);
    p->memoryPoolSupportedHandleTypes = (unsigned)A(MEMPOOL_SUPPORTED_HANDLE_TYPES);
    p->deferredMappingCudaArraySupported = A(DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED);
    p->ipcEventSupported = A(IPC_EVENT_SUPPORTED);
    p->clusterLaunch = A(CLUSTER_LAUNCH);
    p->unifiedFunctionPointers = A(UNIFIED_FUNCTION_POINTERS);
    p->deviceNumaConfig = A(NUMA_CONFIG);
    p->deviceNumaId = A(NUMA_ID);
    p->mpsEnabled = A(MPS_ENABLED);
    p->hostNumaId = A(HOST_NUMA_ID);
    p->gpuPciDeviceID = (unsigned)A(GPU_PCI_DEVICE_ID);
    p->gpuPciSubsystemID = (unsigned)A(GPU_PCI_SUBSYSTEM_ID);
    p->hostNumaMultinodeIpcSupported = A(HOST_NUMA_MULTINODE_IPC_SUPPORTED);
#undef A
}

_Static_assert(sizeof(struct cudaDeviceProp) == 1008,
               "properties as programs of CUDA 13 know them");

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int number)
{
    const struct vgpu_device_info *d;
    int err = p ? 0 : 1;

    if (err)
        return rt_done(err);
    d = device(number, &err);
    if (d)
        fill(p, d);
    return rt_done(err);
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int len, int number)
{
    const struct vgpu_device_info *d;
    int err = id && len > 0 ? 0 : 1;

    if (err)
        return rt_done(err);
    d = device(number, &err);
    if (d && snprintf(id, (size_t)len, "%s", d->pci_bus_id) >= len)
        err = 1;
    return rt_done(err);
}

cudaError_t cudaDeviceGetByPCIBusId(int *number, const char *id)
{
    return rt_done(number && id ? gvm_device_by_pci(id, number) : 1);
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest)
{
    int err;
    const struct vgpu_device_info *d = gvm_device(&err);

    if (d && least)
        *least = d->prio_least;
    if (d && greatest)
        *greatest = d->prio_greatest;
    return rt_done(err);
}

/* ---- peers: there is nobody else ----------------------------------------------------------- */

cudaError_t cudaDeviceCanAccessPeer(int *can, int number, int peer)
{
    int err = can ? gvm_init() : 1;

    if (err == 0 && (number != 0 || peer != 0))
        err = 101;
    if (err == 0)
        *can = 0;
    return rt_done(err);
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags)
{
    int err = gvm_context();

    return rt_done(err ? err : flags ? 1 : peer == 0 ? 217 : 101);
}

cudaError_t cudaDeviceDisablePeerAccess(int peer)
{
    int err = gvm_context();

    return rt_done(err ? err : peer == 0 ? 705 : 101);
}

cudaError_t cudaDeviceGetP2PAttribute(int *value, enum cudaDeviceP2PAttr attr, int a, int b)
{
    return rt_done(gvm_p2p_attribute(value, (int)attr, a, b));
}

RT_API cudaError_t cudaDeviceGetP2PAtomicCapabilities(unsigned *caps,
                                                      const enum cudaAtomicOperation *ops,
                                                      unsigned count, int a, int b)
{
    return rt_done(gvm_p2p_attribute(caps && ops && count ? caps : NULL, 0, a, b));
}

RT_API cudaError_t cudaDeviceGetHostAtomicCapabilities(unsigned *caps,
                                                       const enum cudaAtomicOperation *ops,
                                                       unsigned count, int number)
{
    return rt_done(gvm_host_atomics(caps, (const int *)ops, count, number));
}

/* ---- nobody is ever told, and nothing flushed: see driver/api_device.c ---------------------- */

cudaError_t cudaDeviceRegisterAsyncNotification(int number, cudaAsyncCallback fn, void *arg,
                                                cudaAsyncCallbackHandle_t *handle)
{
    return rt_done(gvm_notify_register(number, (const void *)fn, (void **)handle));
}

RT_API cudaError_t cudaDeviceFlushGPUDirectRDMAWrites(
    enum cudaFlushGPUDirectRDMAWritesTarget target, enum cudaFlushGPUDirectRDMAWritesScope scope)
{
    return rt_done(gvm_flush_writes((int)target, (int)scope));
}

cudaError_t cudaDeviceUnregisterAsyncNotification(int number, cudaAsyncCallbackHandle_t handle)
{
    return rt_done(gvm_notify_unregister(number, handle));
}

/* ---- the context --------------------------------------------------------------------------- */

cudaError_t cudaDeviceSynchronize(void)
{
    return rt_done(gvm_ctx_sync());
}

cudaError_t cudaDeviceReset(void)
{
    return rt_done(gvm_reset());
}

cudaError_t cudaDeviceGetLimit(size_t *value, enum cudaLimit limit)
{
    uint64_t v = 0;
    int err = value ? gvm_get_limit((int)limit, &v) : 1;

    if (err == 0)
        *value = v;
    return rt_done(err);
}

cudaError_t cudaDeviceSetLimit(enum cudaLimit limit, size_t value)
{
    return rt_done(gvm_set_limit((int)limit, value));
}

/* ---- ways to wait, preferences -------------------------------------------------------------- */

cudaError_t cudaSetDeviceFlags(unsigned flags)
{
    int err = flags_fit(flags) ? gvm_alive() : 1;

    return rt_done(err ? err : gvm_set_primary_flags(flags));
}

cudaError_t cudaGetDeviceFlags(unsigned *flags)
{
    int err = flags ? gvm_begin() : 1;

    if (err == 0)
        *flags = gvm_primary_flags() | cudaDeviceMapHost;
    return rt_done(err);
}

cudaError_t cudaDeviceSetCacheConfig(enum cudaFuncCache config)
{
    int err = (unsigned)config > cudaFuncCachePreferEqual ? 1 : gvm_context();

    if (err == 0)
        gvm_cache_config((int)config);
    return rt_done(err);
}

cudaError_t cudaDeviceGetCacheConfig(enum cudaFuncCache *config)
{
    int err = config ? gvm_context() : 1;

    if (err == 0)
        *config = (enum cudaFuncCache)gvm_cache_config(-1);
    return rt_done(err);
}

RT_API cudaError_t cudaDeviceSetSharedMemConfig(enum cudaSharedMemConfig config)
{
    return rt_done((unsigned)config > cudaSharedMemBankSizeEightByte ? 1 : gvm_context());
}

RT_API cudaError_t cudaDeviceGetSharedMemConfig(enum cudaSharedMemConfig *config)
{
    int err = config ? gvm_context() : 1;

    if (err == 0)
        *config = cudaSharedMemBankSizeFourByte;
    return rt_done(err);
}

/* ---- versions, profiler, entry points ------------------------------------------------------- */

cudaError_t cudaRuntimeGetVersion(int *version)
{
    if (!version)
        return rt_done(1);
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* What both ends implement. 0 without a driver, as natively. */
cudaError_t cudaDriverGetVersion(int *version)
{
    int err;

    if (!version)
        return rt_done(1);
    err = gvm_begin();
    *version = err == cudaErrorInsufficientDriver ? 0 : gvm_driver_version();
    return cudaSuccess;
}

RT_API cudaError_t cudaProfilerStart(void)
{
    return rt_done(gvm_alive());
}

RT_API cudaError_t cudaProfilerStop(void)
{
    return rt_done(gvm_alive());
}

static cudaError_t entry_point(const char *name, void **fn, unsigned version,
                               unsigned long long flags,
                               enum cudaDriverEntryPointQueryResult *status, bool twin)
{
    int err, st = 0;

    if (flags & ~(unsigned long long)(cudaEnableLegacyStream | cudaEnablePerThreadDefaultStream))
        return rt_done(1);
    if (flags & cudaEnablePerThreadDefaultStream)
        twin = true;
    else if (flags & cudaEnableLegacyStream)
        twin = false;
    err = gvm_proc(name, (int)version, twin, fn, &st);
    if (err == 0 && status) /* the numbers are the driver's */
        *status = (enum cudaDriverEntryPointQueryResult)st;
    return rt_done(err);
}

cudaError_t cudaGetDriverEntryPoint(const char *name, void **fn, unsigned long long flags,
                                    enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(name, fn, CUDART_VERSION, flags, status, false);
}

RT_API cudaError_t cudaGetDriverEntryPoint_ptsz(const char *name, void **fn,
                                                unsigned long long flags,
                                                enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(name, fn, CUDART_VERSION, flags, status, true);
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **fn, unsigned version,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(name, fn, version, flags, status, false);
}

RT_API cudaError_t cudaGetDriverEntryPointByVersion_ptsz(
    const char *name, void **fn, unsigned version, unsigned long long flags,
    enum cudaDriverEntryPointQueryResult *status)
{
    return entry_point(name, fn, version, flags, status, true);
}

/* ---- descriptors -------------------------------------------------------------------------- */

struct cudaChannelFormatDesc cudaCreateChannelDesc(int x, int y, int z, int w,
                                                   enum cudaChannelFormatKind f)
{
    return (struct cudaChannelFormatDesc){x, y, z, w, f};
}
