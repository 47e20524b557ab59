/* SPDX-License-Identifier: MIT */
/* covers: cudaGetDeviceProperties */
/* All fields of the properties, word by word, and that they agree with the attributes. */
#include <cuda_runtime_api.h>

#include "transcript.h"

static int attr(enum cudaDeviceAttr a)
{
    int v = -1;

    cudaDeviceGetAttribute(&v, a, 0);
    return v;
}

int main(void)
{
    static struct cudaDeviceProp p;
    const uint32_t *w = (const uint32_t *)&p;

    memset(&p, 0x5a, sizeof(p));
    T(cudaGetDeviceProperties(&p, 1000));
    T(cudaGetDeviceProperties(&p, -1));
    T(cudaGetDeviceProperties(NULL, 0));
    T(cudaGetLastError());
    T_BOOL("untouched", *(char *)&p == 0x5a);
    T_OK(cudaGetDeviceProperties(&p, 0));
    printf("name @ %s\n", p.name);
    for (size_t i = 0; i < sizeof(p.name); i++)
        if (!p.name[i]) {
            T_DEVICE("after the name", p.name[sizeof(p.name) - 1]);
            break;
        }
    T_BOOL("uuid", *(uint64_t *)p.uuid.bytes != 0);
    printf("luid @ %llx %u\n", (unsigned long long)*(uint64_t *)p.luid, p.luidDeviceNodeMask);
    for (size_t i = offsetof(struct cudaDeviceProp, totalGlobalMem) / 4; i < sizeof(p) / 4; i++) {
        if (i * 4 >= offsetof(struct cudaDeviceProp, pciBusID) &&
            i * 4 <= offsetof(struct cudaDeviceProp, pciDomainID))
            printf("word %zu ~ %u\n", i, w[i]);
        else
            printf("word %zu @ %u\n", i, w[i]);
    }
    T_INT("size", sizeof(p));
    T_INT("warpSize", p.warpSize);
    T_BOOL("major", p.major == attr(cudaDevAttrComputeCapabilityMajor));
    T_BOOL("minor", p.minor == attr(cudaDevAttrComputeCapabilityMinor));
    T_BOOL("threads", p.maxThreadsPerBlock == attr(cudaDevAttrMaxThreadsPerBlock));
    T_BOOL("shared", (int)p.sharedMemPerBlock == attr(cudaDevAttrMaxSharedMemoryPerBlock));
    T_BOOL("managed", p.managedMemory == attr(cudaDevAttrManagedMemory));
    T_BOOL("pools", p.memoryPoolsSupported == attr(cudaDevAttrMemoryPoolsSupported));
    T_BOOL("map", p.canMapHostMemory == attr(cudaDevAttrCanMapHostMemory));
    T_BOOL("sms", p.multiProcessorCount == attr(cudaDevAttrMultiProcessorCount));
    T_BOOL("bus", p.pciBusID == attr(cudaDevAttrPciBusId));
    return 0;
}
