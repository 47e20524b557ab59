/* SPDX-License-Identifier: MIT */
/*
 * nvml_abi.h - the part of the NVIDIA Management Library's interface that is here: names, numbers and
 * layouts as the public NVML API Reference Guide (docs.nvidia.com/deploy/nvml-api) states them.
 * Written anew, so that the library builds where the toolkit has no nvml.h.
 */
#ifndef GVM_NVML_ABI_H
#define GVM_NVML_ABI_H

typedef enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,
    NVML_ERROR_INVALID_ARGUMENT = 2,
    NVML_ERROR_NOT_SUPPORTED = 3,
    NVML_ERROR_NO_PERMISSION = 4,
    NVML_ERROR_NOT_FOUND = 6,
    NVML_ERROR_INSUFFICIENT_SIZE = 7,
    NVML_ERROR_DRIVER_NOT_LOADED = 9,
    NVML_ERROR_GPU_IS_LOST = 15,
    NVML_ERROR_MEMORY = 20,
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25,
    NVML_ERROR_UNKNOWN = 999,
} nvmlReturn_t;

typedef struct nvmlDevice_st *nvmlDevice_t;

typedef struct {
    char busIdLegacy[16]; /* "0000:01:00.0" */
    unsigned domain, bus, device;
    unsigned pciDeviceId; /* device << 16 | vendor */
    unsigned pciSubSystemId;
    char busId[32]; /* "00000000:01:00.0"; not in versions 1 and 2 of the structure */
} nvmlPciInfo_t;

typedef struct {
    unsigned long long total, free, used; /* octets */
} nvmlMemory_t;

typedef struct {
    unsigned version; /* NVML_VERSION(nvmlMemory_v2_t, 2) */
    unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

#define NVML_VERSION(type, v) ((unsigned)(sizeof(type) | ((v) << 24)))

typedef struct {
    unsigned gpu, memory; /* per cent */
} nvmlUtilization_t;

typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory; /* octets */
} nvmlProcessInfo_v1_t;

typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
    unsigned gpuInstanceId, computeInstanceId; /* ~0: none */
} nvmlProcessInfo_t;

#endif
