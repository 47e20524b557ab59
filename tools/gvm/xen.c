/* SPDX-License-Identifier: MIT */
/*
 * xen.c - gvm attach and gvm detach: hot-plug, in dom0.
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
static void keep(struct xs_handle *xs, uint32_t id, uint32_t devid, const char *spec)
{
    static struct saved s;
    struct gvm_conf conf;
    char uuid[37];

    if (nodes_domain_uuid(xs, id, uuid))
        return;
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    saved_load(conf.state_dir, uuid, &s);
    s.has[devid] = spec != NULL;
    if (spec)
        snprintf(s.spec[devid], sizeof(s.spec[devid]), "%s", spec);
    saved_store(conf.state_dir, uuid, &s);
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
        "'backend=0,device=0,mem=1G,weight=256'; default: all defaults.\n";
    struct vgpu_spec spec;
    uint32_t id, devid = UINT32_MAX;
    const char *text;
    struct xs_handle *xs;
    char why[256];
    int err, status = only_help(argc, argv, usage, 1, 2);

    if (status >= 0)
        return status;
    text = argc - optind > 1 ? argv[optind + 1] : "";
    if (vgpu_spec_parse(text, &spec, why, sizeof(why))) {
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
            keep(xs, id, devid, text);
    }
out:
    xs_close(xs);
    return status;
}

int cmd_detach(int argc, char **argv)
{
    static const char usage[] = "usage: gvm detach DOMAIN [DEVICE]\n"
                                "DOMAIN: id or name. DEVICE: number of the vgpu, default 0.\n";
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
    status = 1;
    if (!find_domain(xs, "detach", argv[optind], &id))
        goto out;
    r = nodes_detach(xs, id, (uint32_t)devid, DETACH_TIMEOUT_S);
    if (r == -ENOENT) {
        fprintf(stderr, "gvm detach: domain %s has no vgpu %u\n", argv[optind], (unsigned)devid);
        goto out;
    }
    keep(xs, id, (uint32_t)devid, NULL);
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
