/* SPDX-License-Identifier: MIT */
/* covers: cudaLaunchKernel */
/* Matrix fragments of a warp, in every shape, order and type that the default architecture has; the
   numbers are small, so that every sum is exact. */
#include <cuda_runtime.h>
#include <mma.h>

#include <type_traits>

#include "transcript.h"

using namespace nvcuda;

template <int M, int N, int K, class T, class C, class LA, class LB, bool SHARED>
__global__ void multiply(const T *a, const T *b, C *c, int twice, wmma::layout_t order)
{
    __shared__ T tile[512];
    wmma::fragment<wmma::matrix_a, M, N, K, T, LA> fa;
    wmma::fragment<wmma::matrix_b, M, N, K, T, LB> fb;
    wmma::fragment<wmma::accumulator, M, N, K, C> fc;
    const bool rows_a = std::is_same<LA, wmma::row_major>::value;
    const bool rows_b = std::is_same<LB, wmma::row_major>::value;

    for (int i = threadIdx.x; i < M * K; i += 32)
        tile[i] = a[i];
    __syncthreads();
    wmma::load_matrix_sync(fa, SHARED ? tile : a, rows_a ? K : M);
    wmma::load_matrix_sync(fb, b, rows_b ? N : K);
    wmma::load_matrix_sync(fc, c, order == wmma::mem_row_major ? N : M, order);
    for (int i = 0; i < fa.num_elements; i++)
        fa.x[i] = fa.x[i] + fa.x[i];
    for (int i = 0; i <= twice; i++)
        wmma::mma_sync(fc, fa, fb, fc);
    wmma::store_matrix_sync(c, fc, order == wmma::mem_row_major ? N : M, order);
}

template <int M, int N, int K, class T, class C, class LA, class LB, bool SHARED>
static void run(const char *name, wmma::layout_t order)
{
    static T a[512], b[512];
    static C c[512];
    void *d[3];

    for (int i = 0; i < 512; i++) {
        a[i] = (T)(float)(i * 7 % 5);
        b[i] = (T)(float)(i * 3 % 4);
        c[i] = (C)(float)(i % 9);
    }
    T_OK(cudaMalloc(&d[0], sizeof(a)));
    T_OK(cudaMalloc(&d[1], sizeof(b)));
    T_OK(cudaMalloc(&d[2], sizeof(c)));
    T_OK(cudaMemcpy(d[0], a, sizeof(a), cudaMemcpyHostToDevice));
    T_OK(cudaMemcpy(d[1], b, sizeof(b), cudaMemcpyHostToDevice));
    T_OK(cudaMemcpy(d[2], c, sizeof(c), cudaMemcpyHostToDevice));
    multiply<M, N, K, T, C, LA, LB, SHARED>
        <<<1, 32>>>((T *)d[0], (T *)d[1], (C *)d[2], 1, order);
    T(cudaMemcpy(c, d[2], sizeof(c), cudaMemcpyDeviceToHost));
    printf("%s %d x %d x %d: %g %g\n", name, M, N, K, (double)(float)c[0],
           (double)(float)c[M * N - 1]);
    T_DIGEST("product", c, M * N * sizeof(C));
}

int main(void)
{
    typedef wmma::row_major R;
    typedef wmma::col_major L;
    wmma::layout_t rows = wmma::mem_row_major, cols = wmma::mem_col_major;

    run<16, 16, 16, half, float, R, L, false>("f16 f32", rows);
    run<16, 16, 16, half, float, L, R, true>("f16 f32", cols);
    run<32, 8, 16, half, half, R, R, false>("f16 f16", rows);
    run<8, 32, 16, half, half, L, L, true>("f16 f16", cols);
    run<16, 16, 16, signed char, int, R, L, false>("s8 s32", rows);
    run<8, 32, 16, unsigned char, int, R, L, false>("u8 s32", rows);
    run<32, 8, 16, signed char, int, L, R, true>("s8 s32", cols);
    return 0;
}
