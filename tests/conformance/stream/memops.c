/* SPDX-License-Identifier: MIT */
/* covers: cuStreamWaitValue32_v2 cuStreamWaitValue64_v2 cuStreamWriteValue32_v2
 * cuStreamWriteValue64_v2 cuStreamBatchMemOp_v2 cuGraphAddBatchMemOpNode
 * cuGraphBatchMemOpNodeGetParams cuGraphBatchMemOpNodeSetParams
 * cuGraphExecBatchMemOpNodeSetParams */
/* Streams that wait for words in memory and write them: in device memory and in mapped host memory,
 * one by one, several at once, captured, and as nodes of graphs. */
#include "kernels.h"

static CUdeviceptr d; /* 8 words of 64 bits */
static uint32_t *h;   /* the same in host memory */
static CUdeviceptr hd;
static CUstream a, b;

static void show(void)
{
    uint64_t v[8];

    T(cuMemcpyDtoH(v, d, sizeof(v)));
    for (unsigned i = 0; i < 8; i++)
        T_HEX("word", v[i]);
}

static void ask(CUstream s)
{
    T(cuStreamQuery(s));
}

static void single(void)
{
    puts("one by one");
    T(cuStreamWriteValue32(a, d, 0x11223344, 0));
    T(cuStreamWriteValue64(a, d + 8, 0x1122334455667788ull, 0));
    T(cuStreamWriteValue32(a, d + 16, 7, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER));
    T(cuStreamSynchronize(a));
    show();
    T(cuStreamWaitValue32(a, d + 16, 8, CU_STREAM_WAIT_VALUE_GEQ));
    T(cuStreamWriteValue32(a, d + 24, 1, 0));
    ask(a);
    T(cuStreamWriteValue32(b, d + 16, 9, 0));
    T(cuStreamSynchronize(a));
    T(cuStreamWaitValue64(a, d + 32, 0x100000001ull, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamWriteValue32(b, d + 32, 1, 0));
    T(cuStreamSynchronize(b));
    ask(a);
    T(cuStreamWriteValue64(b, d + 32, 0x100000001ull, 0));
    T(cuStreamSynchronize(a));
    T(cuStreamWaitValue32(a, d + 40, 6, CU_STREAM_WAIT_VALUE_AND));
    ask(a);
    T(cuStreamWriteValue32(b, d + 40, 4, 0));
    T(cuStreamSynchronize(a));
    T(cuStreamWriteValue32(a, d + 40, 0xffffffff, 0));
    T(cuStreamSynchronize(a));
    T(cuStreamWaitValue32(a, d + 40, 0xffff0000, CU_STREAM_WAIT_VALUE_NOR));
    T(cuStreamSynchronize(b));
    ask(a);
    T(cuStreamWriteValue32(b, d + 40, 0x0000ff0f, 0));
    T(cuStreamSynchronize(a));
    /* GEQ is cyclic: what is less than half a turn behind is reached. */
    T(cuStreamWriteValue32(a, d + 48, 5, 0));
    T(cuStreamWaitValue32(a, d + 48, 0xfffffff0u, CU_STREAM_WAIT_VALUE_GEQ));
    T(cuStreamWriteValue64(a, d + 56, 5, 0));
    T(cuStreamWaitValue64(a, d + 56, ~(uint64_t)15, CU_STREAM_WAIT_VALUE_GEQ));
    T(cuStreamSynchronize(a));
    show();
}

static void host(void)
{
    puts("host memory");
    T(cuStreamWaitValue32(a, hd, 1, CU_STREAM_WAIT_VALUE_GEQ));
    T(cuStreamWriteValue32(a, hd + 4, 77, 0));
    ask(a);
    __atomic_store_n(h, 1, __ATOMIC_RELEASE);
    T(cuStreamSynchronize(a));
    T_INT("h[1]", h[1]);
    T(cuStreamWriteValue64(a, hd + 8, 0x500000006ull, 0));
    T(cuStreamSynchronize(a));
    T_INT("h[2]", h[2]);
    T_INT("h[3]", h[3]);
}

static void wrong(void)
{
    CUstreamBatchMemOpParams op[2];

    puts("wrong");
    T(cuStreamWriteValue32(a, d + 2, 1, 0));
    T(cuStreamWriteValue64(a, d + 4, 1, 0));
    T(cuStreamWaitValue32(a, d + 1, 0, 0));
    T(cuStreamWaitValue64(a, d + 4, 0, 0));
    T(cuStreamWriteValue32(a, 0, 1, 0));
    T(cuStreamWaitValue32(a, 0, 1, 0));
    T(cuStreamWriteValue32(a, d, 1, 2));
    T(cuStreamWaitValue32(a, d, 1, 4));
    T(cuStreamWaitValue32(a, d, 1, 1 << 20));
    memset(op, 0, sizeof(op));
    op[0].operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    op[0].writeValue.address = d;
    T(cuStreamBatchMemOp(a, 0, op, 0));
    T(cuStreamBatchMemOp(a, 257, op, 0));
    T(cuStreamBatchMemOp(a, 1, op, 1));
    op[0].operation = (CUstreamBatchMemOpType)99;
    T(cuStreamBatchMemOp(a, 1, op, 0));
    T(cuStreamSynchronize(a));
}

static void set(CUstreamBatchMemOpParams *op, CUstreamBatchMemOpType type, CUdeviceptr at,
                uint64_t value, unsigned flags)
{
    memset(op, 0, sizeof(*op));
    op->operation = type;
    op->writeValue.address = at;
    op->writeValue.value64 = value;
    op->writeValue.flags = flags;
}

static void batch(void)
{
    CUstreamBatchMemOpParams op[5];

    puts("several at once");
    T(cuMemsetD8(d, 0, 64));
    T(cuCtxSynchronize());
    set(&op[0], CU_STREAM_MEM_OP_WRITE_VALUE_32, d, 1, 0);
    set(&op[1], CU_STREAM_MEM_OP_WAIT_VALUE_32, d + 8, 3, CU_STREAM_WAIT_VALUE_EQ);
    set(&op[2], CU_STREAM_MEM_OP_WAIT_VALUE_64, d, 1, CU_STREAM_WAIT_VALUE_GEQ);
    set(&op[3], CU_STREAM_MEM_OP_WRITE_VALUE_64, d + 16, ~0ull, 0);
    set(&op[4], CU_STREAM_MEM_OP_BARRIER, 0, 0, 0);
    op[4].memoryBarrier.flags = CU_STREAM_MEMORY_BARRIER_TYPE_GPU;
    T(cuStreamBatchMemOp(a, 4, op, 0));
    ask(a);
    T(cuStreamWriteValue32(b, d + 8, 3, 0));
    T(cuStreamSynchronize(a));
    show();
    T(cuStreamBatchMemOp(a, 5, op, 0));
    T(cuStreamSynchronize(a));
}

static void captured(void)
{
    CUgraph g = NULL;
    CUgraphNode n;
    CUgraphNodeType type = (CUgraphNodeType)99;
    CUgraphExec x;
    size_t count = 1;

    puts("captured");
    T(cuMemsetD8(d, 0, 64));
    T(cuCtxSynchronize());
    T(cuStreamBeginCapture(a, CU_STREAM_CAPTURE_MODE_GLOBAL));
    T(cuStreamWriteValue32(a, d + 8, 5, 0));
    T(cuStreamEndCapture(a, &g));
    T(cuGraphGetNodes(g, &n, &count));
    T_INT("nodes", count);
    T(cuGraphNodeGetType(n, &type));
    T_INT("type", type);
    T(cuGraphInstantiate(&x, g, 0));
    T(cuGraphLaunch(x, a));
    T(cuStreamSynchronize(a));
    show();
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
}

static void nodes(void)
{
    CUstreamBatchMemOpParams op[3];
    CUDA_BATCH_MEM_OP_NODE_PARAMS p = {0}, q = {0};
    CUgraphNode one, two;
    CUgraphExec x;
    CUgraph g;

    puts("nodes");
    T(cuMemsetD8(d, 0, 64));
    T(cuCtxSynchronize());
    T_OK(cuCtxGetCurrent(&p.ctx));
    p.count = 2;
    p.paramArray = op;
    set(&op[0], CU_STREAM_MEM_OP_WAIT_VALUE_32, d, 2, CU_STREAM_WAIT_VALUE_GEQ);
    set(&op[1], CU_STREAM_MEM_OP_WRITE_VALUE_32, d + 8, 22, 0);
    T(cuGraphCreate(&g, 0));
    T(cuGraphAddBatchMemOpNode(&one, g, NULL, 0, &p));
    T(cuGraphBatchMemOpNodeGetParams(one, &q));
    T_INT("count", q.count);
    T_INT("flags", q.flags);
    T_BOOL("own array", q.paramArray != op);
    T_INT("operation", q.paramArray[1].operation);
    T_INT("value", q.paramArray[1].writeValue.value);
    p.count = 1;
    p.paramArray = op + 1;
    op[1].writeValue.address = d + 16;
    T(cuGraphAddBatchMemOpNode(&two, g, &one, 1, &p));
    op[1].writeValue.value = 33;
    T(cuGraphBatchMemOpNodeSetParams(two, &p));
    T(cuGraphInstantiate(&x, g, 0));
    T(cuGraphLaunch(x, a));
    ask(a);
    T(cuStreamWriteValue32(b, d, 2, 0));
    T(cuStreamSynchronize(a));
    show();
    op[1].writeValue.value = 44;
    T(cuGraphExecBatchMemOpNodeSetParams(x, two, &p));
    T(cuGraphLaunch(x, a));
    T(cuStreamSynchronize(a));
    show();
    p.count = 0;
    T(cuGraphAddBatchMemOpNode(&two, g, NULL, 0, &p));
    p.count = 300;
    T(cuGraphAddBatchMemOpNode(&two, g, NULL, 0, &p));
    p.count = 1;
    p.flags = 1;
    T(cuGraphAddBatchMemOpNode(&two, g, NULL, 0, &p));
    p.flags = 0;
    T(cuGraphAddBatchMemOpNode(&two, g, NULL, 0, NULL));
    T(cuGraphExecDestroy(x));
    T(cuGraphDestroy(g));
}

int main(void)
{
    int v = -1;

    T_OK(cudaMalloc((void **)&d, 64));
    T_OK(cudaMemset((void *)d, 0, 64));
    T_OK(cudaDeviceSynchronize());
    T_OK(cudaHostAlloc((void **)&h, 64, cudaHostAllocMapped));
    memset(h, 0, 64);
    T_OK(cuMemHostGetDevicePointer(&hd, h, 0));
    T_OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
    T_OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
    T(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_CAN_USE_64_BIT_STREAM_MEM_OPS, 0));
    T_INT("64 bits", v);
    T(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_CAN_USE_STREAM_WAIT_VALUE_NOR, 0));
    T_INT("nor", v);
    single();
    host();
    wrong();
    batch();
    captured();
    nodes();
    return 0;
}
