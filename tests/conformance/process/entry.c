/* SPDX-License-Identifier: MIT */
/* covers: cuGetProcAddress cuGetProcAddress_v2 cudaGetDriverEntryPoint
 * cudaGetDriverEntryPointByVersion */
/* Looking up the driver's functions: status codes, versions, flags. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

#undef cuGetProcAddress
CUresult cuGetProcAddress(const char *, void **, int, cuuint64_t);
#undef cuMemAlloc
CUresult cuMemAlloc(unsigned *, unsigned);

static void look(const char *name, int version, uint64_t flags)
{
    CUdriverProcAddressQueryResult st = 77;
    void *fn = (void *)1, *fn1 = (void *)1;
    int rc = cuGetProcAddress_v2(name, &fn, version, flags, &st);
    int rc1 = cuGetProcAddress(name, &fn1, version, flags);

    printf("%s %d %d = %d %d %s %d %s\n", name, version, (int)flags, rc, st,
           !fn               ? "null"
           : fn == (void *)1 ? "kept"
                             : "found",
           rc1,
           !fn1               ? "null"
           : fn1 == (void *)1 ? "kept"
           : fn1 == fn        ? "same"
                              : "another");
}

static void look_rt(const char *name, unsigned version, unsigned long long flags)
{
    enum cudaDriverEntryPointQueryResult st = 77;
    void *fn = (void *)1, *fn1 = (void *)1;
    int rc = cudaGetDriverEntryPointByVersion(name, &fn, version, flags, &st);
    int rc1 = cudaGetDriverEntryPoint(name, &fn1, flags, NULL);

    printf("rt %s %u %d = %d %d %s %d %s\n", name, version, (int)flags, rc, st,
           !fn               ? "null"
           : fn == (void *)1 ? "kept"
                             : "found",
           rc1,
           !fn1               ? "null"
           : fn1 == (void *)1 ? "kept"
           : fn1 == fn        ? "same"
                              : "another");
    T(cudaGetLastError());
}

int main(void)
{
    static const char *names[] = {"cuMemAlloc",
                                  "cuMemAlloc_v2",
                                  "cuInit",
                                  "cuNothing",
                                  "",
                                  "cuGetProcAddress",
                                  "cuCtxCreate",
                                  "cuStreamSynchronize",
                                  "cuStreamSynchronize_ptsz",
                                  "malloc",
                                  "cuGraphInstantiate",
                                  "cuStreamGetCaptureInfo",
                                  "cuEventElapsedTime",
                                  "cuMemcpyBatchAsync",
                                  "cuDeviceGetUuid"};
    static const int versions[] = {0,     1000,  2000,  3020,  10010, 11030,
                                   12000, 12080, 13000, 13010, 99999};
    void *fn, *fn2;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        for (size_t k = 0; k < sizeof(versions) / sizeof(versions[0]); k++)
            look(names[i], versions[k], 0);
    for (int f = 0; f <= 5; f++) {
        look("cuStreamSynchronize", 12000, f);
        look("cuInit", 12000, f);
    }
    T(cuGetProcAddress_v2("cuNothing", &fn, 12000, 0, NULL));
    T(cuGetProcAddress_v2("cuInit", &fn, -1, 0, NULL));
    T(cuGetProcAddress_v2("cuMemAlloc", &fn, 3020, 0, NULL));
    T_BOOL("v2", fn == (void *)cuMemAlloc_v2);
    T(cuGetProcAddress_v2("cuMemAlloc", &fn2, 2000, 0, NULL));
    T_BOOL("v1", fn2 == (void *)cuMemAlloc);
    look_rt("cuMemAlloc", 12000, 0);
    look_rt("cuMemAlloc", 1000, 0);
    look_rt("cuNothing", 12000, 0);
    look_rt("cuStreamSynchronize", 12000, cudaEnablePerThreadDefaultStream);
    look_rt("cuStreamSynchronize", 12000, cudaEnableLegacyStream);
    look_rt("cuStreamSynchronize", 12000, 8);
    look_rt("cuStreamSynchronize", 99999, 0);
    return 0;
}
