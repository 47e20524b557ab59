/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/limits.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/broker/cgroup.h"
#include "dom0-backend/broker/root.h"

static bool uid_in_use(const struct broker *b, uint32_t uid)
{
    const struct worker *w = b->workers;

    while (w && w->uid != uid)
        w = w->next;
    return w != NULL;
}

/* A user id that no other worker has, the one given up longest ago if possible. 0: none is free. */
static uint32_t take_uid(struct broker *b)
{
    for (uint32_t i = 0; i < LIMITS_UIDS; i++) {
        uint32_t uid = b->cfg.uid_base + b->next_uid++ % LIMITS_UIDS;

        if (!uid_in_use(b, uid))
            return uid;
    }
    return 0;
}

/* Whether workers will open an NVIDIA driver. */
static bool wants_driver(const struct broker *b)
{
    return b->cfg.kind ? strcmp(b->cfg.kind, "cuda") == 0 : access("/dev/nvidiactl", F_OK) == 0;
}

/* Memory of this domain: the software device's own counts, as it lies there. 0: no limit. */
static uint64_t memory_of(const struct worker *w, bool driver)
{
    uint64_t m = w->b->cfg.worker_memory;

    if (!m || driver)
        return m;
    return w->params.mem && w->params.mem < UINT64_MAX - m ? m + w->params.mem : 0;
}

int limits_give(struct worker *w, struct spawn *s)
{
    struct broker *b = w->b;

    s->mps = b->cfg.mps;
    if (!b->confine)
        return 0;
    if (b->cfg.uid_base) {
        s->uid = w->uid = take_uid(b);
        if (!s->uid)
            return -EUSERS;
    }
    s->confine = true;
    s->driver = wants_driver(b);
    s->gpu_minor = s->driver ? root_gpu_minor("/proc/driver/nvidia/gpus", w->params.device) : -1;
    s->cgroup = cgroup_make(w->id, memory_of(w, s->driver));
    return 0;
}

void limits_share(struct broker *b, uint64_t guest)
{
    unsigned n = 0;

    if (!b->confine)
        return;
    for (const struct worker *w = b->workers; w; w = w->next)
        n += w->ch && w->ch->host->guest == guest;
    for (const struct worker *w = b->workers; w; w = w->next)
        if (w->ch && w->ch->host->guest == guest)
            cgroup_weigh(w->id, n);
}

/* What lay on the GPU is the worker's own memory meanwhile. */
void limits_park(struct worker *w, uint64_t bytes)
{
    uint64_t m = memory_of(w, wants_driver(w->b));

    if (w->b->confine && m)
        cgroup_limit(w->id, m + bytes);
}

void limits_drop(struct worker *w)
{
    if (w->b->confine)
        cgroup_remove(w->id);
}
