/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphAddMemcpyNode1D cudaGraphAddHostNode cudaGraphLaunch */
/* Ordinary host memory in copy nodes is read and written when the node runs, not before: host nodes
 * between the copies change and see it. */
#include <cuda_runtime_api.h>

#include "transcript.h"

#define N 3000

static int in[N], out[N], mid, pinned_mid;
static int *pinned;

static void produce(void *arg)
{
    for (int i = 0; i < N; i++)
        in[i] += 10 + i;
}

static void consume(void *arg)
{
    mid = out[N - 1];
    pinned_mid = pinned[N - 1];
}

int main(void)
{
    cudaGraph_t g;
    cudaGraphNode_t a, b, c, d, e, f;
    cudaGraphExec_t x;
    cudaStream_t s;
    int *dev;
    struct cudaHostNodeParams hp = {produce, NULL}, hq = {consume, NULL}, got;

    T_OK(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    T_OK(cudaMalloc((void **)&dev, sizeof(in)));
    T_OK(cudaMallocHost((void **)&pinned, sizeof(in)));
    memset(pinned, 0, sizeof(in));
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphAddHostNode(&a, g, NULL, 0, &hp));
    T_OK(cudaGraphAddMemcpyNode1D(&b, g, &a, 1, dev, in, sizeof(in), cudaMemcpyHostToDevice));
    T_OK(cudaGraphAddMemcpyNode1D(&c, g, &b, 1, out, dev, sizeof(in), cudaMemcpyDeviceToHost));
    T_OK(cudaGraphAddMemcpyNode1D(&d, g, &c, 1, pinned, dev, sizeof(in), cudaMemcpyDeviceToHost));
    T_OK(cudaGraphAddHostNode(&e, g, &d, 1, &hq));
    T(cudaGraphHostNodeGetParams(e, &got));
    T_BOOL("function", got.fn == consume);
    T_OK(cudaGraphInstantiate(&x, g, 0));
    for (int i = 0; i < 3; i++) {
        in[0] = 1000 * i;
        T(cudaGraphLaunch(x, s));
        T(cudaStreamSynchronize(s));
        T_INT("out[0]", out[0]);
        T_INT("mid", mid);
        T_INT("pinned", pinned_mid);
        T_DIGEST("out", out, sizeof(out));
    }
    /* Several launches without waiting: each sees what the one before left. */
    for (int i = 0; i < 5; i++)
        T(cudaGraphLaunch(x, s));
    T(cudaStreamSynchronize(s));
    T_INT("out[1]", out[1]);
    T(cudaGraphAddMemcpyNode1D(&f, g, NULL, 0, NULL, dev, 16, cudaMemcpyDeviceToHost));
    T(cudaGraphAddMemcpyNode1D(&f, g, NULL, 0, out, dev, 0, cudaMemcpyDeviceToHost));
    T(cudaGraphAddMemcpyNode1D(&f, g, NULL, 0, out, dev, 16, (enum cudaMemcpyKind)9));
    T(cudaGraphAddMemcpyNode1D(&f, g, NULL, 0, out, dev, 16, cudaMemcpyHostToDevice));
    T(cudaGraphAddMemcpyNode1D(&f, g, NULL, 0, out, dev, sizeof(in) * 1000,
                               cudaMemcpyDeviceToHost));
    T(cudaGraphAddHostNode(&f, g, NULL, 0, NULL));
    hp.fn = NULL;
    T(cudaGraphAddHostNode(&f, g, NULL, 0, &hp));
    T(cudaGraphExecDestroy(x));
    T(cudaGraphDestroy(g));
    return 0;
}
