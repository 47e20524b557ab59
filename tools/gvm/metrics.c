/* SPDX-License-Identifier: MIT */
/*
 * metrics.c - gvm metrics: what gvm-backd counts, in Prometheus' text format (version 0.0.4), on
 * standard output or in a file that node_exporter's textfile collector reads.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tools/gvm/gvm.h"
#include "tools/gvm/vgpus.h"
#include "tools/gvm/xen.h"

static const char usage[] =
    "usage: gvm metrics [--processes] [--output FILE [--interval SECONDS]] [--backd SOCKET]\n"
    "Prints what gvm-backd counts for each vgpu in Prometheus' text format; --processes: for each\n"
    "guest process too. --output: into FILE, replaced as a whole, for node_exporter's textfile\n"
    "collector; with --interval (1..3600) again and again. Exit status 1: gvm-backd does not "
    "answer\n"
    "(gvm_up is 0 then).\n";

struct options {
    const char *backd, *output;
    double interval; /* 0: once */
    bool processes;
};

/* Prometheus wants base units in names. Order as in stat_fields[]. */
static const struct {
    const char *name;
    bool ns;
} names[NSTAT_FIELDS] = {
    {"calls_total", false},
    {"launches_total", false},
    {"doorbells_in_total", false},
    {"doorbells_out_total", false},
    {"copied_to_device_bytes_total", false},
    {"copied_from_device_bytes_total", false},
    {"gpu_seconds_total", true},
    {"wait_seconds_total", true},
    {"memory_used_bytes", false},
    {"waiting_threads", false},
    {"context_error", false},
};

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    ended = 1;
}

/* A label's value with its quotes: backslash, quote and newline are escaped. */
static void label(FILE *f, const char *key, const char *v)
{
    fprintf(f, "%s=\"", key);
    for (; *v; v++) {
        if (*v == '\n')
            fputs("\\n", f);
        else
            fprintf(f, "%s%c", *v == '"' || *v == '\\' ? "\\" : "", *v);
    }
    fputc('"', f);
}

static void vgpu_labels(FILE *f, const struct vgpu *v)
{
    fprintf(f, "{domid=\"%u\",", v->front);
    label(f, "domain", v->name);
    fprintf(f, ",vgpu=\"%u\",", v->devid);
    label(f, "device", v->device);
}

static void head(FILE *f, const char *name, const char *type, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(FILE *f, unsigned field, const struct counters *c)
{
    uint64_t v = stat_get(c, field);

    if (names[field].ns)
        fprintf(f, "} %" PRIu64 ".%09" PRIu64 "\n", v / 1000000000u, v % 1000000000u);
    else
        fprintf(f, "} %" PRIu64 "\n", v);
}

static void field_help(FILE *f, const char *prefix, unsigned i)
{
    char name[80], help[160];
    const char *what = stat_fields[i].what;

    snprintf(name, sizeof(name), "%s_%s", prefix, names[i].name);
    /* The table speaks of nanoseconds. */
    snprintf(help, sizeof(help), "%s",
             names[i].ns && strncmp(what, "nano", 4) == 0 ? what + 4 : what);
    head(f, name, stat_fields[i].grows ? "counter" : "gauge", help);
}

static void print_vgpus(FILE *f, const struct vgpus *l)
{
    head(f, "gvm_vgpu_state", "gauge", "XenBus state of the backend: 4 is connected");
    for (unsigned i = 0; i < l->n; i++) {
        fprintf(f, "gvm_vgpu_state");
        vgpu_labels(f, &l->v[i]);
        fprintf(f, "} %" PRIu64 "\n", l->v[i].bstate);
    }
    head(f, "gvm_vgpu_memory_quota_bytes", "gauge", "device memory that the guest may use, 0: all");
    for (unsigned i = 0; i < l->n; i++) {
        fprintf(f, "gvm_vgpu_memory_quota_bytes");
        vgpu_labels(f, &l->v[i]);
        fprintf(f, "} %" PRIu64 "\n", l->v[i].mem);
    }
    head(f, "gvm_vgpu_processes", "gauge", "guest processes that have a worker");
    for (unsigned i = 0; i < l->n; i++) {
        if (!l->v[i].use)
            continue;
        fprintf(f, "gvm_vgpu_processes");
        vgpu_labels(f, &l->v[i]);
        fprintf(f, "} %" PRIu64 "\n", l->v[i].use->channels);
    }
    for (unsigned k = 0; k < NSTAT_FIELDS; k++) {
        if (strcmp(stat_fields[k].name, "sticky") == 0)
            continue; /* of processes only */
        field_help(f, "gvm_vgpu", k);
        for (unsigned i = 0; i < l->n; i++) {
            if (!l->v[i].use)
                continue;
            fprintf(f, "gvm_vgpu_%s", names[k].name);
            vgpu_labels(f, &l->v[i]);
            value(f, k, &l->v[i].use->c);
        }
    }
}

static void print_processes(FILE *f, const struct sample *s)
{
    for (unsigned k = 0; k < NSTAT_FIELDS; k++) {
        field_help(f, "gvm_process", k);
        for (unsigned i = 0; i < s->nprocesses; i++) {
            const struct vgpu_process *p = &s->processes[i];

            fprintf(f,
                    "gvm_process_%s{domid=\"%u\",vgpu=\"%u\",pid=\"%" PRIu64 "\",uid=\"%" PRIu64
                    "\",worker=\"%" PRIu64 "\"",
                    names[k].name, p->domid, p->devid, p->pid, p->uid, p->worker);
            value(f, k, &p->c);
        }
    }
}

static void print_all(FILE *f, const struct vgpus *l, bool processes)
{
    const struct sample *s = l->s;

    head(f, "gvm_up", "gauge", "whether gvm-backd answers");
    fprintf(f, "gvm_up %d\n", s != NULL);
    if (!s)
        return;
    head(f, "gvm_workers", "gauge", "worker processes");
    fprintf(f, "gvm_workers{state=\"warm\"} %" PRIu64 "\n", s->warm);
    fprintf(f, "gvm_workers{state=\"other\"} %" PRIu64 "\n", s->workers - s->warm);
    head(f, "gvm_guest_pages_mapped", "gauge", "pages of guests mapped by all workers");
    fprintf(f, "gvm_guest_pages_mapped %" PRIu64 "\n", s->pages);
    head(f, "gvm_guest_pages_limit", "gauge", "max_host_pages of gvm.conf");
    fprintf(f, "gvm_guest_pages_limit %" PRIu64 "\n", s->max_pages);
    print_vgpus(f, l);
    if (processes)
        print_processes(f, s);
}

/* A reader sees the old file or the new one. */
static int write_file(const char *path, const struct vgpus *l, bool processes)
{
    char tmp[4096];
    FILE *f = NULL;
    int fd, bad;

    if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fchmod(fd, 0644) == 0)
        f = fdopen(fd, "w");
    if (!f) {
        close(fd);
        unlink(tmp);
        return -1;
    }
    print_all(f, l, processes);
    bad = ferror(f);
    if (fclose(f) || bad || rename(tmp, path) < 0) {
        unlink(tmp);
        return -1;
    }
    return 0;
}

static int once(struct xs_handle *xs, const struct options *o)
{
    struct vgpus *l = vgpus_get(xs, o->backd);
    int status;

    if (!l)
        return 1;
    status = !l->s;
    if (!l->s)
        fprintf(stderr, "gvm metrics: gvm-backd does not answer on %s: %s\n", l->path,
                strerror(l->err));
    if (!o->output) {
        print_all(stdout, l, o->processes);
    } else if (write_file(o->output, l, o->processes)) {
        fprintf(stderr, "gvm metrics: %s: %s\n", o->output, strerror(errno));
        status = 1;
    }
    vgpus_free(l);
    return status;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'},   {"processes", 0, NULL, 'p'},
                                         {"output", 1, NULL, 'o'}, {"interval", 1, NULL, 'i'},
                                         {"backd", 1, NULL, 'b'},  {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'p':
            o->processes = true;
            break;
        case 'o':
            o->output = optarg;
            break;
        case 'i':
            if (!opt_interval("gvm metrics", optarg, 1, &o->interval))
                return 2;
            break;
        case 'b':
            o->backd = optarg;
            break;
        default:
            fputs(usage, stderr);
            return 2;
        }
    }
    if (argc > optind || (o->interval && !o->output)) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

int cmd_metrics(int argc, char **argv)
{
    struct options o = {0};
    struct sigaction act = {.sa_handler = on_signal};
    struct xs_handle *xs = NULL;
    struct timespec pause;
    int status = parse(argc, argv, &o);

    if (status >= 0)
        return status;
    if (!vgpus_local(o.backd)) {
        xs = open_xenstore("metrics");
        if (!xs)
            return 1;
    }
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    status = once(xs, &o);
    while (o.interval && !ended) {
        pause.tv_sec = (time_t)o.interval;
        pause.tv_nsec = (long)((o.interval - (double)pause.tv_sec) * 1e9);
        if (nanosleep(&pause, NULL) == 0)
            status = once(xs, &o);
    }
    if (xs)
        xs_close(xs);
    return status;
}
