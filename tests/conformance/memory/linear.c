/* SPDX-License-Identifier: MIT */
/* covers: cudaMalloc cudaFree cudaMemcpy cudaMemset cudaGetLastError cudaPeekAtLastError */
/* Linear memory: allocation, copies both ways, fills, and what their errors leave behind. */
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[5000], out[5000];
    void *p = NULL;

    t_fill(in, sizeof(in), 1);
    T_OK(cudaMalloc(&p, sizeof(in)));
    T(cudaMemcpy(p, in, sizeof(in), cudaMemcpyHostToDevice));
    T(cudaMemset((uint8_t *)p + 100, 0x5a, 1000));
    T(cudaMemcpy(out, p, sizeof(out), cudaMemcpyDeviceToHost));
    T_DIGEST("out", out, sizeof(out));
    T(cudaMemcpy(p, in, sizeof(in), (enum cudaMemcpyKind)9));
    T(cudaPeekAtLastError());
    T(cudaGetLastError());
    T(cudaGetLastError());
    T(cudaFree((uint8_t *)p + 8));
    T(cudaFree(p));
    T(cudaFree(p));
    T(cudaFree(NULL));
    T(cudaMalloc(&p, (size_t)1 << 50));
    return 0;
}
