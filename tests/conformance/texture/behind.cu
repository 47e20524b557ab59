/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaDestroyTextureObject */
/* An object that is destroyed right behind the launch that reads through it. */
#include <cuda_runtime.h>

#include "transcript.h"

#define N 256

__global__ void late(cudaTextureObject_t t, float *out)
{
    unsigned x = threadIdx.x;

    for (unsigned i = 0; i < 20000; i++)
        x = x * 1664525u + 1013904223u;
    out[threadIdx.x] = tex1Dfetch<float>(t, threadIdx.x) + (x == 0xffffffffu);
}

int main(void)
{
    struct cudaResourceDesc r = {};
    struct cudaTextureDesc desc = {};
    cudaTextureObject_t t[8];
    float in[N], out[N], *d, *o;

    for (int i = 0; i < N; i++)
        in[i] = (float)i;
    T_OK(cudaMalloc(&d, sizeof(in)));
    T_OK(cudaMalloc(&o, sizeof(out)));
    T_OK(cudaMemcpy(d, in, sizeof(in), cudaMemcpyHostToDevice));
    r.resType = cudaResourceTypeLinear;
    r.res.linear.devPtr = d;
    r.res.linear.desc = cudaCreateChannelDesc<float>();
    r.res.linear.sizeInBytes = sizeof(in);
    desc.readMode = cudaReadModeElementType;
    for (int i = 0; i < 8; i++) {
        T(cudaCreateTextureObject(&t[i], &r, &desc, NULL));
        late<<<1, N>>>(t[i], o);
        T(cudaGetLastError());
        T(cudaDestroyTextureObject(t[i]));
    }
    T(cudaDeviceSynchronize());
    T(cudaMemcpy(out, o, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("out", out, sizeof(out));
    return 0;
}
