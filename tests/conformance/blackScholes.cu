/* SPDX-License-Identifier: MIT */
/* European options by the Black-Scholes formula: exp, log, sqrt and a polynomial. */
#include "check.h"

#define RATE       0.02f
#define VOLATILITY 0.30f

__device__ float cnd(float d)
{
    const float a1 = 0.31938153f, a2 = -0.356563782f, a3 = 1.781477937f, a4 = -1.821255978f,
                a5 = 1.330274429f;
    float k = 1.0f / (1.0f + 0.2316419f * fabsf(d));
    float v = 0.3989422804f * expf(-0.5f * d * d) *
              (k * (a1 + k * (a2 + k * (a3 + k * (a4 + k * a5)))));

    return d > 0 ? 1.0f - v : v;
}

__global__ void price(const float *spot, const float *strike, const float *years, float *call,
                      float *put, int n)
{
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) {
        float root = sqrtf(years[i]);
        float d1 = (logf(spot[i] / strike[i]) + (RATE + 0.5f * VOLATILITY * VOLATILITY) * years[i]) /
                   (VOLATILITY * root);
        float d2 = d1 - VOLATILITY * root, left = strike[i] * expf(-RATE * years[i]);

        call[i] = spot[i] * cnd(d1) - left * cnd(d2);
        put[i] = left * (1.0f - cnd(d2)) - spot[i] * (1.0f - cnd(d1));
    }
}

static double host_cnd(double d)
{
    return 0.5 * erfc(-d / sqrt(2.0));
}

int main(void)
{
    const int n = 4001;
    const size_t bytes = n * sizeof(float);
    float *h[5], *d[5];
    unsigned seed = 5347;

    test_name = "blackScholes";
    for (int i = 0; i < 5; i++) {
        h[i] = (float *)malloc(bytes);
        CHECK(cudaMalloc(&d[i], bytes));
    }
    for (int i = 0; i < n; i++) {
        h[0][i] = 5 + 25 * test_random(&seed);
        h[1][i] = 1 + 99 * test_random(&seed);
        h[2][i] = 0.25f + 9.75f * test_random(&seed);
    }
    for (int i = 0; i < 3; i++)
        CHECK(cudaMemcpy(d[i], h[i], bytes, cudaMemcpyHostToDevice));
    price<<<8, 128>>>(d[0], d[1], d[2], d[3], d[4], n);
    CHECK(cudaGetLastError());
    for (int i = 3; i < 5; i++)
        CHECK(cudaMemcpy(h[i], d[i], bytes, cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++) {
        double s = h[0][i], x = h[1][i], t = h[2][i];
        double d1 = (log(s / x) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * t) /
                    (VOLATILITY * sqrt(t));
        double d2 = d1 - VOLATILITY * sqrt(t), left = x * exp(-RATE * t);

        EXPECT(fabs(h[3][i] - (s * host_cnd(d1) - left * host_cnd(d2))) < 1e-3);
        EXPECT(fabs(h[4][i] - (left * host_cnd(-d2) - s * host_cnd(-d1))) < 1e-3);
    }
    for (int i = 0; i < 5; i++) {
        free(h[i]);
        CHECK(cudaFree(d[i]));
    }
    return passed();
}
