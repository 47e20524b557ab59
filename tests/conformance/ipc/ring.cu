/* SPDX-License-Identifier: MIT */
/* covers: cudaIpcGetMemHandle cudaIpcOpenMemHandle cudaIpcCloseMemHandle cudaIpcGetEventHandle
 * cudaIpcOpenEventHandle cudaStreamWaitEvent */
/* Four processes in a ring: each one's kernel adds to the buffer of the next, in an order that only
 * events keep, three times around. Kernels read and write memory of other processes. */
#include <cuda_runtime.h>
#include <sys/mman.h>

#include "two.h"

#define PROCESSES 4
#define ROUNDS    3
#define WORDS     50000

struct shared {
    cudaIpcMemHandle_t mem[PROCESSES];
    cudaIpcEventHandle_t event[PROCESSES];
};

__global__ void step(const int *from, int *to, int add)
{
    int i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i < WORDS)
        to[i] = from[i] + add * (i % 7 + 1);
}

static struct shared *board;
static int self;

/* Set-up prints nothing: four processes would do it at once. */
static void need(int rc, int line)
{
    if (rc) {
        printf("process %d, line %d: error %d\n", self, line, rc);
        exit(3);
    }
}
#define NEED(call) need((int)(call), __LINE__)

static void process(int s)
{
    int *mine, *next;
    cudaEvent_t done, before;
    char c;

    NEED(cudaMalloc((void **)&mine, WORDS * sizeof(int)));
    NEED(cudaMemset(mine, 0, WORDS * sizeof(int)));
    NEED(cudaEventCreateWithFlags(&done, cudaEventDisableTiming | cudaEventInterprocess));
    NEED(cudaDeviceSynchronize());
    NEED(cudaIpcGetMemHandle(&board->mem[self], mine));
    NEED(cudaIpcGetEventHandle(&board->event[self], done));
    turn(s); /* all have handles now */
    NEED(cudaIpcOpenMemHandle((void **)&next, board->mem[(self + 1) % PROCESSES],
                              cudaIpcMemLazyEnablePeerAccess));
    NEED(cudaIpcOpenEventHandle(&before, board->event[(self + PROCESSES - 1) % PROCESSES]));
    give(s, "r", 1, -1);
    for (int i = 0; i < ROUNDS; i++) {
        take(s, &c, 1); /* the one before has recorded its event, but may not have reached it */
        NEED(cudaStreamWaitEvent(0, before, 0));
        step<<<(WORDS + 255) / 256, 256>>>(mine, next, self + 1);
        NEED(cudaEventRecord(done, 0));
        give(s, "d", 1, -1);
    }
    take(s, &c, 1);
    NEED(cudaEventSynchronize(before)); /* what the one before has done to this one's buffer */
    NEED(cudaDeviceSynchronize());
    if (self == 0) {
        static int data[WORDS];

        T(cudaMemcpy(data, mine, sizeof(data), cudaMemcpyDeviceToHost));
        T_INT("word 6", data[6]);
        T_DIGEST("buffer", data, sizeof(data));
    }
    NEED(cudaIpcCloseMemHandle(next));
    turn(s); /* nobody frees what others have open */
    NEED(cudaEventDestroy(before));
    NEED(cudaEventDestroy(done));
    NEED(cudaFree(mine));
}

int main(void)
{
    int s[PROCESSES];
    pid_t pid[PROCESSES];
    char c;

    board = (struct shared *)mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return 4;
    for (self = 0; self < PROCESSES; self++)
        s[self] = start(process, &pid[self]);
    for (int i = 0; i < PROCESSES; i++)
        take(s[i], &c, 1);
    for (int i = 0; i < PROCESSES; i++)
        give(s[i], "g", 1, -1);
    for (int i = 0; i < PROCESSES; i++)
        take(s[i], &c, 1);
    for (int r = 0; r < ROUNDS * PROCESSES; r++) {
        give(s[r % PROCESSES], "g", 1, -1);
        take(s[r % PROCESSES], &c, 1);
    }
    for (int i = 0; i < PROCESSES; i++) {
        give(s[i], "g", 1, -1);
        take(s[i], &c, 1);
    }
    for (int i = 0; i < PROCESSES; i++)
        give(s[i], "g", 1, -1);
    for (int i = 0; i < PROCESSES; i++)
        finish(pid[i]);
    return 0;
}
