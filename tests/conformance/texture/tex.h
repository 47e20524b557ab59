/* SPDX-License-Identifier: MIT */
/* tex.h - what the programs about textures share. */
#ifndef GVM_TEST_TEX_H
#define GVM_TEST_TEX_H

#include <cuda_runtime.h>

#include "transcript.h"

static inline cudaResourceDesc tex_array(cudaArray_t a)
{
    cudaResourceDesc r;

    memset(&r, 0, sizeof(r));
    r.resType = cudaResourceTypeArray;
    r.res.array.array = a;
    return r;
}

static inline cudaTextureDesc tex_desc(cudaTextureAddressMode mode, cudaTextureFilterMode filter,
                                       cudaTextureReadMode read, int normalized)
{
    cudaTextureDesc t;

    memset(&t, 0, sizeof(t));
    t.addressMode[0] = t.addressMode[1] = t.addressMode[2] = mode;
    t.filterMode = filter;
    t.readMode = read;
    t.normalizedCoords = normalized;
    return t;
}

/* Filtered values, as the hardware's 8-bit fractions determine them: in units of 1/512 of `full`, which
 * leaves the last bits of its arithmetic out. */
static inline void tex_quantised(const char *name, const float *v, size_t n, float full)
{
    for (size_t i = 0; i < n; i++)
        printf("%s[%zu] = %lld\n", name, i, (long long)floorf(v[i] / full * 512 + 0.5f));
}

#endif
