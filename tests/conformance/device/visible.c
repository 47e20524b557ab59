/* SPDX-License-Identifier: MIT */
/* covers: cudaGetDeviceCount cudaGetDeviceProperties cuInit */
/* What CUDA_VISIBLE_DEVICES does to the number of devices; each value in a process of its own. */
#include <cuda.h>
#include <cuda_runtime_api.h>

#include "child.h"

static const char *value;
static char uuid[80];

static void count(void)
{
    int n = -1, a = -1, rc;

    if (value)
        setenv("CUDA_VISIBLE_DEVICES", value, 1);
    rc = T(cudaGetDeviceCount(&n));
    T_DEVICE("count", n);
    T(cuInit(0));
    T(cuDeviceGetCount(&a));
    T_BOOL("same", n == a || rc == 100);
    T(cudaSetDevice(0));
    T(cudaFree(0));
    T(cudaGetLastError());
}

/* The device's UUID as nvidia-smi writes it, told by a child through a pipe. */
static void ask(void)
{
    int fd[2];

    if (pipe(fd))
        exit(3);
    if (fork() == 0) {
        struct cudaDeviceProp p;
        char s[80] = "GPU-";
        int at = 4;

        if (cudaGetDeviceProperties(&p, 0))
            _exit(1);
        for (int i = 0; i < 16; i++) {
            if (i == 4 || i == 6 || i == 8 || i == 10)
                s[at++] = '-';
            at += sprintf(s + at, "%02x", (uint8_t)p.uuid.bytes[i]);
        }
        _exit(write(fd[1], s, sizeof(s)) < 0);
    }
    close(fd[1]);
    if (read(fd[0], uuid, sizeof(uuid)) <= 0)
        exit(3);
    wait(NULL);
}

int main(void)
{
    static const char *values[] = {NULL, "",   "0",    "1000", "-1",  "0,0", "0,1000,0",
                                   "x",  "0x", "-1,0", "GPU-", "0,x", ",0"};
    char half[16], upper[80];

    unsetenv("CUDA_VISIBLE_DEVICES");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char name[64];

        value = values[i];
        snprintf(name, sizeof(name), "<%s>", value ? value : "unset");
        t_child(name, count);
    }
    ask();
    value = uuid;
    t_child("uuid", count);
    snprintf(half, sizeof(half), "%.9s", uuid);
    value = half;
    t_child("prefix", count);
    strcpy(upper, uuid);
    for (char *c = upper + 4; *c; c++)
        if (*c >= 'a')
            *c -= 32;
    value = upper;
    t_child("upper case", count);
    value = uuid + 4;
    t_child("without GPU-", count);
    return 0;
}
