/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernelEx */
/* Every launch attribute with a good value and with a bad one; the kernel runs in either case or
 * does not, never with something else. */
#include "module/driver.h"

static CUfunction k;
static CUdeviceptr out;
static CUevent event;

static void launch(const char *what, CUlaunchAttribute *a, unsigned n)
{
    CUlaunchConfig cfg = {2, 1, 1, 32, 1, 1, 0, NULL, a, n};
    int v = 1, count = 64;
    void *args[] = {&out, &v, &count};

    printf("%s\n", what);
    if (T(cuLaunchKernelEx(&cfg, k, args, NULL)) == 0)
        T(cuCtxSynchronize());
    T_INT("runs so far", t_read(out));
}

#define ONE(what, ID, ...)                                                                         \
    do {                                                                                           \
        CUlaunchAttribute a_;                                                                      \
                                                                                                   \
        memset(&a_, 0, sizeof(a_));                                                                \
        a_.id = ID;                                                                                \
        __VA_ARGS__;                                                                               \
        launch(what, &a_, 1);                                                                      \
    } while (0)

int main(void)
{
    CUmodule m;
    CUdeviceptr region;
    CUlaunchAttribute two[2];

    t_context();
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&k, m, "add_int"));
    T_OK(cuMemAlloc(&out, 64 * 4));
    T_OK(cuMemAlloc(&region, 1 << 20));
    T_OK(cuMemsetD32(out, 0, 64));
    T_OK(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
    launch("none", NULL, 0);
    ONE("ignore", CU_LAUNCH_ATTRIBUTE_IGNORE, (void)0);
    ONE("cooperative 1", CU_LAUNCH_ATTRIBUTE_COOPERATIVE, a_.value.cooperative = 1);
    ONE("cooperative 0", CU_LAUNCH_ATTRIBUTE_COOPERATIVE, a_.value.cooperative = 0);
    ONE("cooperative 5", CU_LAUNCH_ATTRIBUTE_COOPERATIVE, a_.value.cooperative = 5);
    ONE("cluster 1", CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
        a_.value.clusterDim.x = a_.value.clusterDim.y = a_.value.clusterDim.z = 1);
    ONE("scheduling spread", CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
        a_.value.clusterSchedulingPolicyPreference = CU_CLUSTER_SCHEDULING_POLICY_SPREAD);
    ONE("scheduling 9", CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE,
        a_.value.clusterSchedulingPolicyPreference = 9);
    ONE("priority -1", CU_LAUNCH_ATTRIBUTE_PRIORITY, a_.value.priority = -1);
    ONE("priority 0", CU_LAUNCH_ATTRIBUTE_PRIORITY, a_.value.priority = 0);
    ONE("priority 100", CU_LAUNCH_ATTRIBUTE_PRIORITY, a_.value.priority = 100);
    ONE("serialisation", CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION,
        a_.value.programmaticStreamSerializationAllowed = 1);
    ONE("synchronisation policy", CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY,
        a_.value.syncPolicy = CU_SYNC_POLICY_YIELD);
    ONE("window", CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
        a_.value.accessPolicyWindow.base_ptr = (void *)region;
        a_.value.accessPolicyWindow.num_bytes = 1 << 16; a_.value.accessPolicyWindow.hitRatio = 1;
        a_.value.accessPolicyWindow.hitProp = CU_ACCESS_PROPERTY_PERSISTING;
        a_.value.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_STREAMING);
    ONE("window, miss persisting", CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
        a_.value.accessPolicyWindow.base_ptr = (void *)region;
        a_.value.accessPolicyWindow.num_bytes = 1 << 16; a_.value.accessPolicyWindow.hitRatio = 1;
        a_.value.accessPolicyWindow.missProp = CU_ACCESS_PROPERTY_PERSISTING);
    ONE("window, ratio 2", CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW,
        a_.value.accessPolicyWindow.base_ptr = (void *)region;
        a_.value.accessPolicyWindow.num_bytes = 1 << 16; a_.value.accessPolicyWindow.hitRatio = 2);
    ONE("domain default", CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
        a_.value.memSyncDomain = CU_LAUNCH_MEM_SYNC_DOMAIN_DEFAULT);
    ONE("domain remote", CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN,
        a_.value.memSyncDomain = CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE);
    ONE("domain 9", CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN, a_.value.memSyncDomain = 9);
    ONE("domain map", CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
        a_.value.memSyncDomainMap.default_ = 0;
        a_.value.memSyncDomainMap.remote = 1);
    ONE("domain map 200", CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP,
        a_.value.memSyncDomainMap.default_ = 200);
    ONE("carve-out 50", CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
        a_.value.sharedMemCarveout = 50);
    ONE("carve-out 101", CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT,
        a_.value.sharedMemCarveout = 101);
    ONE("completion event", CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT,
        a_.value.launchCompletionEvent.event = event);
    T(cuEventSynchronize(event));
    ONE("completion event NULL", CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT, (void)0);
    ONE("programmatic event", CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT,
        a_.value.programmaticEvent.event = event);
    T(cuEventSynchronize(event));
    ONE("attribute 100", (CUlaunchAttributeID)100, (void)0);
    memset(two, 0, sizeof(two));
    two[0].id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
    two[1].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
    two[1].value.cooperative = 1;
    launch("two", two, 2);
    two[1] = two[0];
    launch("twice the same", two, 2);
    T(cuEventDestroy(event));
    return 0;
}
