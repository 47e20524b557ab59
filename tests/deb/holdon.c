/* SPDX-License-Identifier: MIT */
/*
 * holdon.c - copies to the device and back, and compares, until the file argv[1] exists. It is not
 * linked with a CUDA toolkit: only names of the runtime library are used.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cudaMalloc(void **p, size_t n);
int cudaFree(void *p);
int cudaMemcpy(void *dst, const void *src, size_t n, int kind);
int cudaMemset(void *p, int value, size_t n);

enum { TO_DEVICE = 1, TO_HOST = 2, SIZE = 1 << 20 };

static int check(int err, const char *what)
{
    if (err) {
        printf("%s: error %d\nFAILED\n", what, err);
        exit(1);
    }
    return err;
}

int main(int argc, char **argv)
{
    unsigned char *host = malloc(SIZE), *back = malloc(SIZE);
    unsigned rounds = 0;
    void *dev;

    if (argc < 2 || !host || !back)
        return 2;
    check(cudaMalloc(&dev, SIZE), "cudaMalloc");
    do {
        for (unsigned i = 0; i < SIZE; i++)
            host[i] = (unsigned char)(i * 7 + rounds);
        check(cudaMemcpy(dev, host, SIZE, TO_DEVICE), "cudaMemcpy to the device");
        check(cudaMemset(dev, 0x5a, SIZE / 2), "cudaMemset");
        check(cudaMemcpy(back, dev, SIZE, TO_HOST), "cudaMemcpy to the host");
        memset(host, 0x5a, SIZE / 2);
        if (memcmp(host, back, SIZE) != 0) {
            printf("round %u: wrong contents\nFAILED\n", rounds);
            return 1;
        }
        if (rounds++ == 0) {
            printf("started\n");
            fflush(stdout);
        }
        usleep(2000); /* leaves the machine to what happens meanwhile */
    } while (access(argv[1], F_OK) < 0);
    check(cudaFree(dev), "cudaFree");
    printf("%u rounds\nPASSED\n", rounds);
    return 0;
}
