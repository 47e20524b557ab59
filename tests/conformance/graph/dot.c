/* SPDX-License-Identifier: MIT */
/* covers: cudaGraphDebugDotPrint */
/* The debug print of a graph. */
#include <cuda_runtime_api.h>
#include <unistd.h>

#include "transcript.h"

int main(void)
{
    cudaGraph_t g;
    cudaGraphNode_t a, b;
    char path[] = "/tmp/gvm-dot-XXXXXX", line[4096];
    int fd, graph = 0, edge = 0;
    FILE *f;

    fd = mkstemp(path);
    T_OK(cudaFree(NULL));
    T_OK(cudaGraphCreate(&g, 0));
    T_OK(cudaGraphAddEmptyNode(&a, g, NULL, 0));
    T_OK(cudaGraphAddEmptyNode(&b, g, &a, 1));
    T(cudaGraphDebugDotPrint(g, path, 0));
    f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f)) {
        graph |= strstr(line, "digraph") != NULL;
        edge |= strstr(line, "->") != NULL;
    }
    T_BOOL("a graph", graph);
    T_BOOL("an edge", edge);
    T(cudaGraphDebugDotPrint(g, path, cudaGraphDebugDotFlagsVerbose));
    T(cudaGraphDebugDotPrint(g, "/nonexistent/x", 0));
    T(cudaGraphDebugDotPrint(g, NULL, 0));
    T(cudaGraphDebugDotPrint(NULL, path, 0));
    close(fd);
    unlink(path);
    return 0;
}
