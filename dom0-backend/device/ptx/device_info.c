/* SPDX-License-Identifier: MIT */
/*
 * What the software device says of itself. Limits are those of compute capability 9.0 where the
 * interpreter has them; figures of the machine are read from it; what is not implemented
 * (clusters, memory pools, ...) is reported as absent, because programs branch on it.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/device/ptx/device_int.h"

#define DRIVER_VERSION 13000

/* CUdevice_attribute, the ones that are not 0. */
static const struct {
    uint16_t attr;
    int32_t value;
} fixed[] = {
    {1, PTX_MAX_THREADS},     /* MAX_THREADS_PER_BLOCK */
    {2, PTX_MAX_THREADS},     /* MAX_BLOCK_DIM_X */
    {3, PTX_MAX_THREADS},     /* MAX_BLOCK_DIM_Y */
    {4, MAX_BLOCK_Z},         /* MAX_BLOCK_DIM_Z */
    {5, MAX_GRID_X},          /* MAX_GRID_DIM_X */
    {6, MAX_GRID_YZ},         /* MAX_GRID_DIM_Y */
    {7, MAX_GRID_YZ},         /* MAX_GRID_DIM_Z */
    {8, BLOCK_SHARED},        /* MAX_SHARED_MEMORY_PER_BLOCK */
    {9, 65536},               /* TOTAL_CONSTANT_MEMORY */
    {10, WARP},               /* WARP_SIZE */
    {11, 2147483647},         /* MAX_PITCH */
    {12, SM_REGS},            /* MAX_REGISTERS_PER_BLOCK */
    {14, 512},                /* TEXTURE_ALIGNMENT */
    {15, 1},                  /* GPU_OVERLAP */
    {19, 1},                  /* CAN_MAP_HOST_MEMORY */
    {21, MAX_1D},             /* MAXIMUM_TEXTURE1D_WIDTH */
    {22, MAX_2D_WIDTH},       /* MAXIMUM_TEXTURE2D_WIDTH */
    {23, MAX_2D_HEIGHT},      /* MAXIMUM_TEXTURE2D_HEIGHT */
    {24, MAX_3D},             /* MAXIMUM_TEXTURE3D_WIDTH */
    {25, MAX_3D},             /* MAXIMUM_TEXTURE3D_HEIGHT */
    {26, MAX_3D},             /* MAXIMUM_TEXTURE3D_DEPTH */
    {27, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_LAYERED_WIDTH */
    {28, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_LAYERED_HEIGHT */
    {29, MAX_LAYERS},         /* MAXIMUM_TEXTURE2D_LAYERED_LAYERS */
    {30, 512},                /* SURFACE_ALIGNMENT */
    {31, 1},                  /* CONCURRENT_KERNELS */
    {39, SM_THREADS},         /* MAX_THREADS_PER_MULTIPROCESSOR */
    {40, 1},                  /* ASYNC_ENGINE_COUNT */
    {41, 1},                  /* UNIFIED_ADDRESSING */
    {42, MAX_LAYERED},        /* MAXIMUM_TEXTURE1D_LAYERED_WIDTH */
    {43, MAX_LAYERS},         /* MAXIMUM_TEXTURE1D_LAYERED_LAYERS */
    {45, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_GATHER_WIDTH */
    {46, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_GATHER_HEIGHT */
    {47, MAX_3D / 2},         /* MAXIMUM_TEXTURE3D_WIDTH_ALTERNATE */
    {48, MAX_3D / 2},         /* MAXIMUM_TEXTURE3D_HEIGHT_ALTERNATE */
    {49, MAX_3D * 2},         /* MAXIMUM_TEXTURE3D_DEPTH_ALTERNATE */
    {51, 32},                 /* TEXTURE_PITCH_ALIGNMENT */
    {52, MAX_LAYERED},        /* MAXIMUM_TEXTURECUBEMAP_WIDTH */
    {53, MAX_LAYERED},        /* MAXIMUM_TEXTURECUBEMAP_LAYERED_WIDTH */
    {54, MAX_CUBE_LAYERS},    /* MAXIMUM_TEXTURECUBEMAP_LAYERED_LAYERS */
    {55, MAX_LAYERED},        /* MAXIMUM_SURFACE1D_WIDTH */
    {56, MAX_2D_WIDTH},       /* MAXIMUM_SURFACE2D_WIDTH */
    {57, MAX_2D_HEIGHT},      /* MAXIMUM_SURFACE2D_HEIGHT */
    {58, MAX_3D},             /* MAXIMUM_SURFACE3D_WIDTH */
    {59, MAX_3D},             /* MAXIMUM_SURFACE3D_HEIGHT */
    {60, MAX_3D},             /* MAXIMUM_SURFACE3D_DEPTH */
    {61, MAX_LAYERED},        /* MAXIMUM_SURFACE1D_LAYERED_WIDTH */
    {62, MAX_LAYERS},         /* MAXIMUM_SURFACE1D_LAYERED_LAYERS */
    {63, MAX_LAYERED},        /* MAXIMUM_SURFACE2D_LAYERED_WIDTH */
    {64, MAX_LAYERED},        /* MAXIMUM_SURFACE2D_LAYERED_HEIGHT */
    {65, MAX_LAYERS},         /* MAXIMUM_SURFACE2D_LAYERED_LAYERS */
    {66, MAX_LAYERED},        /* MAXIMUM_SURFACECUBEMAP_WIDTH */
    {67, MAX_LAYERED},        /* MAXIMUM_SURFACECUBEMAP_LAYERED_WIDTH */
    {68, MAX_CUBE_LAYERS},    /* MAXIMUM_SURFACECUBEMAP_LAYERED_LAYERS */
    {69, MAX_1D_LINEAR},      /* MAXIMUM_TEXTURE1D_LINEAR_WIDTH */
    {70, MAX_2D_WIDTH},       /* MAXIMUM_TEXTURE2D_LINEAR_WIDTH */
    {71, MAX_LINEAR_HEIGHT},  /* MAXIMUM_TEXTURE2D_LINEAR_HEIGHT */
    {72, MAX_LINEAR_PITCH},   /* MAXIMUM_TEXTURE2D_LINEAR_PITCH */
    {73, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_MIPMAPPED_WIDTH */
    {74, MAX_LAYERED},        /* MAXIMUM_TEXTURE2D_MIPMAPPED_HEIGHT */
    {77, MAX_LAYERED},        /* MAXIMUM_TEXTURE1D_MIPMAPPED_WIDTH */
    {78, 1},                  /* STREAM_PRIORITIES_SUPPORTED: as hints */
    {79, 1},                  /* GLOBAL_L1_CACHE_SUPPORTED */
    {80, 1},                  /* LOCAL_L1_CACHE_SUPPORTED */
    {81, SM_SHARED},          /* MAX_SHARED_MEMORY_PER_MULTIPROCESSOR */
    {82, SM_REGS},            /* MAX_REGISTERS_PER_MULTIPROCESSOR */
    {83, 1},                  /* MANAGED_MEMORY */
    {86, 1},                  /* HOST_NATIVE_ATOMIC_SUPPORTED */
    {87, 2},                  /* SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO */
    {90, 1},                  /* COMPUTE_PREEMPTION_SUPPORTED */
    {95, 1},                  /* COOPERATIVE_LAUNCH */
    {97, PTX_MAX_SHARED},     /* MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
    {99, 1},                  /* HOST_REGISTER_SUPPORTED */
    {102, 1},                 /* VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED */
    {106, SM_BLOCKS},         /* MAX_BLOCKS_PER_MULTIPROCESSOR */
    {111, SM_SHARED_RESERVE}, /* RESERVED_SHARED_MEMORY_PER_BLOCK */
    {115, 1},                 /* MEMORY_POOLS_SUPPORTED */
    {122, 1},                 /* CAN_USE_64_BIT_STREAM_MEM_OPS */
    {123, 1},                 /* CAN_USE_STREAM_WAIT_VALUE_NOR */
    {126, 4},                 /* MEM_SYNC_DOMAIN_COUNT */
    {103, 1},                 /* HANDLE_TYPE_POSIX_FILE_DESCRIPTOR_SUPPORTED */
    {119, 1},                 /* MEMPOOL_SUPPORTED_HANDLE_TYPES: the same */
    {125, 1},                 /* IPC_EVENT_SUPPORTED */
    {131, -1},                /* NUMA_ID */
    {134, -1},                /* HOST_NUMA_ID */
};

enum {
    ATTR_CLOCK_RATE = 13,
    ATTR_SM_COUNT = 16,
    ATTR_MEMORY_CLOCK = 36,
    ATTR_BUS_WIDTH = 37,
    ATTR_L2_SIZE = 38,
    ATTR_MAJOR = 75, /* of the compute capability */
    ATTR_MINOR = 76
};

/* A processor's clock cannot be found out everywhere (virtual machines); programs divide by it. */
#define DEFAULT_KHZ 1000000
/* Memory's cannot be found out without privileges: one DDR4-3200 channel. */
#define MEMORY_KHZ  1600000
#define MEMORY_BITS 64

static int32_t clock_khz(void)
{
    char line[256];
    double mhz = 0;
    long khz = 0;
    FILE *f;

    f = fopen("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "re");
    if (f) {
        if (fscanf(f, "%ld", &khz) != 1)
            khz = 0;
        fclose(f);
    }
    f = khz > 0 ? NULL : fopen("/proc/cpuinfo", "re");
    if (f) {
        while (mhz == 0 && fgets(line, sizeof(line), f))
            if (sscanf(line, "cpu MHz : %lf", &mhz) != 1)
                mhz = 0;
        fclose(f);
        khz = (long)(mhz * 1000);
    }
    return khz > 0 && khz < 100000000 ? (int32_t)khz : DEFAULT_KHZ;
}

void device_describe(struct dev_info *out, unsigned nsm, uint64_t mem)
{
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);

    memset(out, 0, sizeof(*out));
    snprintf(out->name, sizeof(out->name), "GVM software device");
    memcpy(out->uuid, "GVM-software-dev", sizeof(out->uuid));
    snprintf(out->pci_bus_id, sizeof(out->pci_bus_id), "0000:00:00.0");
    out->prio_least = 0;
    out->prio_greatest = -5; /* taken, and without effect: CUDA promises none */
    out->total_mem = mem;
    out->driver_version = DRIVER_VERSION;
    out->caps = DEV_CAP_POOL_DIRECT;
    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        out->attr[fixed[i].attr] = fixed[i].value;
    out->attr[ATTR_MAJOR] = (int32_t)ptx_target() / 10;
    out->attr[ATTR_MINOR] = (int32_t)ptx_target() % 10;
    out->attr[ATTR_SM_COUNT] = (int32_t)nsm;
    out->attr[ATTR_CLOCK_RATE] = clock_khz();
    out->attr[ATTR_MEMORY_CLOCK] = MEMORY_KHZ;
    out->attr[ATTR_BUS_WIDTH] = MEMORY_BITS;
    if (cache <= 0)
        cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
    out->attr[ATTR_L2_SIZE] = cache > 0 && cache <= INT32_MAX ? (int32_t)cache : 1 << 20;
}
