/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyToArray cudaMemcpyFromArray cudaMemcpyArrayToArray cudaMemcpy2DFromArray
 * cudaMemcpy2DArrayToArray cudaMemcpyToArrayAsync cudaMemcpyFromArrayAsync
 * cudaMemcpy2DToArrayAsync cudaMemcpy2DFromArrayAsync cudaMemcpy3D cudaMemcpy3DAsync */
/* Copies between arrays, device memory, pinned and pageable memory. */
#include "tex.h"

#define W 50
#define H 20

int main(void)
{
    static unsigned char in[64 * 1024], out[64 * 1024];
    cudaChannelFormatDesc f = cudaCreateChannelDesc<short2>();
    cudaMemcpy3DParms p;
    cudaArray_t a, b, c;
    cudaStream_t s;
    unsigned char *d, *pin;

    t_fill(in, sizeof(in), 2);
    T_OK(cudaMallocArray(&a, &f, W, H));
    T_OK(cudaMallocArray(&b, &f, W, H));
    T_OK(cudaMalloc3DArray(&c, &f, make_cudaExtent(W, H, 6)));
    T_OK(cudaMalloc(&d, sizeof(in)));
    T_OK(cudaMallocHost(&pin, sizeof(in)));
    T_OK(cudaStreamCreate(&s));
    /* runs go on in the next row */
    T(cudaMemcpyToArray(a, 0, 0, in, W * H * 4, cudaMemcpyHostToDevice));
    T(cudaMemcpyToArray(a, 40, 3, in + 5000, 500, cudaMemcpyHostToDevice));
    T(cudaMemcpyFromArray(out, a, 0, 0, W * H * 4, cudaMemcpyDeviceToHost));
    T_DIGEST("runs", out, W * H * 4);
    T(cudaMemcpyFromArray(out, a, 100, 17, 480, cudaMemcpyDeviceToHost));
    T_DIGEST("run", out, 480);
    T(cudaMemcpyToArray(a, 40, 19, in, 400, cudaMemcpyHostToDevice));
    T(cudaMemcpyFromArray(out, a, 0, 0, W * H * 4 + 4, cudaMemcpyDeviceToHost));
    T(cudaMemcpyToArray(a, 0, 0, in, 0, cudaMemcpyHostToDevice));
    T(cudaMemcpyToArray(a, 0, 0, in, 4, cudaMemcpyDeviceToHost));
    T(cudaMemcpyArrayToArray(b, 100, 1, a, 100, 2, 500, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy2DArrayToArray(b, 40, 10, a, 4, 0, 120, 8, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy2DArrayToArray(b, 100, 10, a, 4, 0, 120, 8, cudaMemcpyDeviceToDevice));
    T(cudaMemcpy2DFromArray(out, 200, b, 100, 1, 100, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DFromArray(out + 100, 200, b, 0, 2, 200, 2, cudaMemcpyDeviceToHost));
    T_DIGEST("moved", out, 500);
    T(cudaMemcpy2DFromArray(out, 120, b, 40, 10, 120, 8, cudaMemcpyDeviceToHost));
    T_DIGEST("moved", out, 960);
    /* asynchronous, pinned and device memory */
    memcpy(pin, in + 9000, W * H * 4);
    T(cudaMemcpyToArrayAsync(a, 0, 0, pin, W * H * 4, cudaMemcpyHostToDevice, s));
    T(cudaMemcpy2DFromArrayAsync(d, 256, a, 0, 0, W * 4, H, cudaMemcpyDeviceToDevice, s));
    T(cudaMemcpy2DToArrayAsync(b, 4, 2, d + 8, 256, 150, 10, cudaMemcpyDeviceToDevice, s));
    T(cudaMemcpyFromArrayAsync(pin + 8192, b, 0, 2, 2000, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("async", pin + 8192, 100);
    T(cudaMemcpy2D(out, W * 4, d, 256, W * 4, H, cudaMemcpyDeviceToHost));
    T_DIGEST("device", out, W * H * 4);
    /* boxes */
    memset(&p, 0, sizeof(p));
    p.srcPtr = make_cudaPitchedPtr(in, 256, W, 24);
    p.srcPos = make_cudaPos(8, 1, 1);
    p.dstArray = c;
    p.dstPos = make_cudaPos(3, 2, 1);
    p.extent = make_cudaExtent(40, 12, 4);
    p.kind = cudaMemcpyHostToDevice;
    T(cudaMemcpy3D(&p));
    memset(&p, 0, sizeof(p));
    p.srcArray = c;
    p.srcPos = make_cudaPos(3, 2, 1);
    p.dstArray = a;
    p.extent = make_cudaExtent(20, 10, 1);
    p.kind = cudaMemcpyDeviceToDevice;
    T(cudaMemcpy3DAsync(&p, s));
    p.dstArray = NULL;
    p.dstPtr = make_cudaPitchedPtr(out, 200, 40, 12);
    p.extent = make_cudaExtent(40, 12, 4);
    p.kind = cudaMemcpyDeviceToHost;
    memset(out, 0, sizeof(out));
    T(cudaMemcpy3D(&p));
    T_DIGEST("box", out, 200 * 48);
    p.extent.depth = 6;
    T(cudaMemcpy3D(&p));
    p.extent.depth = 1;
    p.dstArray = a;
    T(cudaMemcpy3D(&p));
    T(cudaStreamSynchronize(s));
    T(cudaMemcpy2DFromArray(out, 200, a, 0, 0, 200, H, cudaMemcpyDeviceToHost));
    T_DIGEST("plane", out, 200 * H);
    T(cudaFreeArray(a));
    T(cudaFreeArray(b));
    T(cudaFreeArray(c));
    return 0;
}
