/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject cudaMallocArray */
/* Every format with one, two and four channels, read as elements and as normalized numbers. */
#include <cuda_fp16.h>

#include "tex.h"

#define W 61

__global__ void whole(cudaTextureObject_t t, int4 *out)
{
    asm volatile("{.reg .s32 a, b, c, d;\n tex.1d.v4.s32.f32 {a, b, c, d}, [%1, {%2}];\n"
                 "st.global.v4.s32 [%0], {a, b, c, d};}" ::"l"(&out[threadIdx.x]),
                 "l"(t), "f"(threadIdx.x + 0.5f));
}

__global__ void real(cudaTextureObject_t t, float4 *out)
{
    out[threadIdx.x] = tex1D<float4>(t, threadIdx.x + 0.5f);
}

int main(void)
{
    static unsigned char in[W * 16];
    static float4 out[W];
    static const char *const kinds[] = {"signed", "unsigned", "float"};
    cudaArray_t a;
    float4 *d;

    t_fill(in, sizeof(in), 9);
    in[0] = 0x80; /* -128 is -1 as well */
    T_OK(cudaMalloc(&d, sizeof(out)));
    for (int k = 0; k < 3; k++)
        for (int bits = k == 2 ? 16 : 8; bits <= 32; bits *= 2)
            for (int n = 1; n <= 4; n *= 2)
                for (int read = 0; read < 2; read++) {
                    cudaChannelFormatDesc f = cudaCreateChannelDesc(
                        bits, n > 1 ? bits : 0, n > 2 ? bits : 0, n > 2 ? bits : 0,
                        (cudaChannelFormatKind)k);
                    cudaTextureDesc s = tex_desc(cudaAddressModeClamp, cudaFilterModePoint,
                                                 (cudaTextureReadMode)read, 0);
                    cudaTextureObject_t t = 0;
                    unsigned char data[W * 16];
                    size_t bytes = W * n * bits / 8;
                    int rc;

                    memcpy(data, in, bytes);
                    if (k == 2) /* no NaN: small numbers */
                        for (size_t i = bits / 8 - 1; i < bytes; i += bits / 8)
                            data[i] = 0x3c + in[i] % 4;
                    T_OK(cudaMallocArray(&a, &f, W));
                    T_OK(cudaMemcpyToArray(a, 0, 0, data, bytes, cudaMemcpyHostToDevice));
                    cudaResourceDesc r = tex_array(a);
                    printf("%s %d bits, %d channels, read mode %d\n", kinds[k], bits, n, read);
                    rc = T(cudaCreateTextureObject(&t, &r, &s, NULL));
                    if (rc == 0) {
                        if (k == 2 || read == 1)
                            real<<<1, W>>>(t, d);
                        else
                            whole<<<1, W>>>(t, (int4 *)d);
                        T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
                        if (read == 1 && k < 2) /* divisions: to the nearest of 2^20 */
                            for (int i = 0; i < W * 4; i++)
                                (&out[0].x)[i] = floorf((&out[0].x)[i] * 1048576 + 0.5f);
                        T_DIGEST("texels", out, sizeof(out));
                        printf("%g %g %g %g\n", out[0].x, out[0].y, out[0].z, out[0].w);
                        T(cudaDestroyTextureObject(t));
                    }
                    T(cudaFreeArray(a));
                }
    return 0;
}
