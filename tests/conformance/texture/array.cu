/* SPDX-License-Identifier: MIT */
/* covers: cudaMallocArray cudaMalloc3DArray cudaFreeArray cudaArrayGetInfo cudaGetChannelDesc
   cudaMemcpy2DToArray cudaMemcpy2DFromArray cudaArrayGetPlane */
/* Arrays: creation in every dimension and format, what they say of themselves, and wrong uses. */
#include "tex.h"

static void info(cudaArray_t a)
{
    cudaChannelFormatDesc d;
    cudaExtent e;
    unsigned flags = 99;

    T(cudaArrayGetInfo(&d, &e, &flags, a));
    printf("info = %d %d %d %d kind %d, %zu x %zu x %zu, flags %u\n", d.x, d.y, d.z, d.w, d.f,
           e.width, e.height, e.depth, flags);
}

static void formats(void)
{
    static const int bits[] = {8, 16, 32, 64, 0};
    cudaArray_t a;

    for (int kind = 0; kind < 4; kind++)
        for (int b = 0; b < 5; b++)
            for (int n = 1; n <= 4; n++) {
                int w = bits[b];
                cudaChannelFormatDesc d = cudaCreateChannelDesc(
                    w, n > 1 ? w : 0, n > 2 ? w : 0, n > 3 ? w : 0, (cudaChannelFormatKind)kind);
                int rc;

                printf("kind %d, %d bits, %d channels: ", kind, w, n);
                rc = T(cudaMallocArray(&a, &d, 4, 4));
                if (rc == 0)
                    cudaFreeArray(a);
            }
    cudaGetLastError();
}

int main(void)
{
    cudaChannelFormatDesc f = cudaCreateChannelDesc<float>(), u4 = cudaCreateChannelDesc<uchar4>();
    cudaChannelFormatDesc mixed = cudaCreateChannelDesc(8, 16, 0, 0, cudaChannelFormatKindUnsigned);
    cudaArray_t a = NULL, plane = NULL;
    cudaChannelFormatDesc d;
    char out[64];

    T(cudaMallocArray(&a, &u4, 100, 0));
    info(a);
    T(cudaGetChannelDesc(&d, a));
    printf("desc = %d %d %d %d kind %d\n", d.x, d.y, d.z, d.w, d.f);
    T(cudaFreeArray(a));
    T(cudaMallocArray(&a, &f, 100, 50, cudaArraySurfaceLoadStore));
    info(a);
    T(cudaArrayGetPlane(&plane, a, 0));
    T(cudaArrayGetInfo(NULL, NULL, NULL, a));
    T(cudaMemcpy2DFromArray(out, 64, a, 400 - 16, 0, 32, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DFromArray(out, 64, a, 0, 50, 32, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DFromArray(out, 8, a, 0, 0, 32, 2, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DFromArray(out, 64, a, 2, 0, 32, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DFromArray(out, 64, a, 0, 0, 30, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DToArray(a, 0, 0, out, 64, 32, 1, cudaMemcpyDeviceToHost));
    T(cudaMemcpy2DToArray(a, 0, 0, out, 64, 0, 1, cudaMemcpyHostToDevice));
    T(cudaFreeArray(a));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 9, 10)));
    info(a);
    T(cudaFreeArray(a));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 0, 10), cudaArrayLayered));
    info(a);
    T(cudaFreeArray(a));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 8, 12), cudaArrayLayered | cudaArrayCubemap));
    info(a);
    T(cudaFreeArray(a));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 8, 6), cudaArrayCubemap));
    info(a);
    T(cudaFreeArray(a));
    T(cudaFreeArray(NULL));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 9, 6), cudaArrayCubemap));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 8, 7), cudaArrayCubemap));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 0, 10)));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(8, 8, 0), cudaArrayLayered));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(20000, 2, 2)));
    T(cudaMalloc3DArray(&a, &f, make_cudaExtent(2, 2, 2049), cudaArrayLayered));
    T(cudaMallocArray(&a, &f, 0, 4));
    T(cudaMallocArray(&a, &f, 131073, 4));
    T(cudaMallocArray(&a, &f, 4, 65537));
    T(cudaMallocArray(&a, &f, 4, 4, 0x1000));
    T(cudaMallocArray(&a, &f, 32769, 4, cudaArrayTextureGather));
    T(cudaMallocArray(&a, &mixed, 4, 4));
    T(cudaMallocArray(NULL, &f, 4, 4));
    T(cudaGetLastError());
    formats();
    return 0;
}
