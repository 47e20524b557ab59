/* SPDX-License-Identifier: MIT */
/* covers: __cudaRegisterFatBinary __cudaRegisterFatBinaryEnd __cudaRegisterFunction
 * __cudaRegisterVar __cudaUnregisterFatBinary cudaLaunchKernel cudaFuncGetAttributes
 * cudaMemcpyToSymbol cudaMemcpyFromSymbol cudaGetSymbolAddress cudaGetSymbolSize */
/* What the code does that nvcc generates in a library which is loaded, unloaded and loaded again:
 * the same image twice, and use after it went. */
#include <cuda_runtime_api.h>

#include "transcript.h"

extern const unsigned char kernels_image[];

void **__cudaRegisterFatBinary(void *);
void __cudaRegisterFatBinaryEnd(void **);
void __cudaUnregisterFatBinary(void **);
void __cudaRegisterFunction(void **, const char *, char *, const char *, int, void *, void *,
                            void *, void *, int *);
void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int);

static struct {
    uint32_t magic, version;
    const void *data;
    void *more;
} wrapper[2] = {{0x466243b1, 1, kernels_image, NULL}, {0x466243b1, 1, kernels_image, NULL}};
static char add_stub[2], use_stub[2], bad_stub[2], counter[2];

static void **load(int i)
{
    void **h = __cudaRegisterFatBinary(&wrapper[i]);

    __cudaRegisterFunction(h, &add_stub[i], "add_int", "add_int", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &use_stub[i], "use_global", "use_global", -1, 0, 0, 0, 0, 0);
    __cudaRegisterFunction(h, &bad_stub[i], "no_such", "no_such", -1, 0, 0, 0, 0, 0);
    __cudaRegisterVar(h, &counter[i], "global_counter", "global_counter", 0, 4, 0, 1);
    __cudaRegisterFatBinaryEnd(h);
    return h;
}

static void use(int i)
{
    int out[4] = {0}, v = 100 + i;
    struct cudaFuncAttributes at;
    void *p, *args[] = {&p}, *addr;
    size_t n = 0;

    printf("-- use %d\n", i);
    T_OK(cudaMalloc(&p, 16));
    T(cudaLaunchKernel(&use_stub[i], (dim3){1, 1, 1}, (dim3){4, 1, 1}, args, 0, 0));
    T(cudaMemcpy(out, p, 16, cudaMemcpyDeviceToHost));
    T_INT("counter", out[3]);
    T(cudaMemcpyToSymbol(&counter[i], &v, 4, 0, cudaMemcpyHostToDevice));
    T(cudaLaunchKernel(&use_stub[i], (dim3){1, 1, 1}, (dim3){4, 1, 1}, args, 0, 0));
    T(cudaMemcpy(out, p, 16, cudaMemcpyDeviceToHost));
    T_INT("counter", out[3]);
    v = 0;
    T(cudaMemcpyFromSymbol(&v, &counter[i], 4, 0, cudaMemcpyDeviceToHost));
    T_INT("symbol", v);
    T(cudaGetSymbolSize(&n, &counter[i]));
    T_INT("size", n);
    T(cudaGetSymbolAddress(&addr, &counter[i]));
    T(cudaFuncGetAttributes(&at, &add_stub[i]));
    T(cudaLaunchKernel(&bad_stub[i], (dim3){1, 1, 1}, (dim3){1, 1, 1}, args, 0, 0));
    T(cudaGetLastError());
    T(cudaFree(p));
}

int main(void)
{
    struct cudaFuncAttributes at;
    void **a, **b;
    size_t n;

    a = load(0);
    use(0);
    b = load(1); /* the same image in another library has its own variables */
    use(1);
    use(0);
    __cudaUnregisterFatBinary(b);
    T(cudaFuncGetAttributes(&at, &add_stub[1]));
    T(cudaGetSymbolSize(&n, &counter[1]));
    T(cudaGetLastError());
    use(0);
    b = load(1);
    use(1);
    T(cudaDeviceReset());
    use(1);
    __cudaUnregisterFatBinary(b);
    __cudaUnregisterFatBinary(a);
    return 0;
}
