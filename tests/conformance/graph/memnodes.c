/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddMemAllocNode cudaGraphAddMemFreeNode cudaGraphMemAllocNodeGetParams
 * cudaGraphMemFreeNodeGetParams cudaDeviceGraphMemTrim cudaDeviceGetGraphMemAttribute
 * cudaDeviceSetGraphMemAttribute */
/* Memory that graphs allocate: freed inside, freed outside, not freed. */
#include <cuda_runtime_api.h>

#include "transcript.h"

static cudaStream_t s;

static void usage(void)
{
    uint64_t used = 77, high = 77;

    T(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemCurrent, &used));
    T(cudaDeviceGetGraphMemAttribute(0, cudaGraphMemAttrUsedMemHigh, &high));
    T_BOOL("in use", used != 0);
    T_BOOL("was in use", high != 0);
}

int main(void)
{
    cudaGraph_t g, h;
    cudaGraphNode_t a, set, out, f, bad;
    cudaGraphExec_t x, y;
    struct cudaMemAllocNodeParams p, q;
    struct cudaMemsetParams mp = {0};
    unsigned char host[64];
    void *dptr = NULL;
    uint64_t zero = 0;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaGraphCreate(&g, 0));
    memset(&p, 0, sizeof(p));
    p.bytesize = 1 << 16;
    p.poolProps.allocType = cudaMemAllocationTypePinned;
    p.poolProps.location.type = cudaMemLocationTypeDevice;
    T_OK(cudaGraphAddMemAllocNode(&a, g, NULL, 0, &p));
    T_BOOL("address", p.dptr != NULL);
    T(cudaGraphMemAllocNodeGetParams(a, &q));
    T_INT("bytes", q.bytesize);
    T_BOOL("same address", q.dptr == p.dptr);
    mp.dst = p.dptr;
    mp.elementSize = 1;
    mp.width = 64;
    mp.height = 1;
    mp.value = 9;
    T_OK(cudaGraphAddMemsetNode(&set, g, &a, 1, &mp));
    T_OK(cudaGraphAddMemcpyNode1D(&out, g, &set, 1, host, p.dptr, 64, cudaMemcpyDeviceToHost));
    T_OK(cudaGraphAddMemFreeNode(&f, g, &out, 1, p.dptr));
    T(cudaGraphMemFreeNodeGetParams(f, &dptr));
    T_BOOL("same address", dptr == p.dptr);
    T(cudaGraphAddMemFreeNode(&bad, g, &out, 1, p.dptr));
    T(cudaGraphDestroyNode(a));
    T(cudaGraphClone(&h, g));
    T_OK(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphInstantiate(&y, g, 0));
    usage();
    for (int i = 0; i < 2; i++) {
        memset(host, 0, sizeof(host));
        T(cudaGraphLaunch(x, s));
        T(cudaStreamSynchronize(s));
        T_INT("host[63]", host[63]);
    }
    usage();
    T(cudaDeviceSetGraphMemAttribute(0, cudaGraphMemAttrUsedMemHigh, &zero));
    T(cudaDeviceSetGraphMemAttribute(0, cudaGraphMemAttrUsedMemCurrent, &zero));
    T(cudaDeviceGetGraphMemAttribute(0, (enum cudaGraphMemAttributeType)9, &zero));
    usage();
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    T(cudaDeviceGraphMemTrim(0));

    /* Not freed by the graph: by the program, or with the next launch. */
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphAddMemAllocNode(&a, g, NULL, 0, &p));
    T_OK(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    usage();
    T(cudaMemset(p.dptr, 3, 64));
    T(cudaGraphLaunch(x, s));
    T(cudaFreeAsync(p.dptr, s));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T(cudaFree(p.dptr));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphInstantiate(&x, g, cudaGraphInstantiateFlagAutoFreeOnLaunch));
    T(cudaGraphLaunch(x, s));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    p.bytesize = 0;
    T_OK(cudaGraphCreate(&g, 0));
    T(cudaGraphAddMemAllocNode(&a, g, NULL, 0, &p));
    T(cudaGraphAddMemFreeNode(&f, g, NULL, 0, NULL));
    return 0;
}
