/* SPDX-License-Identifier: MIT */
/* covers: cuLaunchKernel cuFuncGetAttribute cuFuncSetAttribute */
/* Parameters of every size by pointers and as one buffer; shared memory beyond 48 KiB. */
#include "kernels.h"

struct mixed {
    char c;
    double d;
    short s[3];
    void *p;
};

int main(void)
{
    CUfunction many = t_kernel("many_args"), sized = t_kernel("shared_size");
    struct {
        unsigned char a;
        short b;
        int c;
        long long d;
        float e;
        double f;
        struct mixed m;
        int v[4] __attribute__((aligned(16)));
        double *out;
    } k = {200, -3, 1 << 30, -(1ll << 40), 0.5f, 1e100, {'x', 2.5, {1, 2, 3}, NULL}, {1, 2, 3, 4}};
    size_t size = sizeof(k);
    void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &k, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
                     CU_LAUNCH_PARAM_END};
    double host[11];
    int words, n = -1, *p;

    T_OK(cudaMalloc((void **)&k.out, sizeof(host)));
    k.m.p = k.out;
    for (int i = 0; i < 2; i++) {
        T(cudaMemset(k.out, 0, sizeof(host)));
        if (i == 0)
            T(t_launch(many, 1, 1, 0, NULL,
                       ARGS(&k.a, &k.b, &k.c, &k.d, &k.e, &k.f, &k.m, k.v, &k.out)));
        else
            T(cuLaunchKernel(many, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
        T(cudaMemcpy(host, k.out, sizeof(host), cudaMemcpyDeviceToHost));
        T_DIGEST("seen", host, sizeof(host));
    }
    T(cuLaunchKernel(many, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
    T(cuLaunchKernel(many, 1, 1, 1, 1, 1, 1, 0, NULL, ARGS(&k.a), extra));
    p = (int *)k.out;
    for (int kib = 48; kib <= 64; kib += 8) {
        int octets = kib * 1024;

        words = octets / 4;
        T(t_launch(sized, 1, 128, octets, NULL, ARGS(&p, &words)));
        T(cuFuncSetAttribute(sized, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, octets));
        T(cuFuncGetAttribute(&n, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sized));
        T_INT("allowed", n);
        T(t_launch(sized, 1, 128, octets, NULL, ARGS(&p, &words)));
        T(cudaMemcpy(&n, p, 4, cudaMemcpyDeviceToHost));
        T_INT("last word", n);
    }
    T(cuFuncSetAttribute(sized, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 1 << 20));
    T(cuFuncSetAttribute(sized, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, -1));
    T(cuFuncSetAttribute(sized, (CUfunction_attribute)77, 1));
    T(cuFuncGetAttribute(&n, (CUfunction_attribute)77, sized));
    return 0;
}
