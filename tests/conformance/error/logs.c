/* SPDX-License-Identifier: MIT */
/* covers: cudaLogsRegisterCallback cudaLogsUnregisterCallback cudaLogsCurrent cudaLogsDumpToMemory
 * cudaLogsDumpToFile cuLogsRegisterCallback cuLogsUnregisterCallback cuLogsCurrent
 * cuLogsDumpToMemory cuLogsDumpToFile */
/* The error log. Its texts are the driver's own and not compared, only that there are some. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "transcript.h"

static int called;

static void told(void *arg, cudaLogLevel level, char *text, size_t n)
{
    called++;
}

static void told_driver(void *arg, CUlogLevel level, char *text, size_t n)
{
    called++;
}

int main(void)
{
    cudaLogsCallbackHandle h = NULL;
    CUlogsCallbackHandle d = NULL;
    cudaLogIterator at = 0;
    CUlogIterator at2 = 0;
    static char text[30000];
    size_t n = sizeof(text);
    void *p;

    T_OK(cudaFree(0));
    T(cudaLogsRegisterCallback(told, NULL, &h));
    T_BOOL("handle", h != NULL);
    T(cudaLogsCurrent(&at, 0));
    T(cudaMalloc(&p, (size_t)-1));
    T(cudaLogsDumpToMemory(&at, text, &n, 0));
    T(cudaLogsUnregisterCallback(h));
    T(cudaLogsUnregisterCallback(NULL));
    T(cudaLogsRegisterCallback(NULL, NULL, &h));
    T(cudaLogsRegisterCallback(told, NULL, NULL));
    T(cudaLogsCurrent(NULL, 0));
    T(cudaLogsCurrent(&at, 1));
    n = sizeof(text);
    T(cudaLogsDumpToMemory(NULL, text, &n, 0));
    T(cudaLogsDumpToMemory(NULL, NULL, &n, 0));
    n = 3;
    T(cudaLogsDumpToMemory(NULL, text, &n, 0));
    n = sizeof(text);
    T(cudaLogsDumpToMemory(NULL, text, &n, 1));
    T(cudaLogsDumpToFile(NULL, "/nowhere/at/all", 0));
    T(cudaLogsDumpToFile(NULL, "/dev/null", 0));
    T(cudaLogsDumpToFile(NULL, NULL, 0));
    T(cuLogsRegisterCallback(told_driver, NULL, &d));
    T(cuLogsCurrent(&at2, 0));
    n = sizeof(text);
    T(cuLogsDumpToMemory(&at2, text, &n, 0));
    T_INT("nothing new", n);
    T(cuLogsDumpToFile(NULL, "/dev/null", 0));
    T(cuLogsUnregisterCallback(d));
    T(cudaGetLastError());
    return 0;
}
