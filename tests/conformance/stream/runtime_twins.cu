/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphInstantiateWithParams_ptsz cudaGraphUpload_ptsz
 * cudaLaunchCooperativeKernel_ptsz cudaLaunchKernelExC_ptsz cudaStreamAttachMemAsync_ptsz
 * cudaStreamBeginCaptureToGraph_ptsz cudaStreamBeginCapture_ptsz cudaStreamCopyAttributes_ptsz
 * cudaStreamEndCapture_ptsz cudaStreamGetAttribute_ptsz cudaStreamGetCaptureInfo_ptsz
 * cudaStreamIsCapturing_ptsz cudaStreamSetAttribute_ptsz
 * cudaStreamUpdateCaptureDependencies_ptsz cudaMemPrefetchAsync_ptsz cudaGetDriverEntryPoint_ptsz
 * cudaGraphKernelNodeSetAttribute cudaGraphKernelNodeGetAttribute
 * cudaGraphKernelNodeCopyAttributes cudaGraphNodeSetParams cudaDeviceGetSharedMemConfig
 * cudaDeviceSetSharedMemConfig cudaFuncSetSharedMemConfig cudaMemcpyToSymbolAsync_ptsz
 * cudaMemcpyToSymbol_ptds cudaMemcpyFromSymbol_ptds cudaMemcpyFromSymbolAsync_ptsz
 * __cudaPushCallConfiguration __cudaPopCallConfiguration */
/* Calls of the runtime on streams where 0 is the thread's own default stream. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

extern "C" cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared,
                                                  void *stream);
__device__ int word[4];

__global__ void add(int *p, int v)
{
    p[threadIdx.x] += v;
}

static int *d;

static void show(const char *name)
{
    int v[16];

    T(cudaStreamSynchronize(0));
    T(cudaMemcpy(v, d, sizeof(v), cudaMemcpyDeviceToHost));
    T_DIGEST(name, v, sizeof(v));
}

static void graphs(void)
{
    enum cudaStreamCaptureStatus st = (enum cudaStreamCaptureStatus)9;
    cudaGraphInstantiateParams ip = {};
    cudaLaunchAttributeValue v = {}, w = {};
    const cudaGraphNode_t *deps = NULL;
    const cudaGraphEdgeData *edges = NULL;
    unsigned long long id = 0;
    cudaGraphNodeParams np = {};
    cudaGraphNode_t n[4], set;
    cudaGraphExec_t x;
    cudaGraph_t g = NULL;
    size_t count = 4;

    T(cudaStreamIsCapturing(0, &st));
    T_INT("status", st);
    T(cudaStreamBeginCapture(0, cudaStreamCaptureModeRelaxed));
    add<<<1, 16>>>(d, 1);
    add<<<1, 8>>>(d, 2);
    T(cudaStreamIsCapturing(0, &st));
    T_INT("status", st);
    T(cudaStreamGetCaptureInfo(0, &st, &id, &g, &deps, &edges, &count));
    T_INT("dependencies", count);
    T(cudaStreamUpdateCaptureDependencies(0, NULL, NULL, 0, cudaStreamAddCaptureDependencies));
    T(cudaStreamEndCapture(0, &g));
    count = 4;
    T(cudaGraphGetNodes(g, n, &count));
    T_INT("nodes", count);
    v.priority = -2;
    T(cudaGraphKernelNodeSetAttribute(n[0], cudaLaunchAttributePriority, &v));
    T(cudaGraphKernelNodeCopyAttributes(n[1], n[0]));
    T(cudaGraphKernelNodeGetAttribute(n[1], cudaLaunchAttributePriority, &w));
    T_INT("priority", w.priority);
    np.type = cudaGraphNodeTypeMemset;
    np.memset.dst = d;
    np.memset.elementSize = 4;
    np.memset.width = 2;
    np.memset.height = 1;
    np.memset.value = 1;
    T(cudaGraphAddNode(&set, g, n + 1, NULL, 1, &np));
    np.memset.value = 9;
    T(cudaGraphNodeSetParams(set, &np));
    T(cudaGraphNodeSetParams(n[0], &np));
    ip.flags = cudaGraphInstantiateFlagUpload;
    T(cudaGraphInstantiateWithParams(&x, g, &ip));
    T_INT("result", ip.result_out);
    T(cudaGraphUpload(x, 0));
    T(cudaGraphLaunch(x, 0));
    show("graph");
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    T(cudaGraphCreate(&g, 0));
    T(cudaStreamBeginCaptureToGraph(0, g, NULL, NULL, 0, cudaStreamCaptureModeRelaxed));
    add<<<1, 4>>>(d, 100);
    T(cudaStreamEndCapture(0, &g));
    T(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, 0));
    show("to a graph");
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
}

static void work(void)
{
    cudaLaunchConfig_t c = {};
    int v = 3, out[4] = {5, 6, 7, 8};
    void *args[] = {&d, &v};
    dim3 grid, block;
    size_t shared = 0;
    void *stream = (void *)1;

    c.gridDim = dim3(1);
    c.blockDim = dim3(16);
    T(cudaLaunchKernelExC(&c, (const void *)add, args));
    T(cudaLaunchCooperativeKernel((const void *)add, dim3(1), dim3(8), args, 0, 0));
    show("launched");
    T(cudaMemcpyToSymbol(word, out, sizeof(out)));
    memset(out, 0, sizeof(out));
    T(cudaMemcpyFromSymbol(out, word, 8, 4));
    T_INT("6", out[0]);
    T_INT("7", out[1]);
    out[0] = 60;
    T(cudaMemcpyToSymbolAsync(word, out, 4, 8, cudaMemcpyHostToDevice, 0));
    T(cudaMemcpyFromSymbolAsync(out + 2, word, 8, 8, cudaMemcpyDeviceToHost, 0));
    T(cudaStreamSynchronize(0));
    T_INT("60", out[2]);
    T_INT("8", out[3]);
    T_INT("push", __cudaPushCallConfiguration(dim3(3, 4), dim3(5), 77, (CUstream_st *)0x20));
    T(__cudaPopCallConfiguration(&grid, &block, &shared, &stream));
    T_INT("grid", grid.x * 100 + grid.y * 10 + grid.z);
    T_INT("block", block.x);
    T_INT("shared", shared);
    T_BOOL("stream", stream == (void *)0x20);
}

static void rest(void)
{
    cudaSharedMemConfig config = (cudaSharedMemConfig)9;
    enum cudaDriverEntryPointQueryResult found = (enum cudaDriverEntryPointQueryResult)9;
    cudaMemLocation host = {cudaMemLocationTypeHost, 0};
    cudaLaunchAttributeValue v = {};
    cudaStream_t s;
    void *f = NULL;
    char *m;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    v.syncPolicy = cudaSyncPolicySpin;
    T(cudaStreamSetAttribute(0, cudaLaunchAttributeSynchronizationPolicy, &v));
    T(cudaStreamCopyAttributes(s, 0));
    memset(&v, 0, sizeof(v));
    T(cudaStreamGetAttribute(0, cudaLaunchAttributeSynchronizationPolicy, &v));
    T_INT("policy", v.syncPolicy);
    memset(&v, 0, sizeof(v));
    T(cudaStreamGetAttribute(s, cudaLaunchAttributeSynchronizationPolicy, &v));
    T_INT("policy", v.syncPolicy);
    T(cudaMallocManaged((void **)&m, 4096, cudaMemAttachHost));
    memset(m, 1, 4096);
    T(cudaStreamAttachMemAsync(0, m, 0, cudaMemAttachSingle));
    T(cudaStreamSynchronize(0));
    T(cudaStreamAttachMemAsync(0, m, 0, 99));
    T(cudaMemPrefetchAsync(m, 4096, host, 1, 0));
    T(cudaFree(m));
    T(cudaDeviceSetSharedMemConfig(cudaSharedMemBankSizeEightByte));
    T(cudaDeviceGetSharedMemConfig(&config));
    T_INT("config", config);
    T(cudaDeviceSetSharedMemConfig((cudaSharedMemConfig)7));
    T(cudaFuncSetSharedMemConfig((const void *)add, cudaSharedMemBankSizeFourByte));
    T(cudaFuncSetSharedMemConfig(NULL, cudaSharedMemBankSizeFourByte));
    T(cudaGetDriverEntryPoint("cuMemcpyAsync", &f, cudaEnableDefault, &found));
    T_INT("found", found);
    T_BOOL("f", f != NULL);
    T(cudaStreamDestroy(s));
}

int main(void)
{
    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset(d, 0, 64));
    T_OK(cudaDeviceSynchronize());
    graphs();
    work();
    rest();
    return 0;
}
