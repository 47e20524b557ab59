/* SPDX-License-Identifier: MIT */
/* covers: cudaMemcpyPeer cudaMemcpyPeerAsync cudaMemcpy3DPeer cudaMemcpy3DPeerAsync
 * cudaDeviceCanAccessPeer cudaDeviceEnablePeerAccess cudaDeviceDisablePeerAccess
 * cudaDeviceGetP2PAttribute cuDeviceCanAccessPeer cuCtxEnablePeerAccess cuCtxDisablePeerAccess
 * cuDeviceGetP2PAttribute */
/* What peer calls do when a device is its own peer. Run with one device visible. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static uint8_t in[1000], out[1000];
    struct cudaMemcpy3DPeerParms p = {0};
    uint8_t *a, *b;
    cudaStream_t s;
    CUcontext ctx = NULL;
    CUdevice dev = 0;
    int v = 77;

    setenv("CUDA_VISIBLE_DEVICES", "0", 1);
    t_fill(in, sizeof(in), 8);
    T_OK(cudaMalloc((void **)&a, 1000));
    T_OK(cudaMalloc((void **)&b, 1000));
    T_OK(cudaStreamCreate(&s));
    T_OK(cudaMemcpy(a, in, 1000, cudaMemcpyHostToDevice));
    T(cudaMemcpyPeer(b, 0, a, 0, 1000));
    T(cudaMemcpyPeerAsync(a + 10, 0, b, 0, 500, s));
    T(cudaStreamSynchronize(s));
    p.srcPtr = (struct cudaPitchedPtr){a, 50, 50, 5};
    p.dstPtr = (struct cudaPitchedPtr){b, 60, 60, 5};
    p.extent = (struct cudaExtent){31, 5, 3};
    T(cudaMemcpy3DPeer(&p));
    p.dstPos.z = 1;
    T(cudaMemcpy3DPeerAsync(&p, s));
    T(cudaStreamSynchronize(s));
    T(cudaMemcpy(out, b, 1000, cudaMemcpyDeviceToHost));
    T_DIGEST("out", out, 1000);
    T(cudaMemcpyPeer(b, 0, a, 1, 1000));
    T(cudaMemcpyPeer(b, -1, a, 0, 1000));
    T(cudaMemcpyPeer(NULL, 0, a, 0, 1000));
    T(cudaMemcpyPeer(out, 0, a, 0, 1000));
    T(cudaMemcpyPeer(b, 0, a, 0, 0));
    T(cudaMemcpy3DPeer(NULL));
    p.dstDevice = 5;
    T(cudaMemcpy3DPeer(&p));

    T(cudaDeviceCanAccessPeer(&v, 0, 0));
    T_INT("can", v);
    T(cudaDeviceCanAccessPeer(&v, 0, 1));
    T(cudaDeviceCanAccessPeer(NULL, 0, 0));
    T(cudaDeviceEnablePeerAccess(0, 0));
    T(cudaDeviceEnablePeerAccess(0, 1));
    T(cudaDeviceEnablePeerAccess(1, 0));
    T(cudaDeviceDisablePeerAccess(0));
    T(cudaDeviceDisablePeerAccess(1));
    for (int i = 0; i < 6; i++) {
        v = 77;
        T(cudaDeviceGetP2PAttribute(&v, (enum cudaDeviceP2PAttr)i, 0, 0));
        T_INT("attribute", v);
    }
    T(cudaDeviceGetP2PAttribute(&v, cudaDevP2PAttrPerformanceRank, 0, 1));
    T(cudaDeviceGetP2PAttribute(NULL, cudaDevP2PAttrPerformanceRank, 0, 0));
    T(cudaGetLastError());

    T(cuCtxGetCurrent(&ctx));
    T(cuDeviceCanAccessPeer(&v, dev, dev));
    T_INT("can", v);
    T(cuDeviceCanAccessPeer(&v, dev, 1));
    T(cuDeviceCanAccessPeer(NULL, dev, dev));
    T(cuCtxEnablePeerAccess(ctx, 0));
    T(cuCtxEnablePeerAccess(ctx, 1));
    T(cuCtxEnablePeerAccess(NULL, 0));
    T(cuCtxDisablePeerAccess(ctx));
    T(cuCtxDisablePeerAccess(NULL));
    for (int i = 0; i < 6; i++) {
        v = 77;
        T(cuDeviceGetP2PAttribute(&v, (CUdevice_P2PAttribute)i, dev, dev));
        T_INT("attribute", v);
    }
    T(cuDeviceGetP2PAttribute(&v, CU_DEVICE_P2P_ATTRIBUTE_ACCESS_SUPPORTED, dev, 3));
    return 0;
}
