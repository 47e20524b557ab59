/* SPDX-License-Identifier: MIT */
/* What the programs of module, launch and occupancy share: a context, and PTX that needs no nvcc. */
#ifndef GVM_TEST_DRIVER_H
#define GVM_TEST_DRIVER_H

#include <cuda.h>

#include "transcript.h"

#define PTX_HEAD ".version 7.8\n.target sm_75\n.address_size 64\n"

extern const unsigned char kernels_image[];

/* The primary context of device 0, current. */
T_INLINE void t_context(void)
{
    CUdevice d;
    CUcontext c;

    T_OK(cuInit(0));
    T_OK(cuDeviceGet(&d, 0));
    T_OK(cuDevicePrimaryCtxRetain(&c, d));
    T_OK(cuCtxSetCurrent(c));
}

/* One int of the device, for programs whose kernels leave a single result. */
T_INLINE int t_read(CUdeviceptr p)
{
    int v = -1;

    cuMemcpyDtoH(&v, p, sizeof(v));
    return v;
}

#endif
