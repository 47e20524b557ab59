/* SPDX-License-Identifier: MIT */
/* covers: cudaDeviceSynchronize */
/* The trap instruction and a misaligned store, each in a process of its own. */
#include "kernels.h"

#include <sys/wait.h>
#include <unistd.h>

static void trap(void)
{
    T(t_launch(t_kernel("trap"), 1, 32, 0, NULL, NULL));
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
    T(cudaFree(NULL));
}

static void misaligned(void)
{
    int *p, v = 1;

    T(cudaMalloc((void **)&p, 64));
    p = (int *)((char *)p + 2);
    T(t_launch(t_kernel("poke"), 1, 1, 0, NULL, ARGS(&p, &v)));
    T(cudaDeviceSynchronize());
    T(cudaGetLastError());
}

int main(void)
{
    void (*part[])(void) = {trap, misaligned};

    for (int i = 0; i < 2; i++) {
        int status = -1;
        pid_t pid;

        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            part[i]();
            fflush(stdout);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        T_INT("status", WEXITSTATUS(status));
    }
    return 0;
}
