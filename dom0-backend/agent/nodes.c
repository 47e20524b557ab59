/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/nodes.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/agent/wanted.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/xs.h"
#include "vgpu_keys.h"

struct create {
    uint32_t front, back, devid;
    uint32_t wanted; /* UINT32_MAX: any */
    const struct vgpu_spec *spec;
    char uuid[37];
};

int nodes_domain_uuid(struct xs_handle *xs, uint32_t domid, char uuid[37])
{
    char dir[64], vm[64];
    int err;

    snprintf(dir, sizeof(dir), "/local/domain/%u", domid);
    err = xs_get(xs, XBT_NULL, dir, "vm", vm, sizeof(vm));
    if (err)
        return -ENOENT;
    /* "/vm/<uuid>", perhaps followed by "-<n>" after a rename. It becomes a file name. */
    if (strncmp(vm, "/vm/", 4) != 0 || strlen(vm) < 40)
        return -ENOENT;
    for (int i = 0; i < 36; i++) {
        if (vm[4 + i] != '-' && !isxdigit((unsigned char)vm[4 + i]))
            return -ENOENT;
    }
    memcpy(uuid, vm + 4, 36);
    uuid[36] = '\0';
    return 0;
}

/* A directory of which `owner` has all rights and `reader` may read; its entries inherit that. */
static int make_dir(struct xs_handle *xs, xs_transaction_t t, const char *path, uint32_t owner,
                    uint32_t reader)
{
    struct xs_permissions perms[2] = {
        {.id = owner, .perms = XS_PERM_NONE},
        {.id = reader, .perms = XS_PERM_READ},
    };

    if (!xs_mkdir(xs, t, path) || !xs_set_permissions(xs, t, path, perms, 2))
        return -errno;
    return 0;
}

/* A driver domain may see the name of a domain that it serves, for gvm list and gvm top there. */
static int show_name(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t back)
{
    struct xs_permissions *old, new[16];
    char path[64];
    unsigned n = 0;
    int err = 0;

    snprintf(path, sizeof(path), "/local/domain/%u/name", front);
    old = xs_get_permissions(xs, t, path, &n);
    if (!old)
        return errno == ENOENT ? 0 : -errno;
    for (unsigned i = 1; i < n && n < 16; i++) {
        if (old[i].id == back)
            n = 16; /* it may already */
    }
    if (n < 16) {
        memcpy(new, old, n * sizeof(*old));
        new[n] = (struct xs_permissions){.id = back, .perms = XS_PERM_READ};
        if (!xs_set_permissions(xs, t, path, new, n + 1))
            err = -errno;
    }
    free(old);
    return err;
}

static int write_back(struct xs_handle *xs, xs_transaction_t t, const struct create *c,
                      const char *back, const char *front)
{
    int err = make_dir(xs, t, back, c->back, c->front);

    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_FRONTEND, "%s", front);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_FRONTEND_ID, "%u", c->front);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_ONLINE, "1");
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_UUID, "%s", c->uuid);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_DEVICE, "%s", c->spec->device);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_MEM, "%" PRIu64, c->spec->mem);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_WEIGHT, "%u", c->spec->weight);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_CAP, "%u", c->spec->cap);
    if (!err && c->spec->processes)
        err = xs_put(xs, t, back, VGPU_XS_PROCESSES, "%u", c->spec->processes);
    if (!err)
        err = xs_put(xs, t, back, VGPU_XS_STATE, "%d", XB_INITIALISING);
    return err;
}

static int write_front(struct xs_handle *xs, xs_transaction_t t, const struct create *c,
                       const char *back, const char *front)
{
    int err = make_dir(xs, t, front, c->front, c->back);

    if (!err)
        err = xs_put(xs, t, front, VGPU_XS_BACKEND, "%s", back);
    if (!err)
        err = xs_put(xs, t, front, VGPU_XS_BACKEND_ID, "%u", c->back);
    if (!err)
        err = xs_put(xs, t, front, VGPU_XS_STATE, "%d", XB_INITIALISING);
    return err;
}

static int create_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    struct create *c = arg;
    char front[XS_PATH_MAX], back[XS_PATH_MAX], dom[64];
    uint32_t d;
    int err;

    snprintf(dom, sizeof(dom), "/local/domain/%u", c->front);
    if (!xs_exists(xs, t, dom))
        return -ESRCH;
    snprintf(dom, sizeof(dom), "/local/domain/%u", c->back);
    if (!xs_exists(xs, t, dom))
        return -ENOENT;
    for (d = c->wanted == UINT32_MAX ? 0 : c->wanted; d < VGPU_MAX_DEVICES; d++) {
        snprintf(front, sizeof(front), VGPU_XS_FRONT_FMT, c->front, d);
        if (!xs_exists(xs, t, front) &&
            (c->wanted != UINT32_MAX || !wanted_has(xs, t, c->front, d)))
            break;
        if (c->wanted != UINT32_MAX)
            return -EEXIST;
    }
    if (d == VGPU_MAX_DEVICES)
        return -ENOSPC;
    c->devid = d;
    snprintf(back, sizeof(back), VGPU_XS_BACK_FMT, c->back, c->front, d);
    if (xs_exists(xs, t, back) && !xs_rm(xs, t, back)) /* of a domain that had this number before */
        return -errno;
    err = write_back(xs, t, c, back, front);
    if (!err)
        err = write_front(xs, t, c, back, front);
    if (!err && c->back != 0)
        err = show_name(xs, t, c->front, c->back);
    if (!err && c->back != 0)
        err = wanted_put(xs, t, c->front, d, c->spec);
    return err;
}

int nodes_create(struct xs_handle *xs, uint32_t front, uint32_t *devid,
                 const struct vgpu_spec *spec)
{
    struct create c = {.front = front, .wanted = *devid, .spec = spec};
    int err;

    if (xs_find_domain(xs, spec->backend, &c.back))
        return -ENOENT;
    if (nodes_domain_uuid(xs, front, c.uuid))
        return -ESRCH;
    err = xs_transact(xs, create_in, &c);
    if (!err)
        *devid = c.devid;
    return err;
}

int nodes_prune(struct xs_handle *xs, xs_transaction_t t, char *path, const char *stop)
{
    unsigned n;

    if (xs_exists(xs, t, path) && !xs_rm(xs, t, path))
        return -errno;
    for (;;) {
        char *slash = strrchr(path, '/');
        char **list;

        *slash = '\0';
        if (strcmp(path, stop) == 0 || strlen(path) <= strlen(stop))
            return 0;
        list = xs_directory(xs, t, path, &n);
        if (!list)
            return 0;
        free(list);
        if (n)
            return 0;
        if (!xs_rm(xs, t, path))
            return -errno;
    }
}

static int remove_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct create *c = arg;
    char path[XS_PATH_MAX], stop[64];
    int err;

    snprintf(path, sizeof(path), VGPU_XS_FRONT_FMT, c->front, c->devid);
    snprintf(stop, sizeof(stop), "/local/domain/%u/device", c->front);
    err = nodes_prune(xs, t, path, stop);
    if (err)
        return err;
    snprintf(path, sizeof(path), VGPU_XS_BACK_FMT, c->back, c->front, c->devid);
    snprintf(stop, sizeof(stop), "/local/domain/%u/backend/vgpu", c->back);
    return nodes_prune(xs, t, path, stop);
}

int nodes_remove(struct xs_handle *xs, uint32_t front, uint32_t back, uint32_t devid)
{
    struct create c = {.front = front, .back = back, .devid = devid};
    int err = xs_transact(xs, remove_in, &c);

    if (!err && back != 0)
        wanted_forget(xs, front, devid);
    return err;
}

static int remove_front_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct create *c = arg;
    char path[XS_PATH_MAX], stop[64];

    snprintf(path, sizeof(path), VGPU_XS_FRONT_FMT, c->front, c->devid);
    snprintf(stop, sizeof(stop), "/local/domain/%u/device", c->front);
    return xs_exists(xs, t, path) ? nodes_prune(xs, t, path, stop) : -ENOENT;
}

int nodes_remove_front(struct xs_handle *xs, uint32_t front, uint32_t devid)
{
    struct create c = {.front = front, .devid = devid};

    return xs_transact(xs, remove_front_in, &c);
}

static int remove_domain_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct create *c = arg;
    char path[XS_PATH_MAX];

    snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu/%u", c->back, c->front);
    return !xs_exists(xs, t, path) || xs_rm(xs, t, path) ? 0 : -errno;
}

void nodes_remove_domain(struct xs_handle *xs, uint32_t front)
{
    struct create c = {.front = front};
    unsigned n;
    uint32_t *doms = xs_numbers(xs, "/local/domain", XS_MAX_DOMID, &n);

    for (unsigned i = 0; doms && i < n; i++) {
        c.back = doms[i];
        xs_transact(xs, remove_domain_in, &c);
    }
    free(doms);
    wanted_forget(xs, front, UINT32_MAX);
}

static int remove_empty_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct create *c = arg;
    char path[XS_PATH_MAX];
    unsigned n = 1; /* stays so if there is no such directory */

    snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu", c->back);
    free(xs_directory(xs, t, path, &n));
    if (n)
        return -ENOTEMPTY;
    return xs_rm(xs, t, path) ? 0 : -errno;
}

int nodes_remove_empty(struct xs_handle *xs, uint32_t back)
{
    struct create c = {.back = back};

    return xs_transact(xs, remove_empty_in, &c);
}

static int offline_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const char *back = arg;
    uint64_t state;
    int err;

    if (xs_get_uint(xs, t, back, VGPU_XS_STATE, 0, 8, &state))
        return -ENOENT;
    err = xs_put(xs, t, back, VGPU_XS_ONLINE, "0");
    if (!err && state != XB_CLOSED)
        err = xs_put(xs, t, back, VGPU_XS_STATE, "%d", XB_CLOSING);
    return err;
}

/* Waits until test(state) holds; a directory that vanished has state 6. 0, or -ETIMEDOUT. */
static int wait_state(struct xs_handle *xs, const char *back, unsigned timeout_s,
                      bool (*test)(uint64_t state), uint64_t *state)
{
    struct pollfd p = {.fd = xs_fileno(xs), .events = POLLIN};
    int64_t end = now_ms() + (int64_t)timeout_s * 1000, left;
    char path[XS_PATH_MAX];
    char **ev;
    int err = -ETIMEDOUT;

    if (!xs_path(path, sizeof(path), back, VGPU_XS_STATE))
        return -EINVAL;
    if (!xs_watch(xs, path, "wait"))
        return -errno;
    for (;;) {
        if (xs_get_uint(xs, XBT_NULL, back, VGPU_XS_STATE, 0, 8, state))
            *state = XB_CLOSED;
        if (test(*state)) {
            err = 0;
            break;
        }
        left = end - now_ms();
        if (left <= 0)
            break;
        if (poll(&p, 1, (int)left) < 0 && errno != EINTR)
            break;
        while ((ev = xs_check_watch(xs)))
            free(ev);
    }
    xs_unwatch(xs, path, "wait");
    return err;
}

static bool is_closed(uint64_t state)
{
    return state == XB_CLOSED;
}

static bool has_begun(uint64_t state)
{
    return state != XB_INITIALISING && state != XB_UNKNOWN;
}

void nodes_each_back(struct xs_handle *xs,
                     void (*fn)(void *arg, uint32_t back, uint32_t front, uint32_t devid),
                     void *arg)
{
    uint32_t *doms, *fronts, *devs;
    unsigned nd, nf, nv;
    char path[XS_PATH_MAX];

    doms = xs_numbers(xs, "/local/domain", XS_MAX_DOMID, &nd);
    if (!doms && (doms = malloc(sizeof(*doms)))) { /* a driver domain may not list them */
        doms[0] = xs_own_domid(xs);
        nd = 1;
    }
    for (unsigned i = 0; doms && i < nd; i++) {
        snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu", doms[i]);
        fronts = xs_numbers(xs, path, XS_MAX_DOMID, &nf);
        for (unsigned k = 0; fronts && k < nf; k++) {
            snprintf(path, sizeof(path), "/local/domain/%u/backend/vgpu/%u", doms[i], fronts[k]);
            devs = xs_numbers(xs, path, VGPU_MAX_DEVICES - 1, &nv);
            for (unsigned d = 0; devs && d < nv; d++)
                fn(arg, doms[i], fronts[k], devs[d]);
            free(devs);
        }
        free(fronts);
    }
    free(doms);
}

struct find {
    uint32_t front, devid, back;
    int found;
};

static void find_back(void *arg, uint32_t back, uint32_t front, uint32_t devid)
{
    struct find *f = arg;

    if (front == f->front && devid == f->devid) {
        f->back = back;
        f->found = 1;
    }
}

bool nodes_has_back(struct xs_handle *xs, uint32_t front, uint32_t devid)
{
    struct find f = {.front = front, .devid = devid};

    nodes_each_back(xs, find_back, &f);
    return f.found;
}

/* A device whose backend's domain is not there. 0, -ENOENT: it is not remembered either. */
static int detach_waiting(struct xs_handle *xs, uint32_t front, uint32_t devid)
{
    if (!wanted_has(xs, XBT_NULL, front, devid))
        return -ENOENT;
    wanted_forget(xs, front, devid);
    nodes_remove_front(xs, front, devid);
    return 0;
}

int nodes_detach(struct xs_handle *xs, uint32_t front, uint32_t devid, unsigned timeout_s)
{
    /* What the guest's own directory says about its backend is the guest's to change. */
    struct find f = {.front = front, .devid = devid};
    char back[XS_PATH_MAX];
    uint64_t state;
    int err, late;

    nodes_each_back(xs, find_back, &f);
    if (!f.found)
        return detach_waiting(xs, front, devid);
    snprintf(back, sizeof(back), VGPU_XS_BACK_FMT, f.back, front, devid);
    err = xs_transact(xs, offline_in, back);
    late = err == -ENOENT ? 0 : err;
    if (!late)
        late = wait_state(xs, back, timeout_s, is_closed, &state);
    err = nodes_remove(xs, front, f.back, devid);
    return err ? err : late ? 1 : 0;
}

int nodes_wait_offer(struct xs_handle *xs, uint32_t front, uint32_t devid, unsigned timeout_s,
                     char *why, unsigned why_n)
{
    struct find f = {.front = front, .devid = devid};
    char back[XS_PATH_MAX];
    uint64_t state;
    int err;

    nodes_each_back(xs, find_back, &f);
    if (!f.found)
        return -ENOENT;
    snprintf(back, sizeof(back), VGPU_XS_BACK_FMT, f.back, front, devid);
    err = wait_state(xs, back, timeout_s, has_begun, &state);
    if (err || state < XB_CLOSING)
        return err;
    if (xs_get(xs, XBT_NULL, back, VGPU_XS_ERROR, why, why_n))
        snprintf(why, why_n, "the backend closed it");
    xs_printable(why);
    return -EIO;
}

struct set {
    char back[XS_PATH_MAX];
    uint32_t front, devid;
    const struct vgpu_spec *spec;
};

static int set_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct set *s = arg;
    unsigned given = s->spec->given;
    int err = 0;

    if (!xs_exists(xs, t, s->back))
        return -ENOENT;
    if (given & VGPU_GIVEN_MEM)
        err = xs_put(xs, t, s->back, VGPU_XS_MEM, "%" PRIu64, s->spec->mem);
    if (!err && given & VGPU_GIVEN_WEIGHT)
        err = xs_put(xs, t, s->back, VGPU_XS_WEIGHT, "%u", s->spec->weight);
    if (!err && given & VGPU_GIVEN_CAP)
        err = xs_put(xs, t, s->back, VGPU_XS_CAP, "%u", s->spec->cap);
    if (!err && given & VGPU_GIVEN_PROCESSES)
        err = xs_put(xs, t, s->back, VGPU_XS_PROCESSES, "%u", s->spec->processes);
    return err ? err : wanted_change(xs, t, s->front, s->devid, s->spec);
}

int nodes_set(struct xs_handle *xs, uint32_t front, uint32_t devid, const struct vgpu_spec *spec)
{
    struct find f = {.front = front, .devid = devid};
    struct set s = {.front = front, .devid = devid, .spec = spec};

    nodes_each_back(xs, find_back, &f);
    if (!f.found)
        return -ENOENT;
    snprintf(s.back, sizeof(s.back), VGPU_XS_BACK_FMT, f.back, front, devid);
    return xs_transact(xs, set_in, &s);
}

int nodes_get(struct xs_handle *xs, uint32_t front, uint32_t devid, struct vgpu_spec *spec)
{
    struct find f = {.front = front, .devid = devid};
    uint64_t weight, cap = 0, processes = 0;
    char back[XS_PATH_MAX];

    *spec = (struct vgpu_spec){.given = 0};
    nodes_each_back(xs, find_back, &f);
    if (!f.found)
        return -ENOENT;
    snprintf(back, sizeof(back), VGPU_XS_BACK_FMT, f.back, front, devid);
    snprintf(spec->backend, sizeof(spec->backend), "%u", f.back);
    if (xs_get(xs, XBT_NULL, back, VGPU_XS_DEVICE, spec->device, sizeof(spec->device)) ||
        xs_get_uint(xs, XBT_NULL, back, VGPU_XS_MEM, 0, INT64_MAX, &spec->mem) ||
        xs_get_uint(xs, XBT_NULL, back, VGPU_XS_WEIGHT, 1, 65535, &weight))
        return -EINVAL;
    if (xs_get_uint(xs, XBT_NULL, back, VGPU_XS_CAP, 0, 100, &cap) == -EINVAL ||
        xs_get_uint(xs, XBT_NULL, back, VGPU_XS_PROCESSES, 1, 256, &processes) == -EINVAL)
        return -EINVAL;
    spec->weight = (uint32_t)weight;
    spec->cap = (uint32_t)cap;
    spec->processes = (uint32_t)processes;
    return 0;
}
