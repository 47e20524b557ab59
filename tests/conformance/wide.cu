/* SPDX-License-Identifier: MIT */
/* Built for compute capability 10.0 only, where structures aligned to 32 octets are loaded and stored
 * as a whole: on a device that is less than that the launch reports 209. */
#include "check.h"

#define N 1000

struct alignas(32) eight {
    float v[8];
};

/* Side by side, and at any place. */
__global__ void turn(const eight *in, eight *out, const int *place)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= N)
        return;
    eight a = in[i], b;
    for (int k = 0; k < 8; k++)
        b.v[k] = a.v[7 - k] * 2 + 1;
    out[place[i]] = b;
}

__global__ void blend(const double4_32a *in, double4_32a *out, longlong4_32a *bits,
                      const int *place)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= N)
        return;
    double4_32a a = in[i], b = in[place[i]];
    out[i] = make_double4_32a(a.x + b.w, a.y + b.z, a.z + b.y, a.w + b.x);
    longlong4_32a n = bits[i];
    bits[i] = make_longlong4_32a(n.w, n.z + 1, n.y + 2, n.x + 3);
}

static int place[N];

static void check_turn(const int *dplace)
{
    static eight in[N], out[N];
    eight *din, *dout;

    for (int i = 0; i < N; i++)
        for (int k = 0; k < 8; k++)
            in[i].v[k] = (float)(i * 8 + k);
    CHECK(cudaMalloc(&din, sizeof(in)));
    CHECK(cudaMalloc(&dout, sizeof(out)));
    CHECK(cudaMemcpy(din, in, sizeof(in), cudaMemcpyDefault));
    turn<<<(N + 127) / 128, 128>>>(din, dout, dplace);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(out, dout, sizeof(out), cudaMemcpyDefault));
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 8; k++)
            EXPECT(out[place[i]].v[k] == in[i].v[7 - k] * 2 + 1);
    CHECK(cudaFree(din));
    CHECK(cudaFree(dout));
}

static void check_blend(const int *dplace)
{
    static double4_32a in[N], out[N];
    static longlong4_32a bits[N];
    double4_32a *din, *dout;
    longlong4_32a *dbits;

    for (int i = 0; i < N; i++) {
        in[i] = make_double4_32a(i, i + 0.25, i + 0.5, -i);
        bits[i] = make_longlong4_32a(i, 1ll << 40, -i, i * 1000000007ll);
    }
    CHECK(cudaMalloc(&din, sizeof(in)));
    CHECK(cudaMalloc(&dout, sizeof(out)));
    CHECK(cudaMalloc(&dbits, sizeof(bits)));
    CHECK(cudaMemcpy(din, in, sizeof(in), cudaMemcpyDefault));
    CHECK(cudaMemcpy(dbits, bits, sizeof(bits), cudaMemcpyDefault));
    blend<<<(N + 127) / 128, 128>>>(din, dout, dbits, dplace);
    CHECK(cudaGetLastError());
    CHECK(cudaMemcpy(out, dout, sizeof(out), cudaMemcpyDefault));
    CHECK(cudaMemcpy(bits, dbits, sizeof(bits), cudaMemcpyDefault));
    for (int i = 0; i < N; i++) {
        const double4_32a a = in[i], b = in[place[i]];

        EXPECT(out[i].x == a.x + b.w && out[i].y == a.y + b.z);
        EXPECT(out[i].z == a.z + b.y && out[i].w == a.w + b.x);
        EXPECT(bits[i].x == i * 1000000007ll && bits[i].y == 1 - i);
        EXPECT(bits[i].z == (1ll << 40) + 2 && bits[i].w == i + 3);
    }
    CHECK(cudaFree(din));
    CHECK(cudaFree(dout));
    CHECK(cudaFree(dbits));
}

int main(void)
{
    int *dplace, major = 0, minor = 0;
    cudaError_t err;

    test_name = "wide";
    for (int i = 0; i < N; i++)
        place[i] = (i * 37 + 5) % N;
    CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
    CHECK(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0));
    printf("compute capability %d.%d\n", major, minor);
    CHECK(cudaMalloc(&dplace, sizeof(place)));
    CHECK(cudaMemcpy(dplace, place, sizeof(place), cudaMemcpyDefault));
    if (major < 10) {
        turn<<<1, 1>>>(NULL, NULL, dplace);
        err = cudaGetLastError();
        printf("launch: %d %s\n", (int)err, cudaGetErrorName(err));
        EXPECT(err == cudaErrorNoKernelImageForDevice);
    } else {
        check_turn(dplace);
        check_blend(dplace);
    }
    CHECK(cudaFree(dplace));
    return passed();
}
