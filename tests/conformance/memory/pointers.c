/* SPDX-License-Identifier: MIT */
/* covers: cudaPointerGetAttributes cuPointerGetAttribute cuPointerGetAttributes cuPointerSetAttribute */
/* What either library says of a pointer of every kind. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static void look(const char *what, const void *p)
{
    static const CUpointer_attribute all[] = {CU_POINTER_ATTRIBUTE_CONTEXT,
                                              CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                              CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
                                              CU_POINTER_ATTRIBUTE_HOST_POINTER,
                                              CU_POINTER_ATTRIBUTE_SYNC_MEMOPS,
                                              CU_POINTER_ATTRIBUTE_IS_MANAGED,
                                              CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                              CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE,
                                              CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                              CU_POINTER_ATTRIBUTE_RANGE_SIZE,
                                              CU_POINTER_ATTRIBUTE_MAPPED,
                                              CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES,
                                              CU_POINTER_ATTRIBUTE_ACCESS_FLAGS,
                                              CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE,
                                              CU_POINTER_ATTRIBUTE_BUFFER_ID,
                                              CU_POINTER_ATTRIBUTE_MAPPING_SIZE,
                                              CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR,
                                              CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID};
    struct cudaPointerAttributes a;
    uint64_t v, at = (uintptr_t)p;

    printf("-- %s\n", what);
    memset(&a, 0x55, sizeof(a));
    T(cudaPointerGetAttributes(&a, p));
    T_INT("type", a.type);
    T_INT("device", a.device);
    T_BOOL("device pointer", a.devicePointer == p);
    T_BOOL("host pointer", a.hostPointer == p);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char name[40];
        int rc;

        v = 0;
        rc = cuPointerGetAttribute(&v, all[i], at);
        snprintf(name, sizeof(name), "attribute %d", (int)all[i]);
        T_INT(name, rc);
        if (rc)
            continue;
        switch (all[i]) {
        case CU_POINTER_ATTRIBUTE_CONTEXT:
        case CU_POINTER_ATTRIBUTE_BUFFER_ID:
        case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
        case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
            T_BOOL("  not zero", v);
            break;
        case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
        case CU_POINTER_ATTRIBUTE_HOST_POINTER:
        case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
            T_INT("  offset", (int64_t)(at - v));
            break;
        case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
        case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
            break;
        case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
        case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
            T_DEVICE("  value", v);
            break;
        default:
            T_INT("  value", v);
        }
    }
}

int main(void)
{
    CUpointer_attribute ask[3] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                                  CU_POINTER_ATTRIBUTE_RANGE_SIZE};
    unsigned type = 9, managed = 9, on = 1;
    size_t size = 9;
    void *got[3] = {&type, &managed, &size};
    uint8_t *d, *pin, *man = NULL, *pool, local[16];

    T_OK(cudaMalloc((void **)&d, 1000));
    T_OK(cudaHostAlloc((void **)&pin, 1000, cudaHostAllocPortable));
    T_OK(cudaMallocManaged((void **)&man, 1000, cudaMemAttachGlobal));
    look("device", d);
    look("inside", d + 100);
    look("pinned", pin + 8);
    look("managed", man);
    if (T(cudaMallocAsync((void **)&pool, 5000, NULL)) == 0) {
        look("pool", pool + 16);
        T(cudaFreeAsync(pool, NULL));
    }
    look("host", local);
    look("null", NULL);
    T(cuPointerGetAttributes(3, ask, got, (uintptr_t)d));
    T_INT("type", type);
    T_INT("managed", managed);
    T_INT("size", size);
    type = managed = size = 9;
    T(cuPointerGetAttributes(3, ask, got, (uintptr_t)local));
    T_INT("type", type);
    T_INT("managed", managed);
    T_INT("size", size);
    T(cuPointerGetAttributes(0, ask, got, (uintptr_t)d));
    T(cuPointerGetAttributes(3, NULL, got, (uintptr_t)d));
    T(cuPointerGetAttribute(NULL, CU_POINTER_ATTRIBUTE_CONTEXT, (uintptr_t)d));
    T(cuPointerGetAttribute(&type, (CUpointer_attribute)99, (uintptr_t)d));
    T(cudaPointerGetAttributes(NULL, d));
    T(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)d));
    on = 0;
    T(cuPointerGetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)d));
    T_INT("sync memops", on);
    T(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_RANGE_SIZE, (uintptr_t)d));
    T(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)local));
    T(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)pin));
    T(cuPointerSetAttribute(NULL, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, (uintptr_t)d));
    T(cudaFree(d));
    look("freed", d);
    return 0;
}
