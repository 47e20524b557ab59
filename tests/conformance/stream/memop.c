/* SPDX-License-Identifier: MIT */
/* covers: cuStreamWaitValue32_v2 cuStreamWaitValue64_v2 cuStreamWriteValue32_v2
 * cuStreamWriteValue64_v2 cuStreamBatchMemOp_v2 */
/* Words in memory that streams write and wait for. */
#include <cuda.h>

#include "transcript.h"

int main(void)
{
    CUstreamBatchMemOpParams ops[3];
    uint64_t out[8] = {0};
    CUstream s, t;
    CUdeviceptr p;
    CUcontext ctx;

    T_OK(cuInit(0));
    T_OK(cuCtxCreate(&ctx, NULL, 0, 0));
    T_OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
    T_OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
    T_OK(cuMemAlloc(&p, 4096));
    T_OK(cuMemsetD8(p, 0, 4096));
    T(cuStreamWriteValue32(s, p, 0x11223344, 0));
    T(cuStreamWriteValue64(s, p + 8, 0x1122334455667788ull, 0));
    T(cuStreamWriteValue32(s, p + 4, 9, CU_STREAM_WRITE_VALUE_NO_MEMORY_BARRIER));
    T(cuStreamSynchronize(s));
    T(cuMemcpyDtoH(out, p, sizeof(out)));
    T_DIGEST("words", out, sizeof(out));
    T(cuStreamWaitValue32(s, p, 0x11223344, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamWaitValue32(s, p, 0x11223343, CU_STREAM_WAIT_VALUE_GEQ));
    T(cuStreamWaitValue32(s, p, 0x00000004, CU_STREAM_WAIT_VALUE_AND));
    T(cuStreamWaitValue64(s, p + 8, 0x1122334455667788ull, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamSynchronize(s));
    T(cuStreamWaitValue32(s, p + 16, 5, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamWriteValue32(s, p + 24, 6, 0));
    T(cuStreamQuery(s));
    T(cuStreamWriteValue32(t, p + 16, 5, 0));
    T(cuStreamSynchronize(s));
    memset(ops, 0, sizeof(ops));
    ops[0].operation = CU_STREAM_MEM_OP_WRITE_VALUE_32;
    ops[0].writeValue.address = p + 32;
    ops[0].writeValue.value = 77;
    ops[1].operation = CU_STREAM_MEM_OP_WAIT_VALUE_32;
    ops[1].waitValue.address = p + 32;
    ops[1].waitValue.value = 77;
    ops[2].operation = CU_STREAM_MEM_OP_WRITE_VALUE_64;
    ops[2].writeValue.address = p + 40;
    ops[2].writeValue.value64 = ~0ull;
    T(cuStreamBatchMemOp(s, 3, ops, 0));
    T(cuStreamSynchronize(s));
    T(cuMemcpyDtoH(out, p, sizeof(out)));
    T_DIGEST("words", out, sizeof(out));
    T(cuStreamBatchMemOp(s, 0, ops, 0));
    T(cuStreamBatchMemOp(s, 3, ops, 1));
    T(cuStreamBatchMemOp(s, 257, ops, 0));
    ops[1].operation = 77;
    T(cuStreamBatchMemOp(s, 3, ops, 0));
    T(cuStreamWriteValue32(s, p + 2, 1, 0));
    T(cuStreamWriteValue64(s, p + 4, 1, 0));
    T(cuStreamWriteValue32(s, 0, 1, 0));
    T(cuStreamWriteValue32(s, p, 1, 0x100));
    T(cuStreamWaitValue32(s, p + 1, 1, 0));
    T(cuStreamWaitValue32(s, p, 1, 0x100));
    T(cuStreamWaitValue64(s, p + 4, 1, 0));
    T(cuStreamWaitValue32(NULL, p + 24, 6, CU_STREAM_WAIT_VALUE_EQ));
    T(cuStreamWriteValue32(CU_STREAM_PER_THREAD, p, 1, 0));
    T(cuCtxSynchronize());
    T(cuCtxDestroy(ctx));
    return 0;
}
