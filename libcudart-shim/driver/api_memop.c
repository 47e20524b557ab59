/* SPDX-License-Identifier: MIT */
/*
 * api_memop.c - streams that wait for words in memory and write them.
 */
#include "api.h"
#include "capture.h"
#include "graph.h"
#include "stubs.h"

/* ---- checking ---------------------------------------------------------------------------- */

static bool is_wide(CUstreamBatchMemOpType op)
{
    return op == CU_STREAM_MEM_OP_WAIT_VALUE_64 || op == CU_STREAM_MEM_OP_WRITE_VALUE_64;
}

/* A word that the device reaches: its own memory, or pool memory if that is mapped there. */
static int word_check(CUdeviceptr addr, size_t size)
{
    struct gvm_range g;

    if (!addr || addr % size)
        return 1;
    gvm_find(addr, &g);
    if (g.kind == GVM_HOST || addr - g.base > g.size || size > g.size - (addr - g.base))
        return 1;
    return (g.kind == GVM_PINNED || g.kind == GVM_MANAGED) && !gvm.pool_direct ? 801 : 0;
}

static int op_check(const CUstreamBatchMemOpParams *p)
{
    switch (p->operation) {
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        /* The device says that it cannot flush remote writes (features.c). */
        if (p->waitValue.flags & CU_STREAM_WAIT_VALUE_FLUSH)
            return 801;
        if (p->waitValue.flags > CU_STREAM_WAIT_VALUE_NOR)
            return 1;
        break;
    case CU_STREAM_MEM_OP_WRITE_VALUE_32:
    case CU_STREAM_MEM_OP_WRITE_VALUE_64:
        /* CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER belongs to the form of old only. */
        if (p->writeValue.flags)
            return 1;
        break;
    case CU_STREAM_MEM_OP_BARRIER:
        return p->memoryBarrier.flags > CU_STREAM_MEMORY_BARRIER_TYPE_GPU ? 1 : 0;
    case CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES:
        return 801;
    default:
        return 1;
    }
    return word_check(p->waitValue.address, is_wide(p->operation) ? 8 : 4);
}

int gvm_mem_ops_check(unsigned count, const CUstreamBatchMemOpParams *p, unsigned flags)
{
    int rc = count > VGPU_MEM_OPS || (count && !p) || flags ? 1 : 0;

    for (unsigned i = 0; i < count && rc == 0; i++)
        rc = op_check(&p[i]);
    return rc;
}

struct vgpu_mem_op gvm_mem_op_wire(const CUstreamBatchMemOpParams *p)
{
    struct vgpu_mem_op w = {.op = (uint32_t)p->operation};

    switch (p->operation) {
    case CU_STREAM_MEM_OP_BARRIER:
        w.flags = p->memoryBarrier.flags;
        return w;
    case CU_STREAM_MEM_OP_WAIT_VALUE_32:
    case CU_STREAM_MEM_OP_WAIT_VALUE_64:
        w.flags = p->waitValue.flags;
        break;
    default:
        break;
    }
    w.addr = p->waitValue.address;
    w.value = is_wide(p->operation) ? p->waitValue.value64 : p->waitValue.value;
    return w;
}

/* ---- streams ----------------------------------------------------------------------------- */

static int issue(uint64_t stream, unsigned count, const CUstreamBatchMemOpParams *p)
{
    struct vgpu_mem_op ops[VGPU_MEM_OPS];
    struct gvm_chan *c;
    struct gvm_sref s;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_mem_ops(stream, count, p));
    for (unsigned i = 0; i < count; i++)
        ops[i] = gvm_mem_op_wire(&p[i]);
    gvm_work_issue(c, &s);
    return vgpu_StreamMemOps(c, 0, s.id, ops, count * (uint32_t)sizeof(*ops));
}

static CUresult batch(CUstream s, unsigned count, const CUstreamBatchMemOpParams *p, unsigned flags)
{
    int rc = api_need();

    if (rc == 0)
        rc = gvm_mem_ops_check(count, p, flags);
    if (rc == 0 && !count)
        return CUDA_SUCCESS;
    return (CUresult)(rc ? rc : issue(api_stream(s), count, p));
}

static CUresult one(CUstream s, CUstreamBatchMemOpType op, CUdeviceptr addr, uint64_t value,
                    unsigned flags)
{
    /* Of waits and writes all members lie at the same places. */
    CUstreamBatchMemOpParams p = {
        .waitValue = {.operation = op, .address = addr, .value64 = value, .flags = flags}};

    return batch(s, 1, &p, 0);
}

/* Under its name of now, and for streams whose default is the thread's own. */
#define PAIR(name, args, call)                                                                     \
    GVM_API CUresult name##_v2 args;                                                               \
    CUresult name##_v2 args                                                                        \
    {                                                                                              \
        return call;                                                                               \
    }                                                                                              \
    GVM_API CUresult name##_v2_ptsz args;                                                          \
    CUresult name##_v2_ptsz args                                                                   \
    {                                                                                              \
        s = api_own(s);                                                                            \
        return call;                                                                               \
    }

#undef cuStreamWaitValue32
#undef cuStreamWaitValue64
#undef cuStreamWriteValue32
#undef cuStreamWriteValue64
#undef cuStreamBatchMemOp

PAIR(cuStreamWaitValue32, (CUstream s, CUdeviceptr addr, cuuint32_t value, unsigned flags),
     one(s, CU_STREAM_MEM_OP_WAIT_VALUE_32, addr, value, flags))
PAIR(cuStreamWaitValue64, (CUstream s, CUdeviceptr addr, cuuint64_t value, unsigned flags),
     one(s, CU_STREAM_MEM_OP_WAIT_VALUE_64, addr, value, flags))
PAIR(cuStreamWriteValue32, (CUstream s, CUdeviceptr addr, cuuint32_t value, unsigned flags),
     one(s, CU_STREAM_MEM_OP_WRITE_VALUE_32, addr, value, flags))
PAIR(cuStreamWriteValue64, (CUstream s, CUdeviceptr addr, cuuint64_t value, unsigned flags),
     one(s, CU_STREAM_MEM_OP_WRITE_VALUE_64, addr, value, flags))
PAIR(cuStreamBatchMemOp, (CUstream s, unsigned count, CUstreamBatchMemOpParams *p, unsigned flags),
     batch(s, count, p, flags))
