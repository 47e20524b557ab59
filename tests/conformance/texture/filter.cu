/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateTextureObject */
/* Linear filtering in one, two and three dimensions at places whose weights are exact, for several
   formats; the places between, quantised. */
#include "tex.h"

#define N 8

__global__ void sample(cudaTextureObject_t t, const float4 *at, float *out, int dim)
{
    float4 p = at[threadIdx.x];

    out[threadIdx.x] = dim == 1   ? tex1D<float>(t, p.x)
                       : dim == 2 ? tex2D<float>(t, p.x, p.y)
                                  : tex3D<float>(t, p.x, p.y, p.z);
}

template <typename E>
static void run(const char *name, int dim, cudaTextureReadMode read, cudaTextureAddressMode mode,
                int normalized, float full, float scale)
{
    static E in[N * N * N];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<E>();
    cudaTextureObject_t t = 0;
    cudaMemcpy3DParms c;
    float4 at[48], *d_at;
    float out[48], *d;
    cudaArray_t a;
    char line[80];

    for (int i = 0; i < N * N * N; i++)
        in[i] = (E)((i * 37 + i / 64 * 11) % 128 * scale);
    T_OK(cudaMalloc3DArray(&a, &f, make_cudaExtent(N, dim > 1 ? N : 0, dim > 2 ? N : 0)));
    memset(&c, 0, sizeof(c));
    c.srcPtr = make_cudaPitchedPtr(in, N * sizeof(E), N, N);
    c.dstArray = a;
    c.extent = make_cudaExtent(N, dim > 1 ? N : 1, dim > 2 ? N : 1);
    c.kind = cudaMemcpyHostToDevice;
    T_OK(cudaMemcpy3D(&c));
    cudaResourceDesc r = tex_array(a);
    cudaTextureDesc s = tex_desc(mode, cudaFilterModeLinear, read, normalized);
    T_OK(cudaCreateTextureObject(&t, &r, &s, NULL));
    for (int i = 0; i < 48; i++) {
        /* multiples of 1/16: what is left of the fraction has few bits, and products are exact */
        float x = (i * 7 % 160 - 16) / 16.0f, y = (i * 11 % 160 - 16) / 16.0f;
        float z = (i * 13 % 40 - 4) / 4.0f;
        if (dim == 3) { /* weights are products of three, of which 8 bits are kept */
            x = floorf(x * 8) / 8;
            y = floorf(y * 8) / 8;
        }
        float k = normalized ? 1.0f / N : 1;

        at[i] = make_float4(x * k, y * k, z * k, 0);
    }
    T_OK(cudaMalloc(&d, sizeof(out)));
    T_OK(cudaMalloc(&d_at, sizeof(at)));
    T_OK(cudaMemcpy(d_at, at, sizeof(at), cudaMemcpyHostToDevice));
    sample<<<1, 48>>>(t, d_at, d, dim);
    T(cudaMemcpy(out, d, sizeof(out), cudaMemcpyDeviceToHost));
    snprintf(line, sizeof(line), "%s %dD mode %d normalized %d", name, dim, mode, normalized);
    tex_quantised(line, out, 48, full);
    T(cudaDestroyTextureObject(t));
    T(cudaFreeArray(a));
    cudaFree(d);
    cudaFree(d_at);
}

int main(void)
{
    cudaTextureReadMode e = cudaReadModeElementType, n = cudaReadModeNormalizedFloat;

    for (int dim = 1; dim <= 3; dim++) {
        run<float>("float", dim, e, cudaAddressModeClamp, 0, 128, 1);
        run<float>("float", dim, e, cudaAddressModeWrap, 1, 128, 1);
        run<float>("float", dim, e, cudaAddressModeMirror, 1, 128, 1);
        run<float>("float", dim, e, cudaAddressModeBorder, 0, 128, 1);
    }
    run<unsigned char>("uchar", 2, n, cudaAddressModeClamp, 0, 1, 2);
    run<signed char>("char", 2, n, cudaAddressModeClamp, 0, 1, 1);
    run<unsigned short>("ushort", 2, n, cudaAddressModeWrap, 1, 1, 512);
    run<short>("short", 1, n, cudaAddressModeClamp, 0, 1, 256);
    return 0;
}
