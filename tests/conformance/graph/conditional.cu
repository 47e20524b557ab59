/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphConditionalHandleCreate cuGraphConditionalHandleCreate cudaGraphAddNode */
/* Nodes whose bodies run if, while, or as often as a condition says that kernels set. */
#include <cuda.h>
#include <cuda_runtime.h>

#include "transcript.h"

__global__ void set(cudaGraphConditionalHandle h, int *v)
{
    cudaGraphSetConditional(h, (unsigned)*v);
}

__global__ void count_down(int *v, cudaGraphConditionalHandle h)
{
    cudaGraphSetConditional(h, --*v > 0);
}

__global__ void add(int *p, int v)
{
    *p += v;
}

static int *d; /* what kernels set the condition to, what bodies count, a second counter */
static cudaStream_t s;

static cudaGraphNode_t kernel(cudaGraph_t g, const cudaGraphNode_t *after, void *f, void **args)
{
    cudaKernelNodeParams p = {};
    cudaGraphNode_t n;

    p.func = f;
    p.gridDim = p.blockDim = dim3(1);
    p.kernelParams = args;
    T_OK(cudaGraphAddKernelNode(&n, g, after, after ? 1 : 0, &p));
    return n;
}

static void count(cudaGraph_t g, int *at, int v)
{
    void *args[] = {&at, &v};

    kernel(g, NULL, (void *)add, args);
}

static cudaGraph_t *choose(cudaGraph_t g, const cudaGraphNode_t *after,
                           cudaGraphConditionalHandle h, cudaGraphConditionalNodeType type,
                           unsigned n, cudaGraphNode_t *node)
{
    cudaGraphNodeParams p = {};

    p.type = cudaGraphNodeTypeConditional;
    p.conditional.handle = h;
    p.conditional.type = type;
    p.conditional.size = n;
    T(cudaGraphAddNode(node, g, after, NULL, after ? 1 : 0, &p));
    return p.conditional.phGraph_out;
}

static void run(cudaGraphExec_t x, int v)
{
    int out[4];

    T(cudaMemcpy(d, &v, sizeof(v), cudaMemcpyHostToDevice));
    T(cudaMemset(d + 1, 0, 12));
    T(cudaDeviceSynchronize());
    T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    T_INT("set", out[0]);
    T_INT("first", out[1]);
    T_INT("second", out[2]);
}

/* One conditional node with a counter in each body, after a kernel that sets the condition. */
static void simple(const char *name, cudaGraphConditionalNodeType type, unsigned n)
{
    cudaGraphConditionalHandle h;
    cudaGraphNode_t first, node;
    cudaGraphNodeType kind;
    cudaGraphExec_t x;
    cudaGraph_t g, *body;
    void *args[] = {&h, &d}, *down[] = {&d, &h};

    puts(name);
    T(cudaGraphCreate(&g, 0));
    T(cudaGraphConditionalHandleCreate(&h, g, 0, cudaGraphCondAssignDefault));
    first = kernel(g, NULL, (void *)set, args);
    body = choose(g, &first, h, type, n, &node);
    T(cudaGraphNodeGetType(node, &kind));
    T_INT("type", kind);
    for (unsigned i = 0; i < n; i++)
        count(body[i], d + 1, 1 + 10 * (int)i);
    if (type == cudaGraphCondTypeWhile)
        kernel(body[0], NULL, (void *)count_down, down);
    T(cudaGraphInstantiate(&x, g, 0));
    for (int v = 0; v < 4; v++)
        run(x, v);
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
}

/* A loop that was captured, with a choice inside it; the first value is the handle's own. */
static void nested(void)
{
    cudaGraphConditionalHandle loop, inner;
    cudaGraphNode_t node;
    cudaGraphExec_t x;
    cudaGraph_t g, *body;
    cudaStream_t c;

    puts("nested");
    T(cudaGraphCreate(&g, 0));
    T(cudaGraphConditionalHandleCreate(&loop, g, 1, cudaGraphCondAssignDefault));
    body = choose(g, NULL, loop, cudaGraphCondTypeWhile, 1, &node);
    T(cudaGraphConditionalHandleCreate(&inner, body[0], 1, cudaGraphCondAssignDefault));
    T(cudaStreamCreateWithFlags(&c, cudaStreamNonBlocking));
    T(cudaStreamBeginCaptureToGraph(c, body[0], NULL, NULL, 0, cudaStreamCaptureModeRelaxed));
    add<<<1, 1, 0, c>>>(d + 1, 1);
    count_down<<<1, 1, 0, c>>>(d, loop);
    T(cudaStreamEndCapture(c, NULL));
    body = choose(body[0], NULL, inner, cudaGraphCondTypeIf, 1, &node);
    count(body[0], d + 2, 1);
    T(cudaGraphInstantiate(&x, g, 0));
    run(x, 5);
    run(x, 2);
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    T(cudaStreamDestroy(c));
}

static void wrong(void)
{
    cudaGraphConditionalHandle h, other;
    CUgraphConditionalHandle dh;
    cudaGraphNode_t node;
    cudaGraph_t g, g2;
    CUcontext ctx;

    puts("wrong");
    T_OK(cuCtxGetCurrent(&ctx));
    T(cudaGraphCreate(&g, 0));
    T(cudaGraphCreate(&g2, 0));
    T(cudaGraphConditionalHandleCreate(NULL, g, 0, 0));
    T(cudaGraphConditionalHandleCreate(&h, g, 0, 2));
    T(cudaGraphConditionalHandleCreate(&h, NULL, 0, 0));
    T(cudaGraphConditionalHandleCreate(&h, g, 0, 0));
    T(cuGraphConditionalHandleCreate(&dh, g2, ctx, 7, 0));
    T(cuGraphConditionalHandleCreate(&dh, NULL, ctx, 7, 0));
    T(cudaGraphConditionalHandleCreate(&other, g2, 0, 0));
    choose(g, NULL, h, cudaGraphCondTypeWhile, 2, &node);
    choose(g, NULL, h, cudaGraphCondTypeIf, 3, &node);
    choose(g, NULL, h, cudaGraphCondTypeIf, 0, &node);
    choose(g, NULL, h, (cudaGraphConditionalNodeType)9, 1, &node);
    choose(g, NULL, 0, cudaGraphCondTypeIf, 1, &node);
    choose(g, NULL, other, cudaGraphCondTypeIf, 1, &node);
    choose(g, NULL, h, cudaGraphCondTypeIf, 1, &node);
    choose(g, NULL, h, cudaGraphCondTypeIf, 1, &node);
    T(cudaGraphDestroy(g));
    T(cudaGraphDestroy(g2));
}

int main(void)
{
    T_OK(cudaMalloc(&d, 16));
    T_OK(cudaMemset(d, 0, 16));
    T_OK(cudaDeviceSynchronize());
    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    simple("if", cudaGraphCondTypeIf, 1);
    simple("if or else", cudaGraphCondTypeIf, 2);
    simple("while", cudaGraphCondTypeWhile, 1);
    simple("switch", cudaGraphCondTypeSwitch, 3);
    nested();
    wrong();
    return 0;
}
