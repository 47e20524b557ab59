/* SPDX-License-Identifier: MIT */
/*
 * list.c - gvm list: XenStore says which vgpus there are and in which state; gvm-backd, asked over
 * its socket, what they use.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/xs.h"
#include "tools/gvm/gvm.h"
#include "tools/gvm/vgpus.h"
#include "tools/gvm/xen.h"

static const char usage[] =
    "usage: gvm list [--json] [--backd SOCKET] [processes|raw]\n"
    "Shows each vgpu, and suspended processes in workers (gvm saved); with "
    "`processes` the guest processes that use it too; `raw`: all that\n"
    "gvm-backd counts, as lines of KEY=VALUE; --json: all of it as one JSON object.\n"
    "--backd: the socket of a daemon started with gvm-backd --local.\n";

struct options {
    const char *backd;
    bool json, processes, raw;
};

static void show_process(const struct vgpu_process *p)
{
    char used[24];

    human(p->c.mem_used, used, sizeof(used));
    printf("      pid %-12" PRIu64 " uid %-6" PRIu64 " worker %-13" PRIu64 " %17s %13" PRIu64
           " %10" PRIu64 "\n",
           p->pid, p->uid, p->worker, used, p->c.calls, p->c.doorbells_in + p->c.doorbells_out);
}

static void show_vgpu(const struct vgpus *l, const struct vgpu *v, bool processes)
{
    uint64_t calls = 0, bells = 0, mem_used = 0;
    char used[24], quota[24];
    unsigned procs = 0;

    for (unsigned i = 0; l->s && i < l->s->nprocesses; i++) {
        const struct vgpu_process *p = &l->s->processes[i];

        if (p->domid != v->front || p->devid != v->devid)
            continue;
        procs++;
        calls += p->c.calls;
        bells += p->c.doorbells_in + p->c.doorbells_out;
        mem_used += p->c.mem_used;
    }
    human(mem_used, used, sizeof(used));
    human(v->mem, quota, sizeof(quota));
    printf("%-5u %-16s %-4u %-7u %-8.8s %-12s %-6u %6s/%-6s %12" PRIu64 " %10" PRIu64 "\n",
           v->front, v->name, v->devid, v->back, v->device, vgpu_state_name(v), procs, used,
           v->mem ? quota : "all", calls, bells);
    if (v->bstate >= XB_CLOSING && v->error[0])
        printf("      %s\n", v->error);
    for (unsigned i = 0; l->s && i < l->s->nprocesses && processes; i++) {
        const struct vgpu_process *p = &l->s->processes[i];

        if (p->domid == v->front && p->devid == v->devid)
            show_process(p);
    }
}

/* Workers of domains that are saved. */
static void show_suspended(const struct sample *s)
{
    for (unsigned i = 0; i < s->nsuspended; i++) {
        const struct vgpu_suspended *p = &s->suspended[i];
        char used[24];

        human(p->octets, used, sizeof(used));
        printf("suspended %s vgpu %u pid %" PRIu64 " in worker %" PRIu64 ", %s of its GPU\n",
               p->uuid, p->devid, p->pid, p->worker, used);
    }
}

static void not_there(const struct vgpus *l, const char *so)
{
    fprintf(stderr, "gvm list: gvm-backd does not answer on %s: %s: %s\n", l->path,
            strerror(l->err), so);
}

static int print_raw(const char *backd)
{
    char path[128], *text = NULL;

    if (!backd_path(backd, path, sizeof(path)))
        errno = ENAMETOOLONG;
    else
        text = backd_ask(path, "list");
    if (!text) {
        fprintf(stderr, "gvm list: gvm-backd does not answer on %s: %s: nothing is known\n", path,
                strerror(errno));
        return 1;
    }
    fputs(text, stdout);
    free(text);
    return 0;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'},
                                         {"json", 0, NULL, 'j'},
                                         {"backd", 1, NULL, 'b'},
                                         {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'j':
            o->json = true;
            break;
        case 'b':
            o->backd = optarg;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc > optind) {
        o->processes = strcmp(argv[optind], "processes") == 0;
        o->raw = strcmp(argv[optind], "raw") == 0;
    }
    if (argc - optind > 1 || (argc > optind && !o->processes && !o->raw) || (o->raw && o->json)) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

int cmd_list(int argc, char **argv)
{
    struct options o = {0};
    struct xs_handle *xs = NULL;
    struct vgpus *l;
    int status = parse(argc, argv, &o);

    if (status >= 0)
        return status;
    if (o.raw)
        return print_raw(o.backd);
    if (!vgpus_local(o.backd)) {
        xs = open_xenstore("list");
        if (!xs)
            return 1;
    }
    l = vgpus_get(xs, o.backd);
    status = !l || (!xs && !l->s);
    if (l && !l->s)
        not_there(l, xs ? "use is not shown" : "nothing is known");
    if (l && o.json && !status) {
        vgpus_json(stdout, l, NULL, NULL);
    } else if (l && !status) {
        printf("%-5s %-16s %-4s %-7s %-8s %-12s %-6s %13s %12s %10s\n", "dom", "name", "vgpu",
               "backend", "device", "state", "procs", "memory/quota", "calls", "doorbells");
        for (unsigned i = 0; i < l->n; i++)
            show_vgpu(l, &l->v[i], o.processes);
        if (l->s)
            show_suspended(l->s);
    }
    vgpus_free(l);
    if (xs)
        xs_close(xs);
    return status;
}
