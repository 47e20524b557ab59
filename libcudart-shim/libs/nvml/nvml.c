/* SPDX-License-Identifier: MIT */
/*
 * nvml.c - libnvidia-ml.so.1, read-only: the guest's vgpu as NVML's callers look at a GPU. The memory
 * is the guest's quota, and what all of its processes use of it.
 *
 * nvmlInit and the number of devices are answered without a connection, so that a process that has
 * only asked how many there are can still fork children that use CUDA (PyTorch relies on that). What
 * else is asked connects as cuInit does.
 */
#include "nvml_abi.h"

#include <ctype.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "calls.h"
#include "libcudart-shim/driver/core.h"

#define NVML_API __attribute__((visibility("default")))
#define API      NVML_API nvmlReturn_t

/* CUdevice_attribute */
enum {
    ATTR_CLOCK = 13,
    ATTR_COMPUTE_MODE = 20,
    ATTR_MEMORY_CLOCK = 36,
    ATTR_BUS_WIDTH = 37,
    ATTR_MAJOR = 75,
    ATTR_MINOR = 76,
};

struct nvmlDevice_st {
    int unused;
};

static struct nvmlDevice_st device;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned inits; /* nvmlInit calls not yet undone */
static struct {
    uint64_t busy_ns, now_ns;
    unsigned percent;
} last;

static bool there(void)
{
    const char *sock = getenv("GVM_SOCKET");

    return (sock && *sock) || access("/dev/vgpu0", R_OK | W_OK) == 0;
}

static nvmlReturn_t ready(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = inits;
    pthread_mutex_unlock(&lock);
    return n ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
}

static nvmlReturn_t from_cuda(int err)
{
    switch (err) {
    case 0:
        return NVML_SUCCESS;
    case 2:
        return NVML_ERROR_MEMORY;
    case 100:
        return NVML_ERROR_NOT_FOUND; /* CUDA_VISIBLE_DEVICES hides it */
    case 3:                          /* a forked child */
    case 4:
        return NVML_ERROR_UNINITIALIZED;
    default:
        return NVML_ERROR_GPU_IS_LOST;
    }
}

/* The device's description, for calls that have been given `d` and somewhere to write. */
static nvmlReturn_t look(nvmlDevice_t d, const void *out, const struct vgpu_device_info **info)
{
    nvmlReturn_t rc = ready();
    int err;

    if (rc)
        return rc;
    if (d != &device || !out)
        return NVML_ERROR_INVALID_ARGUMENT;
    *info = gvm_device(&err);
    return from_cuda(err);
}

static nvmlReturn_t put(char *to, unsigned n, const char *text)
{
    if (!to)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (strlen(text) >= n)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(to, text);
    return NVML_SUCCESS;
}

/* ---- the library */

API nvmlInitWithFlags(unsigned flags)
{
    if (!there())
        return NVML_ERROR_DRIVER_NOT_LOADED;
    pthread_mutex_lock(&lock);
    inits++;
    pthread_mutex_unlock(&lock);
    return NVML_SUCCESS;
}

API nvmlInit_v2(void)
{
    return nvmlInitWithFlags(0);
}

API nvmlInit(void)
{
    return nvmlInitWithFlags(0);
}

API nvmlShutdown(void)
{
    nvmlReturn_t rc = NVML_SUCCESS;

    pthread_mutex_lock(&lock);
    if (inits)
        inits--;
    else
        rc = NVML_ERROR_UNINITIALIZED;
    pthread_mutex_unlock(&lock);
    return rc;
}

NVML_API const char *nvmlErrorString(nvmlReturn_t rc)
{
    switch (rc) {
    case NVML_SUCCESS:
        return "Success";
    case NVML_ERROR_UNINITIALIZED:
        return "Uninitialized";
    case NVML_ERROR_INVALID_ARGUMENT:
        return "Invalid Argument";
    case NVML_ERROR_NOT_SUPPORTED:
        return "Not Supported";
    case NVML_ERROR_NO_PERMISSION:
        return "Insufficient Permissions";
    case NVML_ERROR_NOT_FOUND:
        return "Not Found";
    case NVML_ERROR_INSUFFICIENT_SIZE:
        return "Insufficient Size";
    case NVML_ERROR_DRIVER_NOT_LOADED:
        return "Driver Not Loaded";
    case NVML_ERROR_GPU_IS_LOST:
        return "GPU is lost";
    case NVML_ERROR_MEMORY:
        return "Insufficient Memory";
    case NVML_ERROR_ARGUMENT_VERSION_MISMATCH:
        return "Argument version mismatch";
    default:
        return "Unknown Error";
    }
}

/* NVIDIA's driver is in another domain, and its version not told to guests: that of CUDA is. */
API nvmlSystemGetDriverVersion(char *version, unsigned length)
{
    int v = gvm_driver_version();
    char text[40];

    if (ready())
        return NVML_ERROR_UNINITIALIZED;
    snprintf(text, sizeof(text), "%d.%d-gvm", v / 1000, v % 1000 / 10);
    return put(version, length, text);
}

API nvmlSystemGetNVMLVersion(char *version, unsigned length)
{
    return nvmlSystemGetDriverVersion(version, length);
}

API nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    if (!version)
        return NVML_ERROR_INVALID_ARGUMENT;
    *version = gvm_driver_version();
    return NVML_SUCCESS;
}

API nvmlSystemGetCudaDriverVersion(int *version)
{
    return nvmlSystemGetCudaDriverVersion_v2(version);
}

API nvmlSystemGetProcessName(unsigned pid, char *name, unsigned length)
{
    char path[40], text[256] = "";
    FILE *f;

    if (ready())
        return NVML_ERROR_UNINITIALIZED;
    snprintf(path, sizeof(path), "/proc/%u/cmdline", pid);
    f = fopen(path, "re");
    if (!f || !fgets(text, sizeof(text), f)) {
        if (f)
            fclose(f);
        return NVML_ERROR_NOT_FOUND;
    }
    fclose(f);
    return put(name, length, text); /* up to the first NUL */
}

API nvmlUnitGetCount(unsigned *count)
{
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = 0;
    return ready();
}

/* ---- which device */

API nvmlDeviceGetCount_v2(unsigned *count)
{
    if (!count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = 1; /* /dev/vgpu0: further ones are of no use to a process yet */
    return ready();
}

API nvmlDeviceGetCount(unsigned *count)
{
    return nvmlDeviceGetCount_v2(count);
}

API nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *d)
{
    if (ready())
        return NVML_ERROR_UNINITIALIZED;
    if (!d || index)
        return NVML_ERROR_INVALID_ARGUMENT;
    *d = &device;
    return NVML_SUCCESS;
}

API nvmlDeviceGetHandleByIndex(unsigned index, nvmlDevice_t *d)
{
    return nvmlDeviceGetHandleByIndex_v2(index, d);
}

static void uuid_text(const struct vgpu_device_info *info, char out[41])
{
    unsigned n = (unsigned)sprintf(out, "GPU-");

    for (unsigned i = 0; i < 16; i++)
        n += (unsigned)sprintf(out + n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                               info->uuid[i]);
}

API nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *d)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(&device, d, &info);
    char own[41];

    if (rc || !uuid)
        return rc ? rc : NVML_ERROR_INVALID_ARGUMENT;
    uuid_text(info, own);
    if (strcasecmp(uuid, own) != 0)
        return NVML_ERROR_NOT_FOUND;
    *d = &device;
    return NVML_SUCCESS;
}

static bool pci(const char *text, unsigned *domain, unsigned *bus, unsigned *dev)
{
    return sscanf(text, "%x:%x:%x", domain, bus, dev) == 3; /* the function, if any, is 0 */
}

API nvmlDeviceGetHandleByPciBusId_v2(const char *id, nvmlDevice_t *d)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(&device, d, &info);
    unsigned a[3], b[3];

    if (rc || !id)
        return rc ? rc : NVML_ERROR_INVALID_ARGUMENT;
    if (!pci(id, &a[0], &a[1], &a[2]))
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!pci(info->pci_bus_id, &b[0], &b[1], &b[2]) || memcmp(a, b, sizeof(a)) != 0)
        return NVML_ERROR_NOT_FOUND;
    *d = &device;
    return NVML_SUCCESS;
}

API nvmlDeviceGetHandleByPciBusId(const char *id, nvmlDevice_t *d)
{
    return nvmlDeviceGetHandleByPciBusId_v2(id, d);
}

/* ---- what it is */

API nvmlDeviceGetIndex(nvmlDevice_t d, unsigned *index)
{
    if (ready())
        return NVML_ERROR_UNINITIALIZED;
    if (d != &device || !index)
        return NVML_ERROR_INVALID_ARGUMENT;
    *index = 0;
    return NVML_SUCCESS;
}

/* N of /dev/vgpuN. */
API nvmlDeviceGetMinorNumber(nvmlDevice_t d, unsigned *minor)
{
    return nvmlDeviceGetIndex(d, minor);
}

API nvmlDeviceGetName(nvmlDevice_t d, char *name, unsigned length)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(d, name, &info);

    return rc ? rc : put(name, length, info->name);
}

API nvmlDeviceGetUUID(nvmlDevice_t d, char *uuid, unsigned length)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(d, uuid, &info);
    char text[41];

    if (rc)
        return rc;
    uuid_text(info, text);
    return put(uuid, length, text);
}

/* Which of the vendor's devices it is, CUDA does not say: those members are 0. */
static nvmlReturn_t pci_info(nvmlDevice_t d, nvmlPciInfo_t *p, bool whole)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(d, p, &info);
    unsigned domain, bus, dev;

    if (rc)
        return rc;
    if (!pci(info->pci_bus_id, &domain, &bus, &dev))
        return NVML_ERROR_UNKNOWN;
    memset(p, 0, whole ? sizeof(*p) : offsetof(nvmlPciInfo_t, busId));
    p->domain = domain;
    p->bus = bus;
    p->device = dev;
    snprintf(p->busIdLegacy, sizeof(p->busIdLegacy), "%04X:%02X:%02X.0", domain & 0xffff,
             bus & 0xff, dev & 0xff);
    if (whole)
        snprintf(p->busId, sizeof(p->busId), "%08X:%02X:%02X.0", domain, bus & 0xff, dev & 0xff);
    return NVML_SUCCESS;
}

API nvmlDeviceGetPciInfo_v3(nvmlDevice_t d, nvmlPciInfo_t *p)
{
    return pci_info(d, p, true);
}

API nvmlDeviceGetPciInfo_v2(nvmlDevice_t d, nvmlPciInfo_t *p)
{
    return pci_info(d, p, false);
}

API nvmlDeviceGetPciInfo(nvmlDevice_t d, nvmlPciInfo_t *p)
{
    return pci_info(d, p, false);
}

API nvmlDeviceGetCudaComputeCapability(nvmlDevice_t d, int *major, int *minor)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(d, major, &info);

    if (rc || !minor)
        return rc ? rc : NVML_ERROR_INVALID_ARGUMENT;
    *major = info->attr[ATTR_MAJOR];
    *minor = info->attr[ATTR_MINOR];
    return NVML_SUCCESS;
}

static nvmlReturn_t attribute(nvmlDevice_t d, unsigned attr, unsigned divide, unsigned *out)
{
    const struct vgpu_device_info *info;
    nvmlReturn_t rc = look(d, out, &info);

    if (rc == NVML_SUCCESS)
        *out = (unsigned)info->attr[attr] / divide;
    return rc;
}

API nvmlDeviceGetComputeMode(nvmlDevice_t d, unsigned *mode)
{
    return attribute(d, ATTR_COMPUTE_MODE, 1, mode);
}

API nvmlDeviceGetMemoryBusWidth(nvmlDevice_t d, unsigned *bits)
{
    return attribute(d, ATTR_BUS_WIDTH, 1, bits);
}

/* MHz; 0 graphics, 1 SM, 2 memory. */
API nvmlDeviceGetMaxClockInfo(nvmlDevice_t d, unsigned type, unsigned *mhz)
{
    if (type > 2)
        return NVML_ERROR_NOT_SUPPORTED;
    return attribute(d, type == 2 ? ATTR_MEMORY_CLOCK : ATTR_CLOCK, 1000, mhz);
}

/* ---- what is used of it */

static nvmlReturn_t usage(nvmlDevice_t d, const void *out, struct gvm_usage *u)
{
    nvmlReturn_t rc = ready();

    if (rc)
        return rc;
    if (d != &device || !out)
        return NVML_ERROR_INVALID_ARGUMENT;
    return from_cuda(gvm_usage(u));
}

API nvmlDeviceGetMemoryInfo(nvmlDevice_t d, nvmlMemory_t *m)
{
    struct gvm_usage u;
    nvmlReturn_t rc = usage(d, m, &u);

    if (rc == NVML_SUCCESS)
        *m = (nvmlMemory_t){
            .total = u.mem_total, .free = u.mem_free, .used = u.mem_total - u.mem_free};
    return rc;
}

API nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t d, nvmlMemory_v2_t *m)
{
    struct gvm_usage u;
    nvmlReturn_t rc;

    if (m && m->version != NVML_VERSION(nvmlMemory_v2_t, 2))
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    rc = usage(d, m, &u);
    if (rc == NVML_SUCCESS) {
        m->total = u.mem_total;
        m->reserved = 0;
        m->free = u.mem_free;
        m->used = u.mem_total - u.mem_free;
    }
    return rc;
}

/* Since the last time it was asked, at least 10 ms ago; 0 the first time. Of this process only: what
 * others do is not told. How busy the memory was is not measured: 0. */
API nvmlDeviceGetUtilizationRates(nvmlDevice_t d, nvmlUtilization_t *r)
{
    struct gvm_usage u;
    nvmlReturn_t rc = usage(d, r, &u);

    if (rc)
        return rc;
    pthread_mutex_lock(&lock);
    if (u.now_ns < last.now_ns || u.busy_ns < last.busy_ns) /* another worker's clock */
        last.now_ns = last.busy_ns = 0;
    if (last.now_ns && u.now_ns - last.now_ns >= 10000000) {
        uint64_t part = (u.busy_ns - last.busy_ns) * 100 / (u.now_ns - last.now_ns);

        last.percent = part < 100 ? (unsigned)part : 100;
    }
    if (!last.now_ns || u.now_ns - last.now_ns >= 10000000) {
        last.busy_ns = u.busy_ns;
        last.now_ns = u.now_ns;
    }
    r->gpu = last.percent;
    r->memory = 0;
    pthread_mutex_unlock(&lock);
    return NVML_SUCCESS;
}

/* This process, as others are not told of. `out`: *count structures of `size` octets that begin with a
 * nvmlProcessInfo_v1_t. */
static nvmlReturn_t processes(nvmlDevice_t d, unsigned *count, void *out, size_t size)
{
    struct gvm_usage u;
    nvmlReturn_t rc = usage(d, count, &u);
    nvmlProcessInfo_t p = {.gpuInstanceId = ~0u, .computeInstanceId = ~0u};
    unsigned room;

    if (rc)
        return rc;
    room = *count;
    *count = 1;
    if (!room)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    p.pid = (unsigned)getpid();
    p.usedGpuMemory = u.mem_own;
    memcpy(out, &p, size);
    return NVML_SUCCESS;
}

API nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t d, unsigned *count, nvmlProcessInfo_v1_t *p)
{
    return processes(d, count, p, sizeof(*p));
}

API nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t d, unsigned *count, nvmlProcessInfo_t *p)
{
    return processes(d, count, p, sizeof(*p));
}

API nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t d, unsigned *count, nvmlProcessInfo_t *p)
{
    return processes(d, count, p, sizeof(*p));
}

/* Nothing here draws, and there is no MPS. */
static nvmlReturn_t no_processes(nvmlDevice_t d, unsigned *count)
{
    if (ready())
        return NVML_ERROR_UNINITIALIZED;
    if (d != &device || !count)
        return NVML_ERROR_INVALID_ARGUMENT;
    *count = 0;
    return NVML_SUCCESS;
}

#define NO_PROCESSES(name)                                                                         \
    API name(nvmlDevice_t d, unsigned *count, void *p)                                             \
    {                                                                                              \
        return no_processes(d, count);                                                             \
    }
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses)
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v2)
NO_PROCESSES(nvmlDeviceGetGraphicsRunningProcesses_v3)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v2)
NO_PROCESSES(nvmlDeviceGetMPSComputeRunningProcesses_v3)

/* ---- what is the host's alone: sensors, clocks, links, modes, counters of errors, and all changes */

#define REFUSED(name)                                                                              \
    API name(void)                                                                                 \
    {                                                                                              \
        return ready() ? NVML_ERROR_UNINITIALIZED : NVML_ERROR_NOT_SUPPORTED;                      \
    }
#include "nvml_refused.def"
