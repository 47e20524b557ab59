/* SPDX-License-Identifier: MIT */
/* covers: cuStreamWaitValue32_v2_ptsz cuStreamWaitValue64_v2_ptsz cuStreamWriteValue32_v2_ptsz
 * cuStreamWriteValue64_v2_ptsz cuStreamBatchMemOp_v2_ptsz cuGraphInstantiateWithParams_ptsz
 * cuGraphLaunch_ptsz cuGraphUpload_ptsz cuStreamBeginCapture_v2_ptsz
 * cuStreamBeginCaptureToGraph_ptsz cuStreamEndCapture_ptsz cuStreamIsCapturing_ptsz
 * cuStreamGetCaptureInfo_v3_ptsz cuStreamUpdateCaptureDependencies_v2_ptsz cuStreamGetCtx_ptsz
 * cuStreamCopyAttributes_ptsz cuStreamGetAttribute_ptsz cuStreamSetAttribute_ptsz
 * cuStreamAttachMemAsync_ptsz cuStreamAddCallback_ptsz cuLaunchHostFunc_ptsz
 * cuLaunchKernelEx_ptsz cuLaunchCooperativeKernel_ptsz cuMemPrefetchAsync_v2_ptsz
 * cuStreamBeginCapture_ptsz cuStreamGetCaptureInfo_ptsz cuStreamGetCaptureInfo_v2_ptsz
 * cuStreamUpdateCaptureDependencies_ptsz cuStreamGetCtx_v2_ptsz */
/* Calls on streams where 0 is the thread's own default stream: it does not wait for a legacy one
 * that is busy only because another stream that is not blocking keeps it so. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include "kernels.h"

#define OLD(name) __asm__(#name)
CUresult begin_1(CUstream) OLD(cuStreamBeginCapture_ptsz);
CUresult info_1(CUstream, CUstreamCaptureStatus *, cuuint64_t *) OLD(cuStreamGetCaptureInfo_ptsz);
CUresult info_2(CUstream, CUstreamCaptureStatus *, cuuint64_t *, CUgraph *, const CUgraphNode **,
                size_t *) OLD(cuStreamGetCaptureInfo_v2_ptsz);
CUresult update_1(CUstream, CUgraphNode *, size_t, unsigned)
    OLD(cuStreamUpdateCaptureDependencies_ptsz);
CUresult ctx_2(CUstream, CUcontext *, CUgreenCtx *) OLD(cuStreamGetCtx_v2_ptsz);

static CUdeviceptr d;
static CUcontext ctx;
static int hits;

static void hit(void *arg)
{
    hits += (int)(intptr_t)arg;
}

static void called(CUstream s, CUresult rc, void *arg)
{
    hits += (int)(intptr_t)arg;
}

static void show(void)
{
    uint8_t v[64];

    T(cuStreamSynchronize(0));
    T(cuMemcpyDtoH(v, d, sizeof(v)));
    T_DIGEST("memory", v, sizeof(v));
}

static void words(void)
{
    CUstreamBatchMemOpParams op = {0};

    puts("words");
    T(cuStreamWriteValue32(0, d, 3, 0));
    T(cuStreamWaitValue32(0, d, 3, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamWriteValue64(0, d + 8, 5, 0));
    T(cuStreamWaitValue64(0, d + 8, 5, CU_STREAM_WAIT_VALUE_EQ));
    op.operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    op.writeValue.address = d + 16;
    op.writeValue.value = 8;
    T(cuStreamBatchMemOp(0, 1, &op, 0));
    show();
}

static void ask(void)
{
    CUstreamCaptureStatus st = (CUstreamCaptureStatus)9;
    const CUgraphNode *deps = NULL;
    const CUgraphEdgeData *data = NULL;
    cuuint64_t id = 0;
    CUgraph g = NULL;
    size_t n = 99;

    T(cuStreamIsCapturing(0, &st));
    T_INT("status", st);
    T(info_1(0, &st, &id));
    T_INT("status", st);
    T_BOOL("id", id != 0);
    T(info_2(0, &st, &id, &g, &deps, &n));
    T_INT("n", n);
    n = 99;
    T(cuStreamGetCaptureInfo(0, &st, &id, &g, &deps, &data, &n));
    T_BOOL("graph", g != NULL);
    T_INT("n", n);
}

static void graphs(void)
{
    CUDA_GRAPH_INSTANTIATE_PARAMS ip = {0};
    CUgraphNode n;
    CUgraphExec x;
    CUgraph g = NULL;

    puts("graphs");
    ask();
    T(begin_1(0));
    T(cuMemsetD8Async(d, 1, 64, 0));
    ask();
    T(update_1(0, NULL, 0, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    T(cuStreamUpdateCaptureDependencies(0, NULL, NULL, 0, CU_STREAM_ADD_CAPTURE_DEPENDENCIES));
    T(cuStreamEndCapture(0, &g));
    ip.flags = CUDA_GRAPH_INSTANTIATE_FLAG_UPLOAD;
    T(cuGraphInstantiateWithParams(&x, g, &ip));
    T_INT("result", ip.result_out);
    T(cuGraphUpload(x, 0));
    T(cuGraphLaunch(x, 0));
    show();
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
    T(cuStreamBeginCapture(0, CU_STREAM_CAPTURE_MODE_RELAXED));
    T(cuMemsetD8Async(d, 2, 32, 0));
    T(cuStreamEndCapture(0, &g));
    T(cuGraphDestroy(g));
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddEmptyNode(&n, g, NULL, 0));
    T(cuStreamBeginCaptureToGraph(0, g, &n, NULL, 1, CU_STREAM_CAPTURE_MODE_RELAXED));
    T(cuMemsetD8Async(d, 3, 32, 0));
    T(cuStreamEndCapture(0, &g));
    T(cuGraphInstantiate(&x, g, 0));
    T(cuGraphLaunch(x, 0));
    show();
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
}

static void work(void)
{
    CUfunction add = t_kernel("add_int");
    CUlaunchConfig c = {.gridDimX = 1,
                        .gridDimY = 1,
                        .gridDimZ = 1,
                        .blockDimX = 16,
                        .blockDimY = 1,
                        .blockDimZ = 1};
    int v = 6, n = 16;
    void *args[] = {&d, &v, &n};

    puts("work");
    T(cuLaunchKernelEx(&c, add, args, NULL));
    T(cuLaunchCooperativeKernel(add, 1, 1, 1, 8, 1, 1, 0, 0, args));
    T(cuLaunchHostFunc(0, hit, (void *)1));
    T(cuStreamAddCallback(0, called, (void *)10, 0));
    show();
    T_INT("hits", hits);
}

static void rest(void)
{
    CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST, 0};
    CUstreamAttrValue v;
    CUcontext got = NULL;
    CUgreenCtx green = (CUgreenCtx)1;
    CUdeviceptr m;
    CUstream s;

    puts("the rest");
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T(cuStreamGetCtx(0, &got));
    T_BOOL("context", got == ctx);
    got = NULL;
    T(ctx_2(0, &got, &green));
    T_BOOL("context", got == ctx);
    T_BOOL("green", green != NULL);
    memset(&v, 0, sizeof(v));
    v.syncPolicy = CU_SYNC_POLICY_YIELD;
    T(cuStreamSetAttribute(0, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
    memset(&v, 0, sizeof(v));
    T(cuStreamGetAttribute(0, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
    T_INT("policy", v.syncPolicy);
    T(cuStreamCopyAttributes(s, 0));
    memset(&v, 0, sizeof(v));
    T(cuStreamGetAttribute(s, CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY, &v));
    T_INT("policy", v.syncPolicy);
    T(cuMemAllocManaged(&m, 4096, CU_MEM_ATTACH_HOST));
    memset((void *)m, 5, 4096);
    T(cuStreamAttachMemAsync(0, m, 0, CU_MEM_ATTACH_SINGLE));
    T(cuStreamSynchronize(0));
    T(cuStreamAttachMemAsync(0, m, 0, 77));
    T(cuStreamAttachMemAsync(0, m, 0, CU_MEM_ATTACH_GLOBAL));
    T(cuMemPrefetchAsync(m, 4096, host, 1, 0));
    T(cuStreamSynchronize(0));
    T(cuMemFree(m));
    T(cuStreamDestroy(s));
}

int main(void)
{
    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset((void *)d, 0, 64));
    T_OK(cudaDeviceSynchronize());
    T_OK(cuCtxGetCurrent(&ctx));
    words();
    graphs();
    work();
    rest();
    return 0;
}
