/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddMemcpyNode cudaGraphMemcpyNodeGetParams cudaGraphMemcpyNodeSetParams
 * cudaGraphMemcpyNodeSetParams1D cudaGraphMemsetNodeGetParams cudaGraphMemsetNodeSetParams
 * cudaGraphHostNodeGetParams cudaGraphHostNodeSetParams cudaGraphExecMemcpyNodeSetParams
 * cudaGraphExecHostNodeSetParams cuGraphAddMemcpyNode cuGraphAddMemsetNode */
/* What nodes remember and which parameters they refuse. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#define W 40
#define H 6

static void fn(void *arg)
{
    *(int *)arg += 1;
}

static void show(cudaGraphNode_t n)
{
    struct cudaMemcpy3DParms p;

    memset(&p, 0, sizeof(p));
    T(cudaGraphMemcpyNodeGetParams(n, &p));
    printf("extent %zu %zu %zu, pitches %zu %zu, rows %zu %zu, position %zu %zu, kind %d\n",
           p.extent.width, p.extent.height, p.extent.depth, p.dstPtr.pitch, p.srcPtr.pitch,
           p.dstPtr.ysize, p.srcPtr.ysize, p.srcPos.x, p.srcPos.y, (int)p.kind);
}

int main(void)
{
    cudaGraph_t g;
    cudaGraphNode_t in, set, box, host, lin, bad;
    cudaGraphExec_t x;
    cudaStream_t s;
    struct cudaMemcpy3DParms p = {0};
    struct cudaMemsetParams mp = {0}, mq;
    struct cudaHostNodeParams hp, hq;
    CUDA_MEMSET_NODE_PARAMS dm = {0};
    CUDA_MEMCPY3D dp = {0};
    CUcontext ctx;
    unsigned char *d, a[W * H], b[W * H];
    size_t pitch;
    int n = 0, n2 = 0;

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMallocPitch((void **)&d, &pitch, W, H * 2));
    T_OK(cuCtxGetCurrent(&ctx));
    T_OK(cudaGraphCreate(&g, 0));
    t_fill(a, sizeof(a), 3);
    memset(b, 0, sizeof(b));
    mp.dst = d;
    mp.pitch = pitch;
    mp.elementSize = 2;
    mp.value = 0x1234;
    mp.width = W / 2;
    mp.height = H;
    T_OK(cudaGraphAddMemsetNode(&set, g, NULL, 0, &mp));
    p.srcPtr = (struct cudaPitchedPtr){a, W, W, H};
    p.dstPtr = (struct cudaPitchedPtr){d, pitch, W, H};
    p.srcPos.x = 4;
    p.srcPos.y = 1;
    p.dstPos.x = 8;
    p.extent = (struct cudaExtent){16, 3, 1};
    p.kind = cudaMemcpyHostToDevice;
    T_OK(cudaGraphAddMemcpyNode(&in, g, &set, 1, &p));
    show(in);
    p.dstPtr = (struct cudaPitchedPtr){b, W, W, H};
    p.srcPtr = (struct cudaPitchedPtr){d, pitch, W, H};
    p.srcPos.x = p.srcPos.y = p.dstPos.x = 0;
    p.extent = (struct cudaExtent){W, H, 1};
    p.kind = cudaMemcpyDeviceToHost;
    T_OK(cudaGraphAddMemcpyNode(&box, g, &in, 1, &p));
    show(box);
    hp.fn = fn;
    hp.userData = &n;
    T_OK(cudaGraphAddHostNode(&host, g, &box, 1, &hp));
    T_OK(cudaGraphInstantiate(&x, g, 0));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("b", b, sizeof(b));
    T_INT("n", n);
    T(cudaGraphMemsetNodeGetParams(set, &mq));
    printf("memset %d %zu %zu %u %d\n", mq.dst == d, mq.width, mq.height, mq.value,
           (int)mq.elementSize);
    hp.userData = &n2;
    T(cudaGraphExecHostNodeSetParams(x, host, &hp));
    T(cudaGraphHostNodeGetParams(host, &hq));
    T_BOOL("the graph keeps its own", hq.userData == &n);
    p.extent.height = 2;
    T(cudaGraphExecMemcpyNodeSetParams(x, box, &p));
    memset(b, 0, sizeof(b));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("b", b, sizeof(b));
    T_INT("n2", n2);
    T(cudaGraphHostNodeSetParams(host, &hp));
    T(cudaGraphMemcpyNodeSetParams(box, &p));
    show(box);
    mp.value = 7;
    T(cudaGraphMemsetNodeSetParams(set, &mp));
    T_OK(cudaGraphAddMemcpyNode1D(&lin, g, NULL, 0, b, d, 32, cudaMemcpyDefault));
    show(lin);
    T(cudaGraphMemcpyNodeSetParams1D(lin, b, d, 16, cudaMemcpyDeviceToHost));
    show(lin);
    T(cudaGraphMemcpyNodeGetParams(set, &p));
    T(cudaGraphMemsetNodeGetParams(box, &mq));
    T(cudaGraphHostNodeGetParams(box, &hq));

    /* Refused. */
    p.extent.width = 0;
    T(cudaGraphAddMemcpyNode(&bad, g, NULL, 0, &p));
    p.extent.width = W + 9;
    T(cudaGraphAddMemcpyNode(&bad, g, NULL, 0, &p));
    p.extent.width = W;
    p.kind = (enum cudaMemcpyKind)12;
    T(cudaGraphAddMemcpyNode(&bad, g, NULL, 0, &p));
    p.kind = cudaMemcpyHostToDevice;
    T(cudaGraphAddMemcpyNode(&bad, g, NULL, 0, &p));
    T(cudaGraphAddMemcpyNode(&bad, g, NULL, 0, NULL));
    mp.elementSize = 3;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.elementSize = 1;
    mp.value = 0x1ff;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.value = 1;
    mp.width = 0;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.width = 1 << 30;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.width = 8;
    mp.dst = NULL;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.dst = b;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    mp.dst = d;
    mp.pitch = 4;
    mp.height = 2;
    T(cudaGraphAddMemsetNode(&bad, g, NULL, 0, &mp));
    dm.dst = (CUdeviceptr)d;
    dm.elementSize = 4;
    dm.width = 2;
    dm.height = 1;
    T(cuGraphAddMemsetNode(&bad, g, NULL, 0, &dm, ctx));
    T(cuGraphAddMemsetNode(&bad, g, NULL, 0, &dm, NULL));
    dp.dstMemoryType = CU_MEMORYTYPE_DEVICE;
    dp.dstDevice = (CUdeviceptr)d;
    dp.srcMemoryType = CU_MEMORYTYPE_HOST;
    dp.srcHost = a;
    dp.WidthInBytes = 8;
    dp.Height = dp.Depth = 1;
    T(cuGraphAddMemcpyNode(&bad, g, NULL, 0, &dp, ctx));
    dp.srcMemoryType = (CUmemorytype)9;
    T(cuGraphAddMemcpyNode(&bad, g, NULL, 0, &dp, ctx));
    return 0;
}
