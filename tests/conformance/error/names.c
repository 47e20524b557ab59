/* SPDX-License-Identifier: MIT */
/* covers: cudaGetErrorName cudaGetErrorString cuGetErrorName cuGetErrorString */
/* Names and texts of every code, and of numbers that are none. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

int main(void)
{
    static const int odd[] = {-1, 1000, 10000, 999999, 0x7fffffff};
    const char *s;

    for (int i = 0; i < 1000 + 5; i++) {
        int e = i < 1000 ? i : odd[i - 1000];
        const char *name = cudaGetErrorName((cudaError_t)e), *text = "-", *dn = "-";
        int a, b;

        a = cuGetErrorName((CUresult)e, &dn);
        b = cuGetErrorString((CUresult)e, &text);
        if (i < 1000 && a && strcmp(name, "unrecognized error code") == 0)
            continue;
        printf("%d = %s | %s | %d %s | %d %s\n", e, name, cudaGetErrorString((cudaError_t)e), a,
               dn ? dn : "NULL", b, text ? text : "NULL");
    }
    s = "kept";
    T(cuGetErrorName((CUresult)12345, &s));
    T_STR("s", s ? s : "NULL");
    return 0;
}
