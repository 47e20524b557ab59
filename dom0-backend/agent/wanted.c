/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/wanted.h"

#include <stdio.h>
#include <stdlib.h>

#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/common/xs.h"
#include "vgpu_keys.h"

static void entry_dir(char *buf, size_t n, uint32_t front, uint32_t devid)
{
    snprintf(buf, n, VGPU_XS_WANTED_FMT, front, devid);
}

int wanted_put(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid,
               const struct vgpu_spec *spec)
{
    char dir[XS_PATH_MAX], text[VGPU_SPEC_MAX + 1];

    entry_dir(dir, sizeof(dir), front, devid);
    vgpu_spec_format(spec, text, sizeof(text));
    return xs_put(xs, t, dir, VGPU_XS_ENTRY, "%s", text);
}

bool wanted_has(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid)
{
    char dir[XS_PATH_MAX];

    entry_dir(dir, sizeof(dir), front, devid);
    return xs_exists(xs, t, dir);
}

int wanted_change(struct xs_handle *xs, xs_transaction_t t, uint32_t front, uint32_t devid,
                  const struct vgpu_spec *change)
{
    char dir[XS_PATH_MAX], text[VGPU_SPEC_MAX + 1], why[256];
    struct vgpu_spec spec;

    entry_dir(dir, sizeof(dir), front, devid);
    if (xs_get(xs, t, dir, VGPU_XS_ENTRY, text, sizeof(text)) ||
        vgpu_spec_parse(text, &spec, why, sizeof(why)))
        return 0;
    vgpu_spec_take(&spec, change, VGPU_GIVEN_LIVE);
    return wanted_put(xs, t, front, devid, &spec);
}

struct which {
    uint32_t front, devid;
};

static int forget_in(struct xs_handle *xs, xs_transaction_t t, void *arg)
{
    const struct which *w = arg;
    char path[XS_PATH_MAX];

    if (w->devid == UINT32_MAX)
        snprintf(path, sizeof(path), "/local/domain/0/gvm/vgpu/%u", w->front);
    else
        entry_dir(path, sizeof(path), w->front, w->devid);
    return xs_exists(xs, t, path) ? nodes_prune(xs, t, path, "/local/domain/0") : 0;
}

void wanted_forget(struct xs_handle *xs, uint32_t front, uint32_t devid)
{
    struct which w = {front, devid};

    xs_transact(xs, forget_in, &w);
}

void wanted_each(struct xs_handle *xs,
                 void (*fn)(void *arg, uint32_t front, uint32_t devid, const char *entry),
                 void *arg)
{
    char path[XS_PATH_MAX], entry[VGPU_SPEC_MAX + 1];
    uint32_t *fronts, *devs;
    unsigned nf, nv;

    fronts = xs_numbers(xs, "/local/domain/0/gvm/vgpu", XS_MAX_DOMID, &nf);
    for (unsigned i = 0; fronts && i < nf; i++) {
        snprintf(path, sizeof(path), "/local/domain/0/gvm/vgpu/%u", fronts[i]);
        devs = xs_numbers(xs, path, VGPU_MAX_DEVICES - 1, &nv);
        for (unsigned d = 0; devs && d < nv; d++) {
            entry_dir(path, sizeof(path), fronts[i], devs[d]);
            if (xs_get(xs, XBT_NULL, path, VGPU_XS_ENTRY, entry, sizeof(entry)) == 0)
                fn(arg, fronts[i], devs[d], entry);
        }
        free(devs);
    }
    free(fronts);
}
