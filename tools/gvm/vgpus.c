/* SPDX-License-Identifier: MIT */
#include "tools/gvm/vgpus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/common/xs.h"
#include "vgpu_keys.h"

struct collect {
    struct xs_handle *xs;
    struct vgpus *l;
    bool failed;
};

static struct vgpu *add(struct vgpus *l)
{
    struct vgpu *v = reallocarray(l->v, l->n + 1, sizeof(*v));

    if (!v)
        return NULL;
    l->v = v;
    v += l->n++;
    memset(v, 0, sizeof(*v));
    return v;
}

static void collect_one(void *arg, uint32_t back, uint32_t front, uint32_t devid)
{
    struct collect *c = arg;
    struct vgpu *v = add(c->l);
    char path[XS_PATH_MAX];

    if (!v) {
        c->failed = true;
        return;
    }
    v->back = back;
    v->front = front;
    v->devid = devid;
    strcpy(v->name, "-");
    strcpy(v->device, "?");
    snprintf(path, sizeof(path), "/local/domain/%u", front);
    xs_get(c->xs, XBT_NULL, path, "name", v->name, sizeof(v->name));
    snprintf(path, sizeof(path), VGPU_XS_BACK_FMT, back, front, devid);
    xs_get(c->xs, XBT_NULL, path, VGPU_XS_DEVICE, v->device, sizeof(v->device));
    xs_get(c->xs, XBT_NULL, path, VGPU_XS_ERROR, v->error, sizeof(v->error));
    xs_printable(v->device); /* a driver domain can write there */
    xs_printable(v->error);
    xs_get_uint(c->xs, XBT_NULL, path, VGPU_XS_STATE, 0, 8, &v->bstate);
    xs_get_uint(c->xs, XBT_NULL, path, VGPU_XS_MEM, 0, INT64_MAX, &v->mem);
    xs_get_uint(c->xs, XBT_NULL, path, VGPU_XS_WEIGHT, 0, 65535, &v->weight);
    snprintf(path, sizeof(path), VGPU_XS_FRONT_FMT, front, devid);
    xs_get_uint(c->xs, XBT_NULL, path, VGPU_XS_STATE, 0, 8, &v->fstate);
    v->use = sample_device(c->l->s, front, devid);
}

static bool collect_local(struct vgpus *l)
{
    for (unsigned i = 0; i < l->s->ndevices; i++) {
        const struct vgpu_device *d = &l->s->devices[i];
        struct vgpu *v = add(l);

        if (!v)
            return false;
        v->front = d->domid;
        v->devid = d->devid;
        strcpy(v->name, "local");
        memcpy(v->device, d->device, sizeof(v->device));
        v->bstate = v->fstate = d->state;
        v->mem = d->mem;
        v->weight = d->weight;
        v->use = d;
    }
    return true;
}

struct vgpus *vgpus_get(struct xs_handle *xs, const char *backd)
{
    struct vgpus *l = calloc(1, sizeof(*l));
    struct collect c = {.xs = xs, .l = l};
    char *text;

    if (!l)
        return NULL;
    if (!backd_path(backd, l->path, sizeof(l->path)))
        errno = ENAMETOOLONG;
    else if ((text = backd_ask(l->path, "list"))) {
        l->s = sample_parse(text);
        free(text);
    }
    if (!l->s)
        l->err = errno;
    if (xs)
        nodes_each_back(xs, collect_one, &c);
    else if (l->s && !collect_local(l))
        c.failed = true;
    if (c.failed) {
        vgpus_free(l);
        return NULL;
    }
    return l;
}

void vgpus_free(struct vgpus *l)
{
    if (!l)
        return;
    sample_free(l->s);
    free(l->v);
    free(l);
}

bool vgpus_local(const char *backd)
{
    const char *env = getenv("GVM_BACKD");

    return backd || (env && *env);
}

const char *vgpu_state_name(const struct vgpu *v)
{
    static const char *const names[] = {"unknown",   "initialising", "offered", "initialised",
                                        "connected", "closing",      "closed"};

    if (v->bstate != v->fstate && v->bstate != XB_INITWAIT && v->bstate != XB_CLOSED)
        return "changing";
    return v->bstate < sizeof(names) / sizeof(names[0]) ? names[v->bstate] : "?";
}

static void json_process(FILE *f, const struct vgpu_process *p)
{
    fprintf(f,
            "{\"pid\":%" PRIu64 ",\"uid\":%" PRIu64 ",\"worker\":%" PRIu64
            ",\"channel\":%u,\"pages\":%" PRIu64,
            p->pid, p->uid, p->worker, p->channel, p->pages);
    json_counters(f, &p->c);
}

static void json_vgpu(FILE *f, const struct vgpu *v)
{
    fprintf(f, "{\"domid\":%u,\"name\":", v->front);
    json_str(f, v->name);
    fprintf(f, ",\"vgpu\":%u,\"backend\":%u,\"device\":", v->devid, v->back);
    json_str(f, v->device);
    fprintf(f, ",\"state\":\"%s\"", vgpu_state_name(v));
    if (v->error[0]) {
        fprintf(f, ",\"error\":");
        json_str(f, v->error);
    }
    fprintf(f, ",\"mem_quota\":%" PRIu64 ",\"weight\":%" PRIu64, v->mem, v->weight);
    if (v->use) {
        fprintf(f, ",\"pages\":%" PRIu64 ",\"max_pages\":%" PRIu64, v->use->pages,
                v->use->max_pages);
        json_counters(f, &v->use->c);
    }
}

void vgpus_json(FILE *f, const struct vgpus *l,
                void (*rates)(FILE *f, void *arg, const struct vgpu *v,
                              const struct vgpu_process *p),
                void *arg)
{
    const struct sample *s = l->s;

    if (s) {
        fprintf(f, "{\"daemon\":{\"version\":");
        json_str(f, s->version);
        fprintf(f,
                ",\"pid\":%" PRIu64 ",\"now_ns\":%" PRIu64 ",\"pages\":%" PRIu64
                ",\"max_pages\":%" PRIu64 ",\"workers\":%" PRIu64 ",\"warm_workers\":%" PRIu64
                "},\"vgpus\":[",
                s->pid, s->now_ns, s->pages, s->max_pages, s->workers, s->warm);
    } else {
        fprintf(f, "{\"daemon\":null,\"vgpus\":[");
    }
    for (unsigned i = 0; i < l->n; i++) {
        const struct vgpu *v = &l->v[i];
        const char *sep = "";

        fputs(i ? "," : "", f);
        json_vgpu(f, v);
        if (rates && v->use)
            rates(f, arg, v, NULL);
        fprintf(f, ",\"processes\":[");
        for (unsigned k = 0; s && k < s->nprocesses; k++) {
            const struct vgpu_process *p = &s->processes[k];

            if (p->domid != v->front || p->devid != v->devid)
                continue;
            fputs(sep, f);
            sep = ",";
            json_process(f, p);
            if (rates)
                rates(f, arg, v, p);
            fputc('}', f);
        }
        fprintf(f, "]}");
    }
    fprintf(f, "],\"suspended\":[");
    for (unsigned i = 0; s && i < s->nsuspended; i++) {
        const struct vgpu_suspended *p = &s->suspended[i];

        fprintf(f, "%s{\"uuid\":", i ? "," : "");
        json_str(f, p->uuid);
        fprintf(f,
                ",\"vgpu\":%u,\"channel\":%u,\"pid\":%" PRIu64 ",\"worker\":%" PRIu64
                ",\"octets\":%" PRIu64 ",\"since\":%" PRIu64 "}",
                p->devid, p->channel, p->pid, p->worker, p->octets, p->since);
    }
    fprintf(f, "]}\n");
}
