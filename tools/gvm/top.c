/* SPDX-License-Identifier: MIT */
/*
 * top.c - gvm top: what guests and their processes do with their vgpus, now. Two looks at
 * gvm-backd's counters, an interval apart, make the rates.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/gvm/gvm.h"
#include "tools/gvm/vgpus.h"
#include "tools/gvm/xen.h"

static const char usage[] =
    "usage: gvm top [--once] [--json] [--interval SECONDS] [--count N] [--backd SOCKET]\n"
    "Shows what each vgpu and each guest process does: GPU time in percent of the time that has\n"
    "passed, memory, calls, launches, octets and doorbells per second, threads that wait for a "
    "call.\n"
    "On a terminal the screen is filled again every second (q: end); elsewhere each look is plain\n"
    "text. --once: one look, an interval long. --json: one JSON object per look, with totals.\n"
    "--interval: 0.1..3600, default 1. --count: looks before it ends. --backd: the socket of a\n"
    "daemon started with gvm-backd --local.\n";

struct options {
    const char *backd;
    bool json;
    double interval;
    unsigned long count; /* 0: for ever */
};

/* A look and the one before it. */
struct looks {
    const struct vgpus *now, *before;
    double seconds; /* between the two */
};

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    ended = 1;
}

/* Counters are the worker's word: one that goes backwards shows as nothing. */
static struct counters difference(const struct counters *now, const struct counters *before)
{
    struct counters d = *now;

    for (unsigned i = 0; i < NSTAT_FIELDS; i++) {
        uint64_t a = before ? stat_get(before, i) : 0, b = stat_get(now, i);

        if (stat_fields[i].grows) {
            b = b > a ? b - a : 0;
            memcpy((char *)&d + stat_fields[i].off, &b, sizeof(b));
        }
    }
    return d;
}

static struct counters of_vgpu(const struct looks *k, const struct vgpu *v)
{
    const struct vgpu_device *b =
        k->before ? sample_device(k->before->s, v->front, v->devid) : NULL;

    /* One that was not there before has been counting for less than the interval. */
    return difference(&v->use->c, b ? &b->c : NULL);
}

static struct counters of_process(const struct looks *k, const struct vgpu_process *p)
{
    const struct vgpu_process *b = k->before ? sample_process(k->before->s, p) : NULL;

    return difference(&p->c, b ? &b->c : NULL);
}

static double percent(const struct looks *k, const struct counters *d)
{
    return (double)d->busy_ns / 1e7 / k->seconds;
}

/* "950", "12k", "3.4M": per second. */
static const char *rate(char *buf, size_t n, const struct looks *k, uint64_t count)
{
    double r = (double)count / k->seconds;

    if (r < 99999.5)
        snprintf(buf, n, "%.0f", r);
    else if (r < 9999500.)
        snprintf(buf, n, "%.0fk", r / 1e3);
    else
        snprintf(buf, n, "%.0fM", r / 1e6);
    return buf;
}

static void show_rates(const struct looks *k, const struct counters *d, const char *quota)
{
    char used[24], in[24], out[24], a[24], b[24], c[24];

    human(d->mem_used, used, sizeof(used));
    human((uint64_t)((double)d->bytes_in / k->seconds), in, sizeof(in));
    human((uint64_t)((double)d->bytes_out / k->seconds), out, sizeof(out));
    printf(" %6.1f %6s%-7s %8s %8s %7s %7s %8s %5" PRIu64 "\n", percent(k, d), used, quota,
           rate(a, sizeof(a), k, d->calls), rate(b, sizeof(b), k, d->launches), in, out,
           rate(c, sizeof(c), k, d->doorbells_in + d->doorbells_out), d->waiting);
}

static void show_vgpu(const struct looks *k, const struct vgpu *v)
{
    const struct sample *s = k->now->s;
    char quota[24], text[26];
    struct counters d;

    printf("%-5u %-16.16s %-4u %-12s", v->front, v->name, v->devid, vgpu_state_name(v));
    if (!v->use) {
        printf("  of another backend (domain %u)\n", v->back);
        return;
    }
    human(v->mem, quota, sizeof(quota));
    snprintf(text, sizeof(text), "/%s", v->mem ? quota : "all");
    d = of_vgpu(k, v);
    show_rates(k, &d, text);
    for (unsigned i = 0; i < s->nprocesses; i++) {
        const struct vgpu_process *p = &s->processes[i];

        if (p->domid != v->front || p->devid != v->devid)
            continue;
        d = of_process(k, p);
        printf("      pid %-8" PRIu64 " uid %-5" PRIu64 " worker %-7" PRIu64, p->pid, p->uid,
               p->worker);
        show_rates(k, &d, d.sticky ? " lost" : "");
    }
}

static void show(const struct looks *k)
{
    const struct sample *s = k->now->s;
    time_t t = time(NULL);
    char clock[16], used[24], most[24];
    struct tm tm;

    strftime(clock, sizeof(clock), "%H:%M:%S", localtime_r(&t, &tm));
    human(s->pages * 4096, used, sizeof(used));
    if (s->max_pages < UINT64_MAX / 8192)
        human(s->max_pages * 4096, most, sizeof(most));
    else
        strcpy(most, "no limit");
    printf("gvm top  %s  %u vgpus, %u processes, %" PRIu64 " workers (%" PRIu64
           " warm), guest memory mapped %s (%s)\n",
           clock, k->now->n, s->nprocesses, s->workers, s->warm, used, most);
    printf("%-5s %-16s %-4s %-12s %6s %13s %8s %8s %7s %7s %8s %5s\n", "dom", "name", "vgpu",
           "state", "gpu%", "memory/quota", "calls/s", "launch/s", "in/s", "out/s", "bells/s",
           "wait");
    for (unsigned i = 0; i < k->now->n; i++)
        show_vgpu(k, &k->now->v[i]);
}

static void json_rates(FILE *f, void *arg, const struct vgpu *v, const struct vgpu_process *p)
{
    const struct looks *k = arg;
    struct counters d = p ? of_process(k, p) : of_vgpu(k, v);

    fprintf(f, ",\"gpu_percent\":%.2f,\"per_second\":{", percent(k, &d));
    for (unsigned i = 0, n = 0; i < NSTAT_FIELDS; i++)
        if (stat_fields[i].grows)
            fprintf(f, "%s\"%s\":%.1f", n++ ? "," : "", stat_fields[i].name,
                    (double)stat_get(&d, i) / k->seconds);
    fputc('}', f);
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'},  {"json", 0, NULL, 'j'},
                                         {"once", 0, NULL, 'o'},  {"interval", 1, NULL, 'i'},
                                         {"count", 1, NULL, 'n'}, {"backd", 1, NULL, 'b'},
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
        case 'o':
            o->count = 1;
            break;
        case 'i':
            if (!opt_interval("gvm top", optarg, 0.1, &o->interval))
                return 2;
            break;
        case 'n':
            if (!opt_count("gvm top", optarg, &o->count))
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
    if (argc > optind) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

static struct vgpus *look(struct xs_handle *xs, const struct options *o)
{
    struct vgpus *l = vgpus_get(xs, o->backd);

    if (l && !l->s) {
        fprintf(stderr, "gvm top: gvm-backd does not answer on %s: %s\n", l->path,
                strerror(l->err));
        vgpus_free(l);
        return NULL;
    }
    return l;
}

/* Waits until the interval is over; true: the user wants to go. */
static bool pause_for(double seconds, bool keys)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    struct timespec now, end;
    char c;

    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)seconds;
    end.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    while (!ended) {
        long ms;

        clock_gettime(CLOCK_MONOTONIC, &now);
        ms = (end.tv_sec - now.tv_sec) * 1000 + (end.tv_nsec - now.tv_nsec) / 1000000;
        if (ms <= 0)
            return false;
        if (poll(&p, keys ? 1 : 0, (int)ms) > 0 && (read(STDIN_FILENO, &c, 1) != 1 || c == 'q'))
            return true;
    }
    return true;
}

static int watch(struct xs_handle *xs, const struct options *o, bool screen)
{
    struct vgpus *before = look(xs, o), *now;
    int status = 0;

    for (unsigned long n = 0; before && (!o->count || n < o->count); n++) {
        struct looks k = {.before = before};

        if (pause_for(o->interval, screen))
            break;
        now = look(xs, o);
        if (!now) {
            status = 1;
            break;
        }
        k.now = now;
        k.seconds = (double)(now->s->now_ns - before->s->now_ns) / 1e9;
        if (now->s->now_ns <= before->s->now_ns) /* cannot be, or another daemon's clock */
            k.seconds = o->interval;
        if (screen)
            printf("\033[H\033[J");
        else if (n && !o->json)
            printf("\n");
        if (o->json)
            vgpus_json(stdout, now, json_rates, &k);
        else
            show(&k);
        fflush(stdout);
        vgpus_free(before);
        before = now;
    }
    if (!before)
        return 1;
    vgpus_free(before);
    return status;
}

int cmd_top(int argc, char **argv)
{
    struct options o = {.interval = 1};
    struct sigaction act = {.sa_handler = on_signal};
    struct xs_handle *xs = NULL;
    struct termios old, raw;
    bool screen;
    int status = parse(argc, argv, &o);

    if (status >= 0)
        return status;
    if (!vgpus_local(o.backd)) {
        xs = open_xenstore("top");
        if (!xs)
            return 1;
    }
    screen = !o.json && o.count != 1 && isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) &&
             tcgetattr(STDIN_FILENO, &old) == 0;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    if (screen) {
        raw = old;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    status = watch(xs, &o, screen);
    if (screen)
        tcsetattr(STDIN_FILENO, TCSANOW, &old);
    if (xs)
        xs_close(xs);
    return status;
}
