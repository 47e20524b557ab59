/* SPDX-License-Identifier: MIT */
/* covers: cudaMemAdvise cudaMemPrefetchAsync cudaMemRangeGetAttribute cudaMemRangeGetAttributes
 * cuMemAdvise cuMemPrefetchAsync cuMemRangeGetAttribute cuMemRangeGetAttributes */
/* Hints on managed memory. What depends on concurrentManagedAccess is printed as such. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    struct cudaMemLocation dev = {cudaMemLocationTypeDevice, 0},
                           host = {cudaMemLocationTypeHost, 0},
                           bad = {cudaMemLocationTypeDevice, 9},
                           odd = {(enum cudaMemLocationType)77, 0};
    uint8_t *m, *d, local[64];
    int v = 55, w = 55;
    void *out[2] = {&v, &w};
    size_t sizes[2] = {4, 4};
    enum cudaMemRangeAttribute ask[2] = {cudaMemRangeAttributeReadMostly,
                                         cudaMemRangeAttributeLastPrefetchLocation};

    T_OK(cudaMallocManaged((void **)&m, 1 << 20, cudaMemAttachGlobal));
    T_OK(cudaMalloc((void **)&d, 4096));
    memset(m, 3, 1 << 20);
    T_VOLATILE("prefetch", cudaMemPrefetchAsync(m, 1 << 20, dev, 0, NULL));
    T(cudaDeviceSynchronize());
    T_VOLATILE("prefetch back", cudaMemPrefetchAsync(m, 1 << 20, host, 0, NULL));
    T(cudaDeviceSynchronize());
    T_DIGEST("memory", m, 1 << 20);
    T_VOLATILE("read mostly", cudaMemAdvise(m, 1 << 20, cudaMemAdviseSetReadMostly, dev));
    T(cudaMemRangeGetAttribute(&v, 4, cudaMemRangeAttributeReadMostly, m, 1 << 20));
    T_VOLATILE("is", v);
    T_VOLATILE("unset", cudaMemAdvise(m, 1 << 20, cudaMemAdviseUnsetReadMostly, dev));
    T(cudaMemRangeGetAttribute(&v, 4, cudaMemRangeAttributeReadMostly, m, 1 << 20));
    T_INT("is", v);
    T_VOLATILE("location", cudaMemAdvise(m, 1 << 20, cudaMemAdviseSetPreferredLocation, host));
    T(cudaMemRangeGetAttribute(&v, 4, cudaMemRangeAttributePreferredLocation, m, 1 << 20));
    T_VOLATILE("location", v);
    T_VOLATILE("unset", cudaMemAdvise(m, 1 << 20, cudaMemAdviseUnsetPreferredLocation, host));
    T_VOLATILE("accessed", cudaMemAdvise(m, 4096, cudaMemAdviseSetAccessedBy, dev));
    T_VOLATILE("unset", cudaMemAdvise(m, 4096, cudaMemAdviseUnsetAccessedBy, dev));
    T(cudaMemRangeGetAttributes(out, sizes, ask, 2, m, 4096));
    T_INT("read mostly", v);
    T_VOLATILE("last prefetch", w);

    T(cudaMemPrefetchAsync(d, 4096, dev, 0, NULL));
    T(cudaMemPrefetchAsync(local, 64, dev, 0, NULL));
    T(cudaMemPrefetchAsync(m, 0, dev, 0, NULL));
    T(cudaMemPrefetchAsync(m, (1 << 20) + 1, dev, 0, NULL));
    T(cudaMemPrefetchAsync(m, 4096, bad, 0, NULL));
    T(cudaMemPrefetchAsync(m, 4096, odd, 0, NULL));
    T(cudaMemPrefetchAsync(m, 4096, dev, 1, NULL));
    T(cudaMemAdvise(d, 4096, cudaMemAdviseSetReadMostly, dev));
    T(cudaMemAdvise(m, 0, cudaMemAdviseSetReadMostly, dev));
    T(cudaMemAdvise(m, 4096, (enum cudaMemoryAdvise)99, dev));
    T(cudaMemAdvise(m, 4096, cudaMemAdviseSetPreferredLocation, bad));
    T(cudaMemRangeGetAttribute(&v, 4, cudaMemRangeAttributeReadMostly, d, 4096));
    T(cudaMemRangeGetAttribute(&v, 4, cudaMemRangeAttributeReadMostly, m, 0));
    T(cudaMemRangeGetAttribute(&v, 3, cudaMemRangeAttributeReadMostly, m, 4096));
    T(cudaMemRangeGetAttribute(NULL, 4, cudaMemRangeAttributeReadMostly, m, 4096));
    T(cudaMemRangeGetAttribute(&v, 4, (enum cudaMemRangeAttribute)99, m, 4096));
    T(cudaMemRangeGetAttributes(out, sizes, ask, 0, m, 4096));
    T(cudaGetLastError());
    T(cuMemRangeGetAttribute(&v, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, (uintptr_t)m, 4096));
    T_INT("is", v);
    T(cuMemPrefetchAsync((uintptr_t)d, 4096, (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}, 0,
                         NULL));
    T(cuMemAdvise((uintptr_t)m, 0, CU_MEM_ADVISE_SET_READ_MOSTLY,
                  (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, 0}));
    T(cuMemRangeGetAttributes(out, sizes, (CUmem_range_attribute *)ask, 2, (uintptr_t)m, 4096));
    return 0;
}
