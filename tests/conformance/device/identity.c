/* SPDX-License-Identifier: MIT */
/* covers: cuDeviceGetName cuDeviceGetUuid cuDeviceGetUuid_v2 cuDeviceTotalMem_v2 cuDeviceGetLuid
 * cuDeviceGetPCIBusId cuDeviceGetByPCIBusId cuDeviceComputeCapability cuDeviceGetProperties
 * cuDeviceGetExecAffinitySupport cuDeviceGetNvSciSyncAttributes cudaDeviceGetPCIBusId
 * cudaDeviceGetByPCIBusId cuDriverGetVersion cudaDriverGetVersion cudaRuntimeGetVersion */
/* Who the device is, by every call that tells it. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#undef cuDeviceGetUuid
CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice dev);

int main(void)
{
    char name[256], id[64], id2[64], luid[8] = "";
    struct cudaDeviceProp p;
    unsigned mask = 77;
    CUuuid u1, u2;
    CUdevprop old;
    CUdevice dev;
    size_t n = 0;
    int v = 0, w = 0;

    T(cuDriverGetVersion(&v));
    T_DEVICE("driver", v);
    T(cuDriverGetVersion(NULL));
    T(cudaDriverGetVersion(&w));
    T_BOOL("same", v == w);
    T(cudaDriverGetVersion(NULL));
    T(cudaRuntimeGetVersion(&v));
    T_INT("runtime", v);
    T(cudaRuntimeGetVersion(NULL));
    T_OK(cuInit(0));
    T_OK(cudaGetDeviceProperties(&p, 0));
    memset(name, 'x', sizeof(name));
    T(cuDeviceGetName(name, sizeof(name), 0));
    T_BOOL("name", strcmp(name, p.name) == 0);
    memset(name, 'x', sizeof(name));
    T(cuDeviceGetName(name, 5, 0));
    T_INT("length", strnlen(name, 6));
    T(cuDeviceGetName(name, 1, 0));
    T_INT("length", strnlen(name, 6));
    T(cuDeviceGetName(name, 5, 1000));
    T(cuDeviceGetUuid(&u1, 0));
    T(cuDeviceGetUuid_v2(&u2, 0));
    T_BOOL("uuids", memcmp(&u1, &u2, 16) == 0 && memcmp(&u1, &p.uuid, 16) == 0);
    T(cuDeviceGetUuid_v2(&u2, 1000));
    T(cuDeviceTotalMem(&n, 0));
    T_BOOL("memory", n == p.totalGlobalMem);
    T(cuDeviceTotalMem(NULL, 0));
    T(cuDeviceTotalMem(&n, -1));
    T(cuDeviceGetLuid(luid, &mask, 0));
    T(cuDeviceGetPCIBusId(id, sizeof(id), 0));
    T(cudaDeviceGetPCIBusId(id2, sizeof(id2), 0));
    T_BOOL("ids", strcmp(id, id2) == 0);
    T_INT("length", strlen(id));
    T(cuDeviceGetPCIBusId(id2, 13, 0));
    T(cuDeviceGetPCIBusId(id2, 12, 0));
    T(cuDeviceGetPCIBusId(id2, 5, 0));
    T(cudaDeviceGetPCIBusId(id2, 13, 0));
    T(cudaDeviceGetPCIBusId(id2, 12, 0));
    T(cudaDeviceGetPCIBusId(id2, 0, 0));
    T(cudaDeviceGetPCIBusId(NULL, 20, 0));
    T(cudaDeviceGetPCIBusId(id2, 20, 1000));
    dev = -1;
    T(cuDeviceGetByPCIBusId(&dev, id));
    T_INT("dev", dev);
    v = -1;
    T(cudaDeviceGetByPCIBusId(&v, id));
    T_INT("dev", v);
    T(cudaDeviceGetByPCIBusId(&v, id + 5)); /* without the domain */
    T(cudaDeviceGetByPCIBusId(&v, "ffff:ff:1f.0"));
    T(cuDeviceGetByPCIBusId(&dev, "ffff:ff:1f.0"));
    T(cudaDeviceGetByPCIBusId(&v, "nonsense"));
    T(cuDeviceGetByPCIBusId(&dev, "nonsense"));
    T(cudaDeviceGetByPCIBusId(&v, NULL));
    T(cuDeviceGetByPCIBusId(NULL, id));
    T(cuDeviceComputeCapability(&v, &w, 0));
    T_BOOL("capability", v == p.major && w == p.minor);
    T(cuDeviceComputeCapability(NULL, &w, 0));
    T(cuDeviceGetProperties(&old, 0));
    T_BOOL("old", old.maxThreadsPerBlock == p.maxThreadsPerBlock && old.SIMDWidth == 32);
    T(cuDeviceGetExecAffinitySupport(&v, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0));
    T_DEVICE("affinity", v);
    T(cuDeviceGetExecAffinitySupport(&v, (CUexecAffinityType)7, 0));
    T(cuDeviceGetExecAffinitySupport(NULL, CU_EXEC_AFFINITY_TYPE_SM_COUNT, 0));
    T(cuDeviceGetNvSciSyncAttributes(NULL, 0, 1));
    T(cudaGetLastError());
    return 0;
}
