/* SPDX-License-Identifier: MIT */
/* covers: cudaHostRegister cudaHostUnregister cuMemHostRegister cuMemHostUnregister */
/* Memory of the program's own, registered: page aligned or not, twice, overlapping, copied. */
#include <cuda.h>
#include <cuda_runtime.h>
#include <sys/mman.h>

#include "transcript.h"

#define N 40000

int main()
{
    uint8_t *m =
        (uint8_t *)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *h = (uint8_t *)malloc(N + 7), *d, out[256];
    struct cudaPointerAttributes a;
    unsigned f = 99;
    cudaStream_t s;
    int v = 77;

    T_OK(cudaMalloc((void **)&d, 65536));
    T_OK(cudaStreamCreate(&s));
    T(cudaDeviceGetAttribute(&v, cudaDevAttrHostRegisterSupported, 0));
    T_DEVICE("register supported", v);
    T(cudaDeviceGetAttribute(&v, cudaDevAttrCanUseHostPointerForRegisteredMem, 0));
    T_VOLATILE("host pointer usable", v);
    t_fill(m, 65536, 1);
    T(cudaHostRegister(m, 65536, cudaHostRegisterDefault));
    T(cudaHostGetFlags(&f, m));
    T_INT("flags", f);
    T(cudaPointerGetAttributes(&a, m + 5));
    T_INT("type", a.type);
    T_BOOL("host pointer", a.hostPointer == m + 5);
    T(cudaHostRegister(m, 65536, 0));
    T(cudaHostRegister(m + 4096, 4096, 0));
    T(cudaMemcpyAsync(d, m, 65536, cudaMemcpyHostToDevice, s));
    T(cudaMemcpyAsync(m, d + 1, 65535, cudaMemcpyDeviceToHost, s));
    T(cudaStreamSynchronize(s));
    T_DIGEST("copied", m, 65536);
    T(cudaMemcpy2DAsync(d, 300, m, 256, 200, 200, cudaMemcpyHostToDevice, s));
    T(cudaMemcpy(out, d + 600, 200, cudaMemcpyDefault));
    T_BOOL("2D", memcmp(out, m + 512, 200) == 0);
    T(cudaHostUnregister(m + 4096));
    T(cudaFreeHost(m));
    T(cudaHostUnregister(m));
    T(cudaHostUnregister(m));
    T(cudaHostGetFlags(&f, m));
    T(cudaPointerGetAttributes(&a, m));
    T_INT("type", a.type);

    T(cudaHostRegister(h + 3, N, cudaHostRegisterPortable | cudaHostRegisterMapped));
    T(cudaHostGetFlags(&f, h + 3));
    T_INT("flags", f);
    T(cudaMemcpy(d, h + 3, N, cudaMemcpyHostToDevice));
    T(cudaHostUnregister(h + 3));
    T(cudaHostRegister(m, 0, 0));
    T(cudaHostRegister(NULL, 4096, 0));
    T(cudaHostRegister(m, 4096, 0x40));
    T(cudaHostRegister(m, 4096, cudaHostRegisterIoMemory));
    T(cudaHostRegister(d, 4096, 0));
    T(cudaHostUnregister(NULL));
    T(cudaHostUnregister(d));
    T(cudaGetLastError());

    T(cuMemHostRegister(m, 8192, CU_MEMHOSTREGISTER_PORTABLE));
    T(cuMemHostGetFlags(&f, m));
    T_INT("flags", f);
    T(cuMemHostRegister(m, 8192, 0));
    T(cuMemHostUnregister(m + 1));
    T(cuMemHostUnregister(m));
    T(cuMemHostUnregister(m));
    T(cuMemHostRegister(m, 0, 0));
    T(cuMemHostRegister(m, 4096, 0x100));
    return 0;
}
