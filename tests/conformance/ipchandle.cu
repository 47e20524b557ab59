// SPDX-License-Identifier: MIT
// For tests of who may open what. Without arguments: prints a memory and an event handle in
// hexadecimal, and waits for the end of its standard input; then its memory is still as it was, or
// it says so. With two of these as arguments: opens them and prints what came of it.
#include <cuda_runtime.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static void print(const void *p)
{
    for (int i = 0; i < 64; i++)
        printf("%02x", ((const unsigned char *)p)[i]);
    printf("\n");
}

static void parse(const char *text, void *p)
{
    for (int i = 0; i < 64; i++) {
        unsigned v = 0;

        sscanf(text + 2 * i, "%2x", &v);
        ((unsigned char *)p)[i] = (unsigned char)v;
    }
}

int main(int argc, char **argv)
{
    cudaIpcMemHandle_t mem;
    cudaIpcEventHandle_t event;
    cudaEvent_t e;
    void *p;
    int value = 1234, got = 0;
    char c;

    if (argc == 3 && strlen(argv[1]) == 128 && strlen(argv[2]) == 128) {
        parse(argv[1], &mem);
        parse(argv[2], &event);
        int rc = cudaIpcOpenMemHandle(&p, mem, cudaIpcMemLazyEnablePeerAccess);
        if (rc == 0) {
            CHECK(cudaMemcpy(&got, p, sizeof(got), cudaMemcpyDeviceToHost));
            CHECK(cudaMemset(p, 0, sizeof(got)));
        }
        printf("memory %d %d\n", rc, got);
        printf("event %d\n", (int)cudaIpcOpenEventHandle(&e, event));
        return 0;
    }
    CHECK(cudaMalloc(&p, 4096));
    CHECK(cudaMemcpy(p, &value, sizeof(value), cudaMemcpyHostToDevice));
    CHECK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming | cudaEventInterprocess));
    CHECK(cudaIpcGetMemHandle(&mem, p));
    CHECK(cudaIpcGetEventHandle(&event, e));
    print(&mem);
    print(&event);
    fflush(stdout);
    while (read(0, &c, 1) > 0)
        ;
    CHECK(cudaMemcpy(&got, p, sizeof(got), cudaMemcpyDeviceToHost));
    printf("still %d\n", got);
    return 0;
}
