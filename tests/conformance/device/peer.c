/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceCanAccessPeer cuDeviceCanAccessPeer cudaDeviceEnablePeerAccess
 * cudaDeviceDisablePeerAccess cuCtxEnablePeerAccess cuCtxDisablePeerAccess cudaDeviceGetP2PAttribute
 * cuDeviceGetP2PAttribute cudaDeviceGetP2PAtomicCapabilities cuDeviceGetP2PAtomicCapabilities
 * cudaDeviceGetHostAtomicCapabilities cuDeviceGetHostAtomicCapabilities
 * cudaDeviceGetStreamPriorityRange cuCtxGetStreamPriorityRange */
/* Peers where there is one device, and what atomics reach. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static const CUatomicOperation ops[] = {
        CU_ATOMIC_OPERATION_INTEGER_ADD, CU_ATOMIC_OPERATION_INTEGER_MIN,
        CU_ATOMIC_OPERATION_EXCHANGE, CU_ATOMIC_OPERATION_CAS, CU_ATOMIC_OPERATION_FLOAT_ADD};
    static const enum cudaAtomicOperation rt[] = {cudaAtomicOperationIntegerAdd,
                                                  cudaAtomicOperationCAS};
    unsigned caps[8] = {0}, caps2[8] = {0};
    int v = -1, least = -77, greatest = -77;
    CUcontext ctx = NULL;

    T_OK(cudaFree(0));
    T(cudaDeviceCanAccessPeer(&v, 0, 0));
    T_INT("can", v);
    T(cudaDeviceCanAccessPeer(&v, 0, 1000));
    T(cudaDeviceCanAccessPeer(&v, -1, 0));
    T(cudaDeviceCanAccessPeer(NULL, 0, 0));
    T(cuDeviceCanAccessPeer(&v, 0, 0));
    T_INT("can", v);
    T(cuDeviceCanAccessPeer(&v, 0, 1000));
    T(cuDeviceCanAccessPeer(NULL, 0, 0));
    T(cudaDeviceEnablePeerAccess(0, 0));
    T(cudaDeviceEnablePeerAccess(0, 1));
    T(cudaDeviceEnablePeerAccess(1000, 0));
    T(cudaDeviceDisablePeerAccess(0));
    T(cudaDeviceDisablePeerAccess(1000));
    T(cuCtxGetCurrent(&ctx));
    T(cuCtxEnablePeerAccess(ctx, 0));
    T(cuCtxEnablePeerAccess(ctx, 1));
    T(cuCtxEnablePeerAccess(NULL, 0));
    T(cuCtxDisablePeerAccess(ctx));
    T(cuCtxDisablePeerAccess(NULL));
    for (int i = 0; i <= 6; i++) {
        T(cudaDeviceGetP2PAttribute(&v, (enum cudaDeviceP2PAttr)i, 0, 0));
        T(cuDeviceGetP2PAttribute(&v, (CUdevice_P2PAttribute)i, 0, 0));
        T(cudaDeviceGetP2PAttribute(&v, (enum cudaDeviceP2PAttr)i, 0, 1000));
        T(cuDeviceGetP2PAttribute(&v, (CUdevice_P2PAttribute)i, 1000, 0));
    }
    T(cudaDeviceGetP2PAttribute(NULL, cudaDevP2PAttrPerformanceRank, 0, 0));
    T(cuDeviceGetP2PAtomicCapabilities(caps, ops, 5, 0, 0));
    T(cudaDeviceGetP2PAtomicCapabilities(caps, rt, 2, 0, 0));
    T(cudaDeviceGetP2PAtomicCapabilities(caps, rt, 2, 0, 1000));
    T(cuDeviceGetHostAtomicCapabilities(caps, ops, 5, 0));
    for (int i = 0; i < 5; i++)
        T_DEVICE("host atomics", caps[i]);
    T(cudaDeviceGetHostAtomicCapabilities(caps2, rt, 2, 0));
    T_BOOL("same", caps2[0] == caps[0] && caps2[1] == caps[3]);
    T(cuDeviceGetHostAtomicCapabilities(NULL, ops, 5, 0));
    T(cuDeviceGetHostAtomicCapabilities(caps, NULL, 5, 0));
    T(cuDeviceGetHostAtomicCapabilities(caps, ops, 0, 0));
    T(cuDeviceGetHostAtomicCapabilities(caps, ops, 5, 1000));
    T(cudaDeviceGetStreamPriorityRange(&least, &greatest));
    T_DEVICE("least", least);
    T_DEVICE("greatest", greatest);
    T(cuCtxGetStreamPriorityRange(&v, NULL));
    T_BOOL("same", v == least);
    T(cuCtxGetStreamPriorityRange(NULL, NULL));
    T(cudaDeviceGetStreamPriorityRange(NULL, NULL));
    T(cudaGetLastError());
    return 0;
}
