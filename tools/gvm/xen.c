/* SPDX-License-Identifier: MIT */
/*
 * xen.c - gvm attach, detach and set: hot-plug and changes of a device in use, in dom0.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/agent/saved.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/common/xs.h"
#include "tools/gvm/gvm.h"
#include "tools/gvm/xen.h"

#define DETACH_TIMEOUT_S 10 /* as libxl */
#define OFFER_TIMEOUT_S  30 /* a driver may take long to open a device */

struct xs_handle *open_xenstore(const char *cmd)
{
    struct xs_handle *xs = xs_open(0);

    if (!xs)
        fprintf(stderr, "gvm %s: no connection to XenStore: %s\n", cmd, strerror(errno));
    return xs;
}

bool find_domain(struct xs_handle *xs, const char *cmd, const char *name, uint32_t *id)
{
    int err = xs_find_domain(xs, name, id);

    if (err == -EEXIST)
        fprintf(stderr, "gvm %s: several domains are named %s: use the id\n", cmd, name);
    else if (err)
        fprintf(stderr, "gvm %s: no domain %s\n", cmd, name);
    return err == 0;
}

/* Only --help is an option. -1: go on; else the exit status. */
int only_help(int argc, char **argv, const char *usage, int min, int max)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'}, {NULL, 0, NULL, 0}};
    int c = getopt_long(argc, argv, "h", opts, NULL);

    if (c == 'h') {
        fputs(usage, stdout);
        return 0;
    }
    if (c != -1 || argc - optind < min || argc - optind > max) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

/* Keeps the entry (NULL: no longer) for the domain's next boot. */
static void keep(struct xs_handle *xs, const struct gvm_conf *conf, uint32_t id, uint32_t devid,
                 const char *spec)
{
    static struct saved s;
    char uuid[37];

    if (nodes_domain_uuid(xs, id, uuid))
        return;
    saved_load(conf->state_dir, uuid, &s);
    s.has[devid] = spec != NULL;
    if (spec)
        snprintf(s.spec[devid], sizeof(s.spec[devid]), "%s", spec);
    saved_store(conf->state_dir, uuid, &s);
}

/* What the backend says to the new device. */
static int report_attach(struct xs_handle *xs, uint32_t id, uint32_t devid)
{
    char why[300];
    int err = nodes_wait_offer(xs, id, devid, OFFER_TIMEOUT_S, why, sizeof(why));

    if (err == -EIO) {
        fprintf(stderr, "gvm attach: refused: %s\n", why);
        nodes_detach(xs, id, devid, DETACH_TIMEOUT_S);
        return 1;
    }
    printf("domain %u: vgpu %u attached\n", id, devid);
    if (err)
        fprintf(stderr,
                "gvm attach: the backend has not answered within %d s: is gvm-backd running?\n",
                OFFER_TIMEOUT_S);
    return 0;
}

int cmd_attach(int argc, char **argv)
{
    static const char usage[] =
        "usage: gvm attach DOMAIN [SPEC]\n"
        "DOMAIN: id or name. SPEC: as an entry of vgpu= in xl.cfg, such as\n"
        "'device=0,mem=8G,weight=256,cap=50' or 'profile=small'; default: all defaults.\n";
    static struct gvm_conf conf;
    struct vgpu_spec spec;
    uint32_t id, devid = UINT32_MAX;
    const char *text;
    struct xs_handle *xs;
    char why[256];
    int err, status = only_help(argc, argv, usage, 1, 2);

    if (status >= 0)
        return status;
    text = argc - optind > 1 ? argv[optind + 1] : "";
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    if (gvm_conf_spec(&conf, text, &spec, why, sizeof(why))) {
        fprintf(stderr, "gvm attach: %s\n", why);
        return 1;
    }
    xs = open_xenstore("attach");
    if (!xs)
        return 1;
    status = 1;
    if (!find_domain(xs, "attach", argv[optind], &id))
        goto out;
    err = nodes_create(xs, id, &devid, &spec);
    if (err == -ENOENT) {
        fprintf(stderr, "gvm attach: backend='%s': no such domain\n", spec.backend);
    } else if (err == -ENOSPC) {
        fprintf(stderr, "gvm attach: domain %s has %d vgpus, which is the limit\n", argv[optind],
                VGPU_MAX_DEVICES);
    } else if (err) {
        fprintf(stderr, "gvm attach: domain %s: %s\n", argv[optind], strerror(-err));
    } else {
        status = report_attach(xs, id, devid);
        if (status == 0)
            keep(xs, &conf, id, devid, text);
    }
out:
    xs_close(xs);
    return status;
}

struct all {
    struct {
        uint32_t dom, dev;
    } list[1024];
    unsigned n;
};

static void collect(void *arg, uint32_t back, uint32_t front, uint32_t devid)
{
    struct all *all = arg;

    if (all->n < sizeof(all->list) / sizeof(all->list[0])) {
        all->list[all->n].dom = front;
        all->list[all->n++].dev = devid;
    }
}

/* Every device of every domain; the entries stay kept, for a gvm-backd that is installed again. */
static int detach_all(struct xs_handle *xs)
{
    static struct all all;
    int status = 0;

    nodes_each_back(xs, collect, &all);
    for (unsigned i = 0; i < all.n; i++) {
        int r = nodes_detach(xs, all.list[i].dom, all.list[i].dev, DETACH_TIMEOUT_S);

        if (r < 0 && r != -ENOENT) {
            fprintf(stderr, "gvm detach: domain %u vgpu %u: %s\n", all.list[i].dom, all.list[i].dev,
                    strerror(-r));
            status = 1;
            continue;
        }
        printf("domain %u: vgpu %u detached\n", all.list[i].dom, all.list[i].dev);
    }
    return status;
}

int cmd_detach(int argc, char **argv)
{
    static const char usage[] =
        "usage: gvm detach DOMAIN [DEVICE]\n"
        "       gvm detach all\n"
        "DOMAIN: id or name. DEVICE: number of the vgpu, default 0. all: every vgpu of every\n"
        "domain, which gets them back at its next boot.\n";
    static struct gvm_conf conf;
    uint64_t devid = 0;
    struct xs_handle *xs;
    uint32_t id;
    int r, status = only_help(argc, argv, usage, 1, 2);

    if (status >= 0)
        return status;
    if (argc - optind > 1 && !xs_parse_uint(argv[optind + 1], 0, VGPU_MAX_DEVICES - 1, &devid)) {
        fprintf(stderr, "gvm detach: device %s: allowed are 0..%d\n", argv[optind + 1],
                VGPU_MAX_DEVICES - 1);
        return 2;
    }
    xs = open_xenstore("detach");
    if (!xs)
        return 1;
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    if (strcmp(argv[optind], "all") == 0 && argc - optind == 1) {
        status = detach_all(xs);
        goto out;
    }
    status = 1;
    if (!find_domain(xs, "detach", argv[optind], &id))
        goto out;
    r = nodes_detach(xs, id, (uint32_t)devid, DETACH_TIMEOUT_S);
    if (r == -ENOENT) {
        fprintf(stderr, "gvm detach: domain %s has no vgpu %u\n", argv[optind], (unsigned)devid);
        goto out;
    }
    keep(xs, &conf, id, (uint32_t)devid, NULL);
    if (r < 0) {
        fprintf(stderr, "gvm detach: domain %s vgpu %u: %s\n", argv[optind], (unsigned)devid,
                strerror(-r));
        goto out;
    }
    if (r == 1)
        fprintf(stderr,
                "gvm detach: the backend did not close domain %s's vgpu %u within %d s; "
                "its nodes were removed all the same\n",
                argv[optind], (unsigned)devid, DETACH_TIMEOUT_S);
    printf("domain %u: vgpu %u detached\n", id, (unsigned)devid);
    status = 0;
out:
    xs_close(xs);
    return status;
}

/* Keeps what `gvm set` has changed for the domain's next boot. */
static void keep_change(struct xs_handle *xs, const struct gvm_conf *conf, uint32_t id,
                        uint32_t devid, const struct vgpu_spec *change)
{
    static struct saved s;
    char uuid[37], text[VGPU_SPEC_MAX + 1], why[256];
    struct vgpu_spec spec;

    /* What was kept names a backend domain by name, perhaps; XenStore has its number only. */
    if (nodes_domain_uuid(xs, id, uuid))
        return;
    saved_load(conf->state_dir, uuid, &s);
    if (!s.has[devid] || gvm_conf_spec(conf, s.spec[devid], &spec, why, sizeof(why))) {
        if (nodes_get(xs, id, devid, &spec))
            return;
    }
    vgpu_spec_take(&spec, change, VGPU_GIVEN_LIVE);
    vgpu_spec_format(&spec, text, sizeof(text));
    keep(xs, conf, id, devid, text);
}

int cmd_set(int argc, char **argv)
{
    static const char usage[] =
        "usage: gvm set DOMAIN [DEVICE] KEY=VALUE[,KEY=VALUE...]\n"
        "Changes a vgpu while it is in use. DOMAIN: id or name. DEVICE: number of the vgpu,\n"
        "default 0. Keys: mem (device memory quota, 0: all), weight (1..65535), cap (0..100\n"
        "per cent of GPU time, 0: no limit), processes (1..256), profile (of gvm.conf).\n";
    static struct gvm_conf conf;
    struct vgpu_spec change, now;
    uint64_t devid = 0;
    struct xs_handle *xs;
    char why[256];
    uint32_t id;
    int err, status = only_help(argc, argv, usage, 2, 3);

    if (status >= 0)
        return status;
    if (argc - optind > 2 && !xs_parse_uint(argv[optind + 1], 0, VGPU_MAX_DEVICES - 1, &devid)) {
        fprintf(stderr, "gvm set: device %s: allowed are 0..%d\n", argv[optind + 1],
                VGPU_MAX_DEVICES - 1);
        return 2;
    }
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    if (gvm_conf_spec(&conf, argv[argc - 1], &change, why, sizeof(why))) {
        fprintf(stderr, "gvm set: %s\n", why);
        return 1;
    }
    if (change.given & (VGPU_GIVEN_BACKEND | VGPU_GIVEN_DEVICE) ||
        !(change.given & VGPU_GIVEN_LIVE)) {
        fprintf(stderr,
                "gvm set: '%s': mem, weight, cap, processes and profile can be changed while a "
                "vgpu is in use; for backend and device detach and attach it\n",
                argv[argc - 1]);
        return 1;
    }
    xs = open_xenstore("set");
    if (!xs)
        return 1;
    status = 1;
    if (!find_domain(xs, "set", argv[optind], &id))
        goto out;
    err = nodes_set(xs, id, (uint32_t)devid, &change);
    if (!err)
        err = nodes_get(xs, id, (uint32_t)devid, &now);
    if (err) {
        if (err == -ENOENT)
            fprintf(stderr, "gvm set: domain %s has no vgpu %u\n", argv[optind], (unsigned)devid);
        else
            fprintf(stderr, "gvm set: domain %s vgpu %u: %s\n", argv[optind], (unsigned)devid,
                    strerror(-err));
        goto out;
    }
    keep_change(xs, &conf, id, (uint32_t)devid, &change);
    printf("domain %u: vgpu %u: mem %llu, weight %u, cap %u", id, (unsigned)devid,
           (unsigned long long)now.mem, now.weight, now.cap);
    if (now.processes)
        printf(", processes %u", now.processes);
    printf("\n");
    status = 0;
out:
    xs_close(xs);
    return status;
}
