/* SPDX-License-Identifier: MIT */
/* covers: cudaCreateSurfaceObject */
/* An access outside a surface, in the mode that traps. */
#include "tex.h"

__global__ void write(cudaSurfaceObject_t s)
{
    surf2Dwrite(1.0f, s, 100 * 4, 3);
}

int main(void)
{
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>();
    cudaSurfaceObject_t s = 0;
    cudaArray_t a;

    T_OK(cudaMallocArray(&a, &f, 16, 16, cudaArraySurfaceLoadStore));
    cudaResourceDesc r = tex_array(a);
    T_OK(cudaCreateSurfaceObject(&s, &r));
    write<<<1, 1>>>(s);
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    T(cudaFreeArray(a));
    return 0;
}
