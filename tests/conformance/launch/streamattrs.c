/* SPDX-License-Identifier: MIT */
/* covers: cudaStreamSetAttribute cudaStreamGetAttribute cudaStreamCopyAttributes
 * cuStreamSetAttribute cuStreamGetAttribute cuStreamCopyAttributes cudaCtxResetPersistingL2Cache
 * cuCtxResetPersistingL2Cache */
/* Attributes of streams: what is kept, what is read back, what is refused. */
#include <cuda_runtime_api.h>

#include "module/driver.h"

static void get(CUstream s, CUstreamAttrID id)
{
    CUstreamAttrValue v;

    memset(&v, 0, sizeof(v));
    printf("attribute %d\n", (int)id);
    if (T(cuStreamGetAttribute(s, id, &v)))
        return;
    if (id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
        printf("window %s %zu bytes ratio %.2f hit %d miss %d\n",
               v.accessPolicyWindow.base_ptr ? "of" : "without", v.accessPolicyWindow.num_bytes,
               v.accessPolicyWindow.hitRatio, v.accessPolicyWindow.hitProp,
               v.accessPolicyWindow.missProp);
    else if (id == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP)
        printf("map %d %d\n", v.memSyncDomainMap.default_, v.memSyncDomainMap.remote);
    else
        T_INT("value", v.priority);
}

static int set(CUstream s, CUstreamAttrID id, int n)
{
    CUstreamAttrValue v;

    memset(&v, 0, sizeof(v));
    v.priority = n;
    printf("attribute %d to %d\n", (int)id, n);
    return T(cuStreamSetAttribute(s, id, &v));
}

int main(void)
{
    static const CUstreamAttrID ids[] = {
        CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
        CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
        CU_LAUNCH_ATTRIBUTE_PRIORITY,
        CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
        CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
        CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
    };
    CUstreamAttrValue v;
    cudaStreamAttrValue rv;
    CUstream s, t, p;
    CUdeviceptr mem;
    int n;

    t_context();
    T_OK(cuStreamCreate(&s, 0));
    T_OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    T_OK(cuStreamCreateWithPriority(&p, 0, -1));
    T_OK(cuMemAlloc(&mem, 1 << 20));
    for (unsigned i = 0; i < 6; i++)
        get(s, ids[i]);
    get(p, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    get(NULL, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    get(NULL, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW);
    T(cuCtxSetLimit(CU_LIMIT_PERSISTING_L2_CACHE_SIZE, 1 << 20));
    memset(&v, 0, sizeof(v));
    v.accessPolicyWindow.base_ptr = (void *)mem;
    v.accessPolicyWindow.num_bytes = 1 << 18;
    v.accessPolicyWindow.hitRatio = 0.5f;
    v.accessPolicyWindow.hitProp = CU_ACCESS_PROPERTY_PERSISTING;
    v.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_STREAMING;
    T(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
    get(s, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW);
    v.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_PERSISTING;
    T(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
    v.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_NORMAL;
    v.accessPolicyWindow.hitRatio = 3;
    T(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
    v.accessPolicyWindow.hitRatio = 1;
    v.accessPolicyWindow.num_bytes = (size_t)1 << 40;
    T(cuStreamSetAttribute(s, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
    T(cuStreamCopyAttributes(t, s));
    get(t, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW);
    T(cuStreamCopyAttributes(t, p));
    get(t, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    get(t, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW);
    for (int i = 0; i <= 5; i++)
        set(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, i);
    get(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY);
    set(s, CU_LAUNCH_ATTRIBUTE_PRIORITY, -2);
    get(s, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    T(cuStreamGetPriority(s, &n));
    T_INT("priority", n);
    set(s, CU_LAUNCH_ATTRIBUTE_PRIORITY, -100);
    get(s, CU_LAUNCH_ATTRIBUTE_PRIORITY);
    set(s, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, 1);
    get(s, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN);
    set(s, CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, 9);
    set(s, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, 1);
    set(s, (CUstreamAttrID)99, 1);
    T(cudaStreamGetAttribute(s, cudaLaunchAttributeSynchronizationPolicy, &rv));
    T_INT("policy", rv.syncPolicy);
    rv.syncPolicy = cudaSyncPolicySpin;
    T(cudaStreamSetAttribute(s, cudaLaunchAttributeSynchronizationPolicy, &rv));
    T(cudaStreamCopyAttributes(t, s));
    T(cudaStreamGetAttribute(t, cudaLaunchAttributeSynchronizationPolicy, &rv));
    T_INT("policy", rv.syncPolicy);
    T(cudaStreamGetAttribute(t, (cudaLaunchAttributeID)99, &rv));
    T(cudaCtxResetPersistingL2Cache());
    T(cuCtxResetPersistingL2Cache());
    T(cuStreamDestroy(s));
    return 0;
}
