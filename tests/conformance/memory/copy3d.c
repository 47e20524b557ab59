/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpy3D cudaMemcpy3DAsync cudaMalloc3D */
/* Boxes out of boxes, with offsets, and every refusal. */
#include <cuda_runtime_api.h>

#include "transcript.h"

#define W 29
#define H 13
#define D 7

static uint8_t in[W * H * D], out[W * H * D];

static struct cudaMemcpy3DParms parms(struct cudaPitchedPtr dst, struct cudaPitchedPtr src,
                                      enum cudaMemcpyKind kind)
{
    struct cudaMemcpy3DParms p = {0};

    p.dstPtr = dst;
    p.srcPtr = src;
    p.extent = (struct cudaExtent){W, H, D};
    p.kind = kind;
    return p;
}

int main(void)
{
    struct cudaPitchedPtr d = {0}, h = {in, W, W, H}, o = {out, W, W, H}, none = {0};
    struct cudaMemcpy3DParms p;
    cudaStream_t s;

    t_fill(in, sizeof(in), 3);
    T_OK(cudaMalloc3D(&d, (struct cudaExtent){W, H, D}));
    T_DEVICE("pitch", d.pitch);
    T_INT("xsize", d.xsize);
    T_INT("ysize", d.ysize);
    p = parms(d, h, cudaMemcpyHostToDevice);
    T(cudaMemcpy3D(&p));
    p = parms(o, d, cudaMemcpyDeviceToHost);
    T(cudaMemcpy3D(&p));
    T_BOOL("same", memcmp(in, out, sizeof(in)) == 0);
    /* A box of 11 x 5 x 3 inside. */
    p = parms(d, h, cudaMemcpyDefault);
    p.dstPos = (struct cudaPos){9, 4, 2};
    p.srcPos = (struct cudaPos){1, 7, 3};
    p.extent = (struct cudaExtent){11, 5, 3};
    T(cudaMemcpy3D(&p));
    p = parms(o, d, cudaMemcpyDefault);
    T_OK(cudaStreamCreate(&s));
    T(cudaMemcpy3DAsync(&p, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("box", out, sizeof(out));
    /* Inside the device: every second row of a slice. */
    p = parms(d, d, cudaMemcpyDeviceToDevice);
    p.dstPtr.pitch = 2 * d.pitch;
    p.dstPtr.ysize = 6;
    p.srcPos = (struct cudaPos){0, 0, 6};
    p.extent = (struct cudaExtent){W, 6, 1};
    T(cudaMemcpy3D(&p));
    p = parms(o, d, cudaMemcpyDeviceToHost);
    T(cudaMemcpy3D(&p));
    T_DIGEST("rows", out, sizeof(out));
    p = parms(o, h, cudaMemcpyHostToHost);
    T(cudaMemcpy3D(&p));
    T_DIGEST("host", out, sizeof(out));

    T(cudaMemcpy3D(NULL));
    p = parms(d, h, (enum cudaMemcpyKind)8);
    T(cudaMemcpy3D(&p));
    p = parms(d, none, cudaMemcpyHostToDevice);
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyHostToDevice);
    p.extent.depth = 0;
    T(cudaMemcpy3D(&p));
    p.extent = (struct cudaExtent){0, H, D};
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyHostToDevice);
    p.srcPtr.pitch = W - 1;
    T(cudaMemcpy3D(&p));
    p.extent.height = p.extent.depth = 1;
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyHostToDevice);
    p.srcPtr.ysize = H - 1;
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyHostToDevice);
    p.srcPtr.xsize = 3;
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyDeviceToHost);
    T(cudaMemcpy3D(&p));
    p = parms(d, d, cudaMemcpyHostToDevice);
    T(cudaMemcpy3D(&p));
    p = parms(d, h, cudaMemcpyHostToDevice);
    p.dstPos.x = d.pitch - 5;
    T(cudaMemcpy3D(&p));
    T(cudaGetLastError());
    T(cudaMalloc3D(NULL, (struct cudaExtent){W, H, D}));
    T(cudaMalloc3D(&none, (struct cudaExtent){W, 0, D}));
    T_BOOL("none", none.ptr == NULL);
    T(cudaMalloc3D(&none, (struct cudaExtent){1 << 20, 1 << 20, 1 << 20}));
    T(cudaFree(d.ptr));
    T(cudaStreamDestroy(s));
    return 0;
}
