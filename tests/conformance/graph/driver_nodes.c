/* SPDX-License-Identifier: MIT */
/* covers: cuGraphAddEventRecordNode cuGraphAddEventWaitNode cuGraphAddHostNode
 * cuGraphAddMemAllocNode cuGraphAddMemFreeNode cuGraphDebugDotPrint
 * cuGraphEventRecordNodeGetEvent cuGraphEventRecordNodeSetEvent cuGraphEventWaitNodeGetEvent
 * cuGraphEventWaitNodeSetEvent cuGraphExecChildGraphNodeSetParams
 * cuGraphExecEventRecordNodeSetEvent cuGraphExecEventWaitNodeSetEvent
 * cuGraphExecHostNodeSetParams cuGraphExecMemcpyNodeSetParams cuGraphExecMemsetNodeSetParams
 * cuGraphExecNodeSetParams cuGraphHostNodeGetParams cuGraphHostNodeSetParams
 * cuGraphInstantiateWithParams cuGraphMemAllocNodeGetParams cuGraphMemFreeNodeGetParams
 * cuGraphMemcpyNodeGetParams cuGraphMemcpyNodeSetParams cuGraphMemsetNodeGetParams
 * cuGraphMemsetNodeSetParams cuGraphNodeSetParams cuGraphAddMemcpyNode cuGraphRetainUserObject
 * cuGraphReleaseUserObject cuUserObjectCreate cuUserObjectRetain cuUserObjectRelease
 * cuDeviceGetGraphMemAttribute cuDeviceSetGraphMemAttribute cuDeviceGraphMemTrim */
/* Nodes of every type through the driver API: their parameters, before and after instantiation. */
#include <unistd.h>

#include "kernels.h"

static CUcontext ctx;
static CUstream s;
static CUdeviceptr d;
static int hits;

static void hit(void *arg)
{
    hits += (int)(intptr_t)arg;
}

static void show(void)
{
    uint8_t v[64];

    T(cuMemcpyDtoH(v, d, sizeof(v)));
    T_DIGEST("memory", v, sizeof(v));
    T_INT("first", v[0]);
    T_INT("last", v[63]);
}

static void run(CUgraphExec x)
{
    T(cuGraphLaunch(x, s));
    T(cuStreamSynchronize(s));
    T_INT("hits", hits);
    show();
}

static void plain(void)
{
    static uint8_t from[64], other[64];
    CUDA_MEMSET_NODE_PARAMS set = {d, 0, 3, 1, 64, 1}, set2;
    CUDA_HOST_NODE_PARAMS host = {hit, (void *)1}, host2;
    CUDA_MEMCPY3D copy = {0}, copy2;
    CUDA_GRAPH_INSTANTIATE_PARAMS ip = {0};
    CUgraphNodeParams any;
    CUgraphNode fill, call, put;
    CUgraphExec x;
    CUgraph g;

    puts("plain nodes");
    t_fill(from, sizeof(from), 1);
    t_fill(other, sizeof(other), 2);
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddMemsetNode(&fill, g, NULL, 0, &set, ctx));
    T(cuGraphAddHostNode(&call, g, &fill, 1, &host));
    T(cuGraphAddHostNode(&call, g, &fill, 1, NULL));
    copy.srcMemoryType = CU_MEMORYTYPE_HOST;
    copy.srcHost = from;
    copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    copy.dstDevice = d;
    copy.WidthInBytes = 32;
    copy.Height = copy.Depth = 1;
    T(cuGraphAddMemcpyNode(&put, g, &call, 1, &copy, ctx));
    T(cuGraphMemsetNodeGetParams(fill, &set2));
    T_INT("value", set2.value);
    T_INT("width", set2.width);
    T(cuGraphHostNodeGetParams(call, &host2));
    T_BOOL("same", host2.fn == hit && host2.userData == (void *)1);
    T(cuGraphMemcpyNodeGetParams(put, &copy2));
    T_BOOL("same", copy2.srcHost == from && copy2.dstDevice == d);
    T_INT("width", copy2.WidthInBytes);
    T(cuGraphMemsetNodeGetParams(call, &set2));
    T(cuGraphHostNodeGetParams(fill, &host2));
    T(cuGraphMemcpyNodeGetParams(fill, &copy2));
    ip.flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    ip.hUploadStream = s;
    T(cuGraphInstantiateWithParams(&x, g, &ip));
    T_INT("result", ip.result_out);
    run(x);
    set.value = 9;
    T(cuGraphMemsetNodeSetParams(fill, &set));
    set.elementSize = 3;
    T(cuGraphMemsetNodeSetParams(fill, &set));
    set.elementSize = 1;
    host.userData = (void *)10;
    T(cuGraphHostNodeSetParams(call, &host));
    copy.srcHost = other;
    T(cuGraphMemcpyNodeSetParams(put, &copy));
    run(x);
    set.value = 5;
    T(cuGraphExecMemsetNodeSetParams(x, fill, &set, ctx));
    T(cuGraphExecMemsetNodeSetParams(x, call, &set, ctx));
    host.userData = (void *)100;
    T(cuGraphExecHostNodeSetParams(x, call, &host));
    T(cuGraphExecHostNodeSetParams(x, fill, &host));
    copy.WidthInBytes = 16;
    T(cuGraphExecMemcpyNodeSetParams(x, put, &copy, ctx));
    T(cuGraphExecMemcpyNodeSetParams(x, fill, &copy, ctx));
    run(x);
    memset(&any, 0, sizeof(any));
    any.type = CU_GRAPH_NODE_TYPE_HOST;
    any.host.fn = hit;
    any.host.userData = (void *)1000;
    T(cuGraphExecNodeSetParams(x, call, &any));
    T(cuGraphExecNodeSetParams(x, fill, &any));
    run(x);
    T(cuGraphNodeSetParams(call, &any));
    T(cuGraphNodeSetParams(fill, &any));
    T(cuGraphExecDestroy(x));
    T(cuGraphInstantiate(&x, g, 0));
    run(x);
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
}

static void events(void)
{
    CUevent a, b, got = NULL;
    CUgraphNode rec, wait, fill;
    CUDA_MEMSET_NODE_PARAMS set = {d, 0, 77, 1, 64, 1};
    CUgraphExec x;
    CUgraph g;

    puts("events");
    T_OK(cuEventCreate(&a, CU_EVENT_DISABLE_TIMING));
    T_OK(cuEventCreate(&b, CU_EVENT_DISABLE_TIMING));
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddEventRecordNode(&rec, g, NULL, 0, a));
    T(cuGraphAddEventWaitNode(&wait, g, &rec, 1, a));
    T(cuGraphAddMemsetNode(&fill, g, &wait, 1, &set, ctx));
    T(cuGraphAddEventRecordNode(&rec, g, NULL, 0, NULL));
    T(cuGraphEventRecordNodeGetEvent(rec, &got));
    T_BOOL("a", got == a);
    T(cuGraphEventRecordNodeSetEvent(rec, b));
    T(cuGraphEventRecordNodeGetEvent(rec, &got));
    T_BOOL("b", got == b);
    T(cuGraphEventWaitNodeGetEvent(wait, &got));
    T_BOOL("a", got == a);
    T(cuGraphEventWaitNodeSetEvent(wait, b));
    T(cuGraphEventWaitNodeGetEvent(wait, &got));
    T_BOOL("b", got == b);
    T(cuGraphEventWaitNodeGetEvent(rec, &got));
    T(cuGraphEventRecordNodeGetEvent(wait, &got));
    T(cuGraphInstantiate(&x, g, 0));
    run(x);
    T(cuEventQuery(b));
    T(cuGraphExecEventRecordNodeSetEvent(x, rec, a));
    T(cuGraphExecEventWaitNodeSetEvent(x, wait, a));
    T(cuGraphExecEventRecordNodeSetEvent(x, wait, a));
    T(cuGraphExecEventWaitNodeSetEvent(x, rec, a));
    run(x);
    T(cuEventQuery(a));
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
    T(cuEventDestroy(a));
    T(cuEventDestroy(b));
}

static void children(void)
{
    CUDA_MEMSET_NODE_PARAMS set = {d, 0, 21, 1, 64, 1};
    CUgraphNode fill, child;
    CUgraphExec x;
    CUgraph inner, other, g;

    puts("child graphs");
    T(cuGraphCreate(&inner, 0));
    T(cuGraphAddMemsetNode(&fill, inner, NULL, 0, &set, ctx));
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddChildGraphNode(&child, g, NULL, 0, inner));
    T(cuGraphInstantiate(&x, g, 0));
    run(x);
    T(cuGraphClone(&other, inner));
    T(cuGraphNodeFindInClone(&fill, fill, other));
    set.value = 22;
    T(cuGraphMemsetNodeSetParams(fill, &set));
    T(cuGraphExecChildGraphNodeSetParams(x, child, other));
    run(x);
    T(cuGraphAddMemsetNode(&fill, other, &fill, 1, &set, ctx));
    T(cuGraphExecChildGraphNodeSetParams(x, child, other));
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
    T(cuGraphDestroy(other));
    T(cuGraphDestroy(inner));
}

static void memory(void)
{
    CUDA_MEM_ALLOC_NODE_PARAMS p = {0}, q = {0};
    CUDA_MEMSET_NODE_PARAMS set = {0, 0, 7, 1, 4096, 1};
    CUgraphNode alloc, fill, release;
    CUdeviceptr got = 0;
    cuuint64_t v = 0;
    CUgraphExec x;
    CUgraph g;

    puts("memory");
    p.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
    p.poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    p.bytesize = 4096;
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
    T_BOOL("address", p.dptr != 0);
    T(cuGraphMemAllocNodeGetParams(alloc, &q));
    T_BOOL("same", q.dptr == p.dptr);
    T_INT("size", q.bytesize);
    set.dst = p.dptr;
    T(cuGraphAddMemsetNode(&fill, g, &alloc, 1, &set, ctx));
    T(cuGraphAddMemFreeNode(&release, g, &fill, 1, p.dptr));
    T(cuGraphMemFreeNodeGetParams(release, &got));
    T_BOOL("same", got == p.dptr);
    T(cuGraphMemFreeNodeGetParams(alloc, &got));
    T(cuGraphMemAllocNodeGetParams(release, &q));
    T(cuGraphAddMemFreeNode(&release, g, &fill, 1, p.dptr));
    p.bytesize = 0;
    T(cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
    T(cuGraphInstantiate(&x, g, 0));
    run(x);
    T(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &v));
    T_BOOL("used", v >= 4096);
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
    T(cuDeviceGraphMemTrim(0));
    T(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &v));
    T_INT("used", v);
    v = 0;
    T(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &v));
    T(cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &v));
    T_INT("high", v);
    T(cuDeviceGetGraphMemAttribute(0, (CUgraphMem_attribute)9, &v));
    T(cuDeviceGraphMemTrim(99));
}

static void objects(void)
{
    CUuserObject o;
    CUgraph g;

    puts("user objects");
    hits = 0;
    T(cuUserObjectCreate(&o, (void *)5, hit, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    T(cuUserObjectRetain(o, 2));
    T(cuUserObjectRelease(o, 1));
    T(cuGraphCreate(&g, 0));
    T(cuGraphRetainUserObject(g, o, 1, CU_GRAPH_USER_OBJECT_MOVE));
    T(cuGraphRetainUserObject(g, o, 1, 9));
    T(cuGraphReleaseUserObject(g, o, 1));
    T_INT("destroyed", hits);
    T(cuGraphRetainUserObject(g, o, 1, 0));
    T(cuUserObjectRelease(o, 1));
    T_INT("destroyed", hits);
    T(cuGraphDestroy(g));
    while (!*(volatile int *)&hits)
        ;
    T_INT("destroyed", hits);
    T(cuUserObjectCreate(&o, NULL, NULL, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
    T(cuUserObjectCreate(&o, NULL, hit, 0, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
}

static void picture(void)
{
    char path[] = "/tmp/gvm-dot-XXXXXX", text[16] = "";
    CUDA_HOST_NODE_PARAMS host = {hit, NULL};
    CUgraphNode n;
    CUgraph g;
    FILE *f;
    int fd = mkstemp(path);

    puts("picture");
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddHostNode(&n, g, NULL, 0, &host));
    T(cuGraphDebugDotPrint(g, path, 0));
    f = fopen(path, "r");
    if (f && fgets(text, 8, f))
        T_STR("begins", text);
    if (f)
        fclose(f);
    close(fd);
    unlink(path);
    T(cuGraphDebugDotPrint(g, "/nonexistent/x", 0));
    T(cuGraphDestroy(g));
}

int main(void)
{
    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset((void *)d, 0, 64));
    T_OK(cudaDeviceSynchronize());
    T_OK(cuCtxGetCurrent(&ctx));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    plain();
    events();
    children();
    memory();
    objects();
    picture();
    return 0;
}
