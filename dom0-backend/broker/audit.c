/* SPDX-License-Identifier: MIT */
/*
 * audit.c - uses libnvidia-ml.so.1, which reads and allocates nothing on the GPU. Declarations as in
 * the driver's nvml.h, which a build machine need not have.
 */
#include "dom0-backend/broker/audit.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/broker/broker.h"

#define PERIOD_S 2.
#define MIB      ((uint64_t)1 << 20)
/* What modules, local memory of kernels and the driver's caches may take without being counted. */
#define SLACK    (512 * MIB)
#define BASE_MAX (1024 * MIB) /* a context at the first look has no more */
#define PROCS    1024u

struct nvml_process { /* nvmlProcessInfo_t */
    unsigned pid;
    unsigned long long used;
    unsigned gpu_instance, compute_instance;
};

static struct {
    ev_timer timer;
    struct nvml_process procs[PROCS];
    int (*init)(void);
    int (*count)(unsigned *n);
    int (*device)(unsigned i, void **dev);
    int (*running)(void *dev, unsigned *n, struct nvml_process *p);
} nvml;

bool audit_judge(struct audit *a, uint64_t figure, uint64_t counted)
{
    uint64_t other = figure > counted ? figure - counted : 0;

    if (!a->known) {
        a->known = true;
        a->base = other < BASE_MAX ? other : BASE_MAX;
    }
    /* The two numbers are not of the same instant: memory may have been freed between them. */
    a->times = other > a->base + SLACK ? a->times + 1 : 0;
    return a->times > 1;
}

static bool look_up(const char **why)
{
    void *lib = dlopen("libnvidia-ml.so.1", RTLD_NOW);

    *why = "it cannot be used";
    if (!lib) {
        *why = dlerror();
        return false;
    }
    *(void **)&nvml.init = dlsym(lib, "nvmlInit_v2");
    *(void **)&nvml.count = dlsym(lib, "nvmlDeviceGetCount_v2");
    *(void **)&nvml.device = dlsym(lib, "nvmlDeviceGetHandleByIndex_v2");
    *(void **)&nvml.running = dlsym(lib, "nvmlDeviceGetComputeRunningProcesses_v3");
    return nvml.init && nvml.count && nvml.device && nvml.running && nvml.init() == 0;
}

/* Processes on all GPUs; a worker uses one. */
static unsigned read_processes(void)
{
    unsigned ngpu = 0, n = 0;
    void *dev;

    nvml.count(&ngpu);
    for (unsigned i = 0; i < ngpu && n < PROCS; i++) {
        unsigned got = PROCS - n;

        if (nvml.device(i, &dev) == 0 && nvml.running(dev, &got, nvml.procs + n) == 0)
            n += got;
    }
    return n;
}

static void judge_tenant(struct tenant *t, unsigned n)
{
    bool blocked = false, was = atomic_load(&t->page->mem_blocked);

    for (unsigned i = 0; i < TENANT_SLOTS; i++) {
        struct worker *w = t->slot[i];
        const struct nvml_process *p = nvml.procs;
        uint64_t counted;

        if (!w)
            continue;
        while (p < nvml.procs + n && p->pid != (unsigned)w->pid)
            p++;
        if (p == nvml.procs + n || p->used == ~0ull)
            continue;
        counted = atomic_load(&t->page->slot[i].mem);
        if (!audit_judge(&w->audit, p->used, counted))
            continue;
        blocked = true;
        if (!was)
            log_warn("%s: worker %d has %" PRIu64 " MiB of the GPU's memory, of which %" PRIu64
                     " MiB are counted: this guest gets no more",
                     t->name, (int)w->pid, (uint64_t)p->used / MIB, counted / MIB);
    }
    if (was && !blocked)
        log_info("%s: what it has of the GPU's memory is all counted again", t->name);
    if (was != blocked)
        atomic_store(&t->page->mem_blocked, blocked);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
    struct broker *b = timer->data;
    bool serving = false;
    const char *why;
    unsigned n;

    for (const struct worker *w = b->workers; w; w = w->next)
        serving |= w->state == WORKER_SERVING;
    if (!serving)
        return;
    /* Not at the start: opening the library takes a while, and the first guest waits for it. */
    if (!nvml.running && !look_up(&why)) {
        log_warn("libnvidia-ml.so.1: %s: the driver's figures are not held against the quotas",
                 why);
        ev_timer_stop(loop, timer);
        return;
    }
    n = read_processes();
    for (struct tenant *t = b->tenants; t; t = t->next)
        judge_tenant(t, n);
}

void audit_start(struct broker *b)
{
    if ((b->cfg.kind && strcmp(b->cfg.kind, "cuda") != 0) || access("/dev/nvidiactl", F_OK) < 0)
        return; /* no memory but the workers' own */
    ev_timer_init(&nvml.timer, on_timer, PERIOD_S, PERIOD_S);
    nvml.timer.data = b;
    ev_timer_start(b->loop, &nvml.timer);
}
