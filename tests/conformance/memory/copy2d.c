/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy2D cudaMemcpy2DAsync cudaMallocPitch */
/* Pitched copies: odd widths, parts of rows, all directions, and every refusal. */
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[64 * 100], out[64 * 100];
    uint8_t *d = NULL, *e = NULL, *pin = NULL;
    size_t pitch = 0, n;
    cudaStream_t s;

    t_fill(in, sizeof(in), 7);
    T_OK(cudaMallocPitch((void **)&d, &pitch, 37, 50));
    T_DEVICE("pitch", pitch);
    T_OK(cudaMallocPitch((void **)&e, &pitch, 37, 50));
    T_OK(cudaMemset(d, 0, pitch * 50));
    T(cudaMemcpy2D(d, pitch, in, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(e, pitch, d, pitch, 37, 50, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy2D(out, 41, e, pitch, 37, 50, cudaMemcpyDeviceToHost));
    T_DIGEST("there and back", out, 41 * 50);
    T(cudaMemcpy2D(e + pitch + 3, 2 * pitch, in, 64, 5, 20, cudaMemcpyDefault));
    T(cudaMemcpy2D(out, 37, e, pitch, 37, 50, cudaMemcpyDefault));
    T_DIGEST("every other row", out, 37 * 50);
    T(cudaMemcpy2D(out, 64, in, 100, 30, 40, cudaMemcpyHostToHost));
    T_DIGEST("host to host", out, sizeof(out));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMallocHost((void **)&pin, sizeof(in)));
    t_fill(pin, sizeof(in), 9);
    T(cudaMemcpy2DAsync(d, pitch, pin, 50, 37, 50, cudaMemcpyHostToDevice, s));
    T(cudaMemcpy2DAsync(pin, 64, d, pitch, 33, 49, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("pinned", pin, sizeof(in));

    T(cudaMemcpy2D(d, 36, in, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 36, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 36, 37, 1, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 0, 37, 1, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, (size_t)1 << 31, in, 64, 37, 1, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, (size_t)1 << 31, in, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 64, 0, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 64, 37, 0, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, 10, in, 64, 37, 0, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(NULL, pitch, in, 64, 0, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(NULL, pitch, in, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, NULL, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, in, 64, 37, 50, (enum cudaMemcpyKind)7));
    T(cudaMemcpy2D(d, pitch, in, 64, 0, 50, (enum cudaMemcpyKind)7));
    T(cudaMemcpy2D(out, 64, in, 64, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, e, pitch, 37, 50, cudaMemcpyHostToDevice));
    T(cudaMemcpy2D(d, pitch, e, pitch, 37, 50, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DAsync(d, pitch, in, 64, 37, 50, cudaMemcpyHostToDevice, s));
    T(cudaStreamSynchronize(s));
    T(cudaMallocPitch(NULL, &pitch, 5, 5));
    T(cudaMallocPitch((void **)&d, NULL, 5, 5));
    n = 77;
    T(cudaMallocPitch((void **)&d, &n, 0, 5));
    T_BOOL("no memory", d == NULL);
    T_INT("pitch of nothing", n);
    T(cudaMallocPitch((void **)&d, &n, 5, 0));
    T(cudaMallocPitch((void **)&d, &n, (size_t)1 << 40, 1 << 20));
    T(cudaMallocPitch((void **)&d, &n, 513, 3));
    T_DEVICE("pitch of 513", n);
    T(cudaFree(d));
    T(cudaGetLastError());
    T(cudaStreamDestroy(s));
    return 0;
}
