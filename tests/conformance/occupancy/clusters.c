/* SPDX-License-Identifier: MIT */
/* covers: cuOccupancyMaxActiveClusters cuOccupancyMaxPotentialClusterSize */
/* How many clusters fit, and how large a cluster may be. */
#include "module/driver.h"

static const char ptx[] = ".version 7.8\n.target sm_90\n.address_size 64\n"
                          ".visible .entry k()\n{\n  ret;\n}\n";

static void ask(CUfunction f, unsigned grid, unsigned block, unsigned cluster, unsigned smem)
{
    CUlaunchAttribute a = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
    CUlaunchConfig cfg = {grid, 1, 1, block, 1, 1, smem, NULL, &a, cluster ? 1 : 0};
    int n = -1;

    printf("grid %u block %u cluster %u shared %u\n", grid, block, cluster, smem);
    a.value.clusterDim.x = cluster;
    a.value.clusterDim.y = a.value.clusterDim.z = 1;
    T(cuOccupancyMaxActiveClusters(&n, f, &cfg));
    T_DEVICE("clusters", n);
    n = -1;
    T(cuOccupancyMaxPotentialClusterSize(&n, f, &cfg));
    T_DEVICE("size", n);
}

int main(void)
{
    CUlaunchConfig cfg = {8, 1, 1, 32, 1, 1, 0, NULL, NULL, 0};
    CUmodule m;
    CUfunction f;
    int n;

    t_context();
    T_OK(cuModuleLoadData(&m, ptx));
    T_OK(cuModuleGetFunction(&f, m, "k"));
    ask(f, 64, 128, 0, 0);
    ask(f, 64, 128, 1, 0);
    ask(f, 64, 128, 2, 0);
    ask(f, 64, 1024, 4, 0);
    ask(f, 64, 1024, 8, 0);
    ask(f, 64, 1024, 8, 40000);
    ask(f, 64, 1024, 16, 0);
    ask(f, 63, 128, 2, 0);
    ask(f, 0, 128, 2, 0);
    ask(f, 64, 0, 2, 0);
    ask(f, 64, 2000, 2, 0);
    ask(f, 64, 128, 2, 100000);
    T(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1));
    ask(f, 64, 1024, 16, 0);
    T(cuOccupancyMaxActiveClusters(NULL, f, &cfg));
    T(cuOccupancyMaxActiveClusters(&n, NULL, &cfg));
    T(cuOccupancyMaxActiveClusters(&n, f, NULL));
    T(cuOccupancyMaxPotentialClusterSize(NULL, f, &cfg));
    T(cuOccupancyMaxPotentialClusterSize(&n, NULL, &cfg));
    T(cuOccupancyMaxPotentialClusterSize(&n, f, NULL));
    return 0;
}
