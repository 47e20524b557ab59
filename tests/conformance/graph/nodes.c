/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddNode cudaGraphExecNodeSetParams cudaGraphInstantiateWithParams
 * cuGraphKernelNodeSetAttribute cuGraphKernelNodeGetAttribute cuGraphKernelNodeCopyAttributes
 * cuGraphAddNode_v2 */
/* The forms for nodes of any type; attributes of kernel nodes; wrong kernels. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

extern const unsigned char kernels_image[];
static int calls;

static void fn(void *arg)
{
    calls += (int)(intptr_t)arg;
}

int main(void)
{
    CUmodule m;
    CUfunction f;
    CUgraphNodeParams kp;
    struct cudaGraphNodeParams p;
    cudaGraph_t g;
    cudaGraphNode_t n, host, set, k, k2, bad;
    cudaGraphExec_t x;
    cudaGraphInstantiateParams ip;
    cudaStream_t s;
    CUlaunchAttributeValue v, w;
    int *d, out[8], a = 2, count = 8;
    void *args[] = {&d, &a, &count};

    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMalloc((void **)&d, sizeof(out)));
    T_OK(cuModuleLoadData(&m, kernels_image));
    T_OK(cuModuleGetFunction(&f, m, "add_int"));
    T_OK(cudaGraphCreate(&g, 0));
    memset(&p, 0, sizeof(p));
    p.type = cudaGraphNodeTypeHost;
    p.host.fn = fn;
    p.host.userData = (void *)1;
    T(cudaGraphAddNode(&host, g, NULL, NULL, 0, &p));
    memset(&p, 0, sizeof(p));
    p.type = cudaGraphNodeTypeMemset;
    p.memset.dst = d;
    p.memset.elementSize = 4;
    p.memset.width = 8;
    p.memset.height = 1;
    p.memset.value = 40;
    T(cudaGraphAddNode(&set, g, &host, NULL, 1, &p));
    memset(&p, 0, sizeof(p));
    p.type = cudaGraphNodeTypeEmpty;
    T(cudaGraphAddNode(&n, g, &set, NULL, 1, &p));
    memset(&kp, 0, sizeof(kp));
    kp.type = CU_GRAPH_NODE_TYPE_KERNEL;
    kp.kernel.func = f;
    kp.kernel.gridDimX = kp.kernel.gridDimY = kp.kernel.gridDimZ = 1;
    kp.kernel.blockDimX = 8;
    kp.kernel.blockDimY = kp.kernel.blockDimZ = 1;
    kp.kernel.kernelParams = args;
    T(cuGraphAddNode(&k, g, &n, NULL, 1, &kp));
    T(cuGraphAddNode(&k2, g, &k, NULL, 1, &kp));
    memset(&p, 0, sizeof(p));
    p.type = cudaGraphNodeTypeMemcpy;
    p.memcpy.copyParams.dstPtr = (struct cudaPitchedPtr){out, sizeof(out), sizeof(out), 1};
    p.memcpy.copyParams.srcPtr = (struct cudaPitchedPtr){d, sizeof(out), sizeof(out), 1};
    p.memcpy.copyParams.extent = (struct cudaExtent){sizeof(out), 1, 1};
    p.memcpy.copyParams.kind = cudaMemcpyDeviceToHost;
    T(cudaGraphAddNode(&n, g, &k2, NULL, 1, &p));
    memset(&ip, 0, sizeof(ip));
    ip.flags = cudaGraphInstantiateFlagUpload;
    ip.uploadStream = s;
    T(cudaGraphInstantiateWithParams(&x, g, &ip));
    T_INT("result", ip.result_out);
    T_BOOL("error node", ip.errNode_out != NULL);
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_INT("out[7]", out[7]);
    T_INT("calls", calls);
    memset(&p, 0, sizeof(p));
    p.type = cudaGraphNodeTypeHost;
    p.host.fn = fn;
    p.host.userData = (void *)100;
    T(cudaGraphExecNodeSetParams(x, host, &p));
    T(cudaGraphExecNodeSetParams(x, set, &p));
    a = 5;
    T(cuGraphExecNodeSetParams(x, k, &kp));
    T(cuGraphNodeSetParams(k, &kp));
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_INT("out[7]", out[7]);
    T_INT("calls", calls);

    memset(&v, 0, sizeof(v));
    v.priority = -1;
    T(cuGraphKernelNodeSetAttribute(k, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
    memset(&w, 0, sizeof(w));
    T(cuGraphKernelNodeGetAttribute(k, CU_LAUNCH_ATTRIBUTE_PRIORITY, &w));
    T_INT("priority", w.priority);
    T(cuGraphKernelNodeGetAttribute(k2, CU_LAUNCH_ATTRIBUTE_PRIORITY, &w));
    T_INT("priority", w.priority);
    T(cuGraphKernelNodeCopyAttributes(k2, k));
    T(cuGraphKernelNodeGetAttribute(k2, CU_LAUNCH_ATTRIBUTE_PRIORITY, &w));
    T_INT("priority", w.priority);
    v.cooperative = 1;
    T(cuGraphKernelNodeSetAttribute(k, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &v));
    T(cuGraphKernelNodeGetAttribute(k, CU_LAUNCH_ATTRIBUTE_COOPERATIVE, &w));
    T_INT("cooperative", w.cooperative);
    T(cuGraphKernelNodeSetAttribute(host, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
    T(cuGraphKernelNodeGetAttribute(k, (CUlaunchAttributeID)99, &w));

    kp.kernel.blockDimX = 0;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    kp.kernel.blockDimX = 4096;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    kp.kernel.blockDimX = 8;
    kp.kernel.sharedMemBytes = 1 << 30;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    kp.kernel.sharedMemBytes = 0;
    kp.kernel.kernelParams = NULL;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    kp.kernel.func = NULL;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, NULL));
    kp.type = (CUgraphNodeType)77;
    T(cuGraphAddNode(&bad, g, NULL, NULL, 0, &kp));
    p.type = cudaGraphNodeTypeEventRecord;
    p.eventRecord.event = NULL;
    T(cudaGraphAddNode(&bad, g, NULL, NULL, 0, &p));
    T(cudaGraphInstantiateWithParams(&x, g, NULL));
    return 0;
}
