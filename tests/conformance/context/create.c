/* SPDX-License-Identifier: MIT */
/* covers: cuCtxCreate_v2 cuCtxCreate_v4 cuCtxGetFlags cuCtxSetFlags cuCtxGetApiVersion
 * cuCtxGetId cuCtxGetExecAffinity cuCtxGetDevice_v2 cuCtxSynchronize cuCtxSynchronize_v2 cuCtxAttach
 * cuCtxDetach */
/* What a created context says of itself, and what flags it takes. */
#include <cuda.h>

#include "transcript.h"

#undef cuCtxCreate
#undef cuCtxCreate_v2
CUresult cuCtxCreate(CUcontext *, unsigned, CUdevice);
CUresult cuCtxCreate_v2(CUcontext *, unsigned, CUdevice);

static void try_flags(unsigned f)
{
    CUcontext c;
    unsigned got = 0x1000;

    printf("flags %#x\n", f);
    if (T(cuCtxCreate_v4(&c, NULL, f, 0)))
        return;
    T(cuCtxGetFlags(&got));
    T_HEX("got", got);
    T(cuCtxDestroy(c));
}

int main(void)
{
    static const unsigned flags[] = {0, 1, 3, 4, 6, 8, 9, 0xc, 0x10};
    CUexecAffinityParam aff = {.type = CU_EXEC_AFFINITY_TYPE_SM_COUNT};
    CUctxCreateParams params = {0};
    CUcontext a, b, c;
    unsigned long long ia = 0, ib = 0, ic = 0;
    unsigned v = 0, f = 0;
    CUdevice dev = -1;

    T_OK(cuInit(0));
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        try_flags(flags[i]);
    try_flags(CU_CTX_COREDUMP_ENABLE);
    try_flags(CU_CTX_USER_COREDUMP_ENABLE);
    try_flags(CU_CTX_SYNC_MEMOPS);
    try_flags(CU_CTX_SYNC_MEMOPS << 1);
    T(cuCtxGetFlags(&f));
    T(cuCtxGetApiVersion(NULL, &v));
    T(cuCtxGetId(NULL, &ia));
    T(cuCtxCreate_v2(&a, 0, 0));
    T(cuCtxCreate_v2(&b, 0, 0));
    T(cuCtxCreate_v4(&c, &params, 0, 0));
    T(cuCtxGetApiVersion(a, &v));
    T_INT("version", v);
    T(cuCtxGetApiVersion(b, &v));
    T_INT("version", v);
    T(cuCtxGetApiVersion(c, &v));
    T_INT("version", v);
    T(cuCtxGetApiVersion(NULL, &v));
    T_INT("version", v);
    T(cuCtxGetApiVersion(a, NULL));
    T(cuCtxGetId(a, &ia));
    T(cuCtxGetId(b, &ib));
    T(cuCtxGetId(NULL, &ic));
    T_BOOL("ids differ", ia != ib && ib != ic && ia != ic);
    T(cuCtxGetId(a, NULL));
    T(cuCtxGetFlags(NULL));
    T(cuCtxSetFlags(CU_CTX_SCHED_BLOCKING_SYNC));
    T(cuCtxGetFlags(&f));
    T_HEX("flags", f);
    T(cuCtxSetFlags(CU_CTX_SYNC_MEMOPS));
    T(cuCtxGetFlags(&f));
    T_HEX("flags", f);
    T(cuCtxSetFlags(CU_CTX_LMEM_RESIZE_TO_MAX));
    T(cuCtxSetFlags(0x1000));
    T(cuCtxSetFlags(3));
    T(cuCtxSetFlags(0));
    T(cuCtxGetFlags(&f));
    T_HEX("flags", f);
    memset(&aff, 0, sizeof(aff));
    T(cuCtxGetExecAffinity(&aff, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
    T_DEVICE("sms", aff.param.smCount.val);
    T(cuCtxGetExecAffinity(&aff, (CUexecAffinityType)9));
    T(cuCtxGetExecAffinity(NULL, CU_EXEC_AFFINITY_TYPE_SM_COUNT));
    T(cuCtxGetDevice_v2(&dev, a));
    T_INT("device", dev);
    T(cuCtxGetDevice_v2(&dev, NULL));
    T(cuCtxSynchronize_v2(a));
    T(cuCtxSynchronize_v2(NULL));
    T(cuCtxAttach(&c, 0));
    T(cuCtxDetach(c));
    T(cuCtxAttach(&c, 1));
    T(cuCtxDestroy(b));
    T(cuCtxDestroy(a));
    return 0;
}
