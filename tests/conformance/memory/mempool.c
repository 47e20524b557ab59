/* SPDX-License-Identifier: MIT */
/* covers: cudaMemPoolCreate cudaMemPoolDestroy cudaMallocFromPoolAsync cudaMemPoolTrimTo
 * cudaMemPoolGetAttribute cudaMemPoolSetAttribute cudaMemPoolGetAccess cudaMemPoolSetAccess
 * cudaDeviceGetDefaultMemPool cudaDeviceGetMemPool cudaDeviceSetMemPool cudaMemPoolExportPointer
 * cudaMemPoolExportToShareableHandle cudaMemGetDefaultMemPool cudaMemGetMemPool */
#include <cuda_runtime_api.h>

#include "transcript.h"

static void numbers(cudaMemPool_t p)
{
    for (int a = 1; a <= 8; a++) {
        uint64_t v = 0; /* the first three are ints, and the rest uint64_t */
        char name[32];
        int rc = cudaMemPoolGetAttribute(p, (enum cudaMemPoolAttr)a, &v);

        snprintf(name, sizeof(name), "attribute %d", a);
        T_INT(name, rc);
        if (a == 5 || a == 6) /* reserved: in the driver's own units */
            T_BOOL("  not zero", v != 0);
        else
            T_INT("  value", v);
    }
}

int main(void)
{
    struct cudaMemPoolProps props = {.allocType = cudaMemAllocationTypePinned,
                                     .location = {cudaMemLocationTypeDevice, 0}};
    struct cudaMemPoolProps bad;
    struct cudaMemLocation here = {cudaMemLocationTypeDevice, 0},
                           there = {cudaMemLocationTypeDevice, 3};
    struct cudaMemAccessDesc desc = {{cudaMemLocationTypeDevice, 0},
                                     cudaMemAccessFlagsProtReadWrite};
    struct cudaMemPoolPtrExportData data;
    enum cudaMemAccessFlags flags = 99;
    cudaMemPool_t def = NULL, pool = NULL, cur = NULL;
    uint64_t v;
    void *p, *q, *h = NULL;
    int one = 1, zero = 0, fd = -1;
    cudaStream_t s;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T(cudaDeviceGetDefaultMemPool(&def, 0));
    T(cudaDeviceGetMemPool(&cur, 0));
    T_BOOL("default is current", def == cur);
    T(cudaMemPoolCreate(&pool, &props));
    T_BOOL("a pool", pool != NULL && pool != def);
    numbers(pool);
    T(cudaMallocFromPoolAsync(&p, 1 << 20, pool, s));
    T(cudaMallocFromPoolAsync(&q, 1000, pool, s));
    T(cudaStreamSynchronize(s));
    numbers(pool);
    T(cudaFreeAsync(q, s));
    T(cudaStreamSynchronize(s));
    numbers(pool);
    v = 1 << 30;
    T(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &v));
    T(cudaMemPoolSetAttribute(pool, cudaMemPoolReuseFollowEventDependencies, &zero));
    T(cudaFreeAsync(p, s));
    T(cudaStreamSynchronize(s));
    numbers(pool);
    T(cudaMemPoolTrimTo(pool, 0));
    v = 1;
    T(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrReservedMemCurrent, &v));
    T_INT("reserved after trim", v);
    v = 0;
    T(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &v));
    T(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &v));
    T_INT("high", v);
    v = 5;
    T(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemHigh, &v));
    T(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &v));
    T(cudaMemPoolGetAttribute(pool, (enum cudaMemPoolAttr)77, &v));
    T(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemHigh, NULL));
    T(cudaMemPoolGetAccess(&flags, pool, &here));
    T_INT("access", flags);
    T(cudaMemPoolGetAccess(&flags, pool, &there));
    T(cudaMemPoolSetAccess(pool, &desc, 1));
    desc.flags = cudaMemAccessFlagsProtRead;
    T(cudaMemPoolSetAccess(pool, &desc, 1));
    desc.flags = cudaMemAccessFlagsProtNone;
    T(cudaMemPoolSetAccess(pool, &desc, 1));
    T(cudaMemPoolSetAccess(pool, &desc, 0));

    T(cudaDeviceSetMemPool(0, pool));
    T(cudaDeviceGetMemPool(&cur, 0));
    T_BOOL("current", cur == pool);
    T(cudaMallocAsync(&p, 5000, s));
    T(cudaStreamSynchronize(s));
    T(cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &v));
    T_INT("used", v);
    T(cudaDeviceSetMemPool(0, def));
    T(cudaMemPoolExportPointer(&data, p));
    T(cudaMemPoolExportToShareableHandle(&fd, pool, cudaMemHandleTypePosixFileDescriptor, 0));
    T(cudaMemPoolDestroy(pool));
    T(cudaFreeAsync(p, s));
    T(cudaStreamSynchronize(s));
    T(cudaMemPoolDestroy(def));
    T(cudaMemPoolDestroy(NULL));
    T(cudaDeviceGetDefaultMemPool(&def, 1));
    T(cudaDeviceGetDefaultMemPool(NULL, 0));
    T(cudaDeviceSetMemPool(0, NULL));
    T(cudaMallocFromPoolAsync(&p, 100, NULL, s));
    T(cudaMallocFromPoolAsync(&p, 0, def, s));

    bad = props;
    bad.allocType = cudaMemAllocationTypeInvalid;
    T(cudaMemPoolCreate(&pool, &bad));
    bad = props;
    bad.location.id = 4;
    T(cudaMemPoolCreate(&pool, &bad));
    bad = props;
    bad.location.type = cudaMemLocationTypeInvalid;
    T(cudaMemPoolCreate(&pool, &bad));
    bad = props;
    bad.handleTypes = 0x40;
    T(cudaMemPoolCreate(&pool, &bad));
    T(cudaMemPoolCreate(&pool, NULL));
    T(cudaMemPoolCreate(NULL, &props));
    bad = props;
    bad.maxSize = 1 << 20;
    T(cudaMemPoolCreate(&pool, &bad));
    T(cudaMallocFromPoolAsync(&p, (size_t)1 << 30, pool, s));
    T(cudaMemPoolDestroy(pool));
    cur = NULL;
    T(cudaMemGetDefaultMemPool(&cur, &here, cudaMemAllocationTypePinned));
    T_BOOL("default", cur == def);
    T(cudaMemGetMemPool(&cur, &here, cudaMemAllocationTypePinned));
    T(cudaGetLastError());
    T(cudaDeviceSynchronize());
    return 0;
}
