/* SPDX-License-Identifier: MIT */
/* covers: cudaIpcGetMemHandle cudaIpcOpenMemHandle cudaIpcCloseMemHandle cudaIpcGetEventHandle
 * cudaIpcOpenEventHandle */
/* Memory and an event of one process, used by another one. */
#include <cuda_runtime_api.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transcript.h"

struct message {
    cudaIpcMemHandle_t mem;
    cudaIpcEventHandle_t event;
};

static int child(int in, int out)
{
    struct message m;
    static uint8_t data[4096];
    cudaEvent_t e;
    void *p = NULL, *q = NULL;
    char done = 1;

    if (read(in, &m, sizeof(m)) != sizeof(m))
        return 1;
    T(cudaIpcOpenMemHandle(&p, m.mem, cudaIpcMemLazyEnablePeerAccess));
    T(cudaIpcOpenEventHandle(&e, m.event));
    T(cudaEventSynchronize(e));
    T(cudaMemcpy(data, p, sizeof(data), cudaMemcpyDeviceToHost));
    T_DIGEST("child sees", data, sizeof(data));
    T(cudaMemset(p, 0x77, 100));
    T(cudaDeviceSynchronize());
    T(cudaIpcOpenMemHandle(&q, m.mem, cudaIpcMemLazyEnablePeerAccess));
    T_BOOL("same address again", p == q);
    T(cudaFree(p));
    T(cudaIpcCloseMemHandle(p));
    T(cudaIpcCloseMemHandle(p));
    T(cudaIpcCloseMemHandle(p));
    T(cudaEventDestroy(e));
    return write(out, &done, 1) != 1;
}

int main(int argc, char **argv)
{
    static uint8_t data[4096];
    struct message m;
    int to[2], from[2], status = 0, v = 0;
    cudaEvent_t e, plain;
    uint8_t *p;
    void *q;
    char c;
    pid_t pid;

    if (argc > 2)
        return child(atoi(argv[1]), atoi(argv[2]));
    if (pipe(to) || pipe(from))
        return 1;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        char a[12], b[12];

        snprintf(a, sizeof(a), "%d", to[0]);
        snprintf(b, sizeof(b), "%d", from[1]);
        execl("/proc/self/exe", argv[0], a, b, (char *)NULL);
        _exit(9);
    }
    close(from[1]);
    T(cudaDeviceGetAttribute(&v, cudaDevAttrIpcEventSupport, 0));
    T_INT("event support", v);
    t_fill(data, sizeof(data), 31);
    T_OK(cudaMalloc((void **)&p, sizeof(data)));
    T_OK(cudaMemcpy(p, data, sizeof(data), cudaMemcpyHostToDevice));
    T_OK(cudaEventCreateWithFlags(&e, cudaEventDisableTiming | cudaEventInterprocess));
    T_OK(cudaEventCreate(&plain));
    T_OK(cudaEventRecord(e, 0));
    T(cudaIpcGetMemHandle(&m.mem, p));
    T(cudaIpcGetEventHandle(&m.event, e));
    if (write(to[1], &m, sizeof(m)) != sizeof(m))
        return 1;
    T_BOOL("child answers", read(from[0], &c, 1) == 1);
    waitpid(pid, &status, 0);
    T_INT("child", status);
    T(cudaMemcpy(data, p, sizeof(data), cudaMemcpyDeviceToHost));
    T_DIGEST("parent sees", data, sizeof(data));
    T(cudaIpcOpenMemHandle(&q, m.mem, cudaIpcMemLazyEnablePeerAccess));
    T(cudaIpcGetMemHandle(&m.mem, NULL));
    T(cudaIpcGetMemHandle(&m.mem, data));
    T(cudaIpcGetEventHandle(&m.event, plain));
    T(cudaEventCreateWithFlags(&plain, cudaEventInterprocess));
    T(cudaIpcCloseMemHandle(p));
    T(cudaIpcCloseMemHandle(NULL));
    memset(&m, 0x5a, sizeof(m));
    T(cudaIpcOpenMemHandle(&q, m.mem, cudaIpcMemLazyEnablePeerAccess));
    T(cudaIpcOpenMemHandle(&q, m.mem, 0));
    T(cudaGetLastError());
    return 0;
}
