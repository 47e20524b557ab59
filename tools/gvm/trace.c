/* SPDX-License-Identifier: MIT */
/*
 * trace.c - gvm trace: the calls of guest processes, decoded, as they are made. gvm-backd hands over a
 * ring for each process (dom0-backend/transport/trace_ring.h), which that process's worker fills while
 * this program has its socket open. A ring is untrusted: slots are copied, then looked at.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/common/fdmsg.h"
#include "dom0-backend/common/xs.h"
#include "tools/gvm/backd.h"
#include "tools/gvm/gvm.h"
#include "tools/gvm/trace_show.h"
#include "tools/gvm/vgpus.h"
#include "tools/gvm/xen.h"

#define LOOK_MS   20
#define MAX_RINGS 256

static const char usage[] =
    "usage: gvm trace [--seconds S] [--count N] [--backd SOCKET] [DOMAIN[/VGPU]|PID]\n"
    "Shows each call of a domain's processes, or of one guest process (its pid as gvm list shows "
    "it),\n"
    "as its worker runs it: time, process, call, fields, result, how long it took. A number that "
    "is\n"
    "both is the domain's; pid=N is a pid in any case. Without it: all. Programs that start later "
    "are\n"
    "traced from their first call. Ends after --seconds or --count calls, with the process, or by "
    "^C.\n";

struct options {
    const char *backd;
    double seconds;      /* 0: no limit */
    unsigned long count; /* 0: no limit */
    bool one;            /* one process: ends with it */
};

struct trace {
    struct options o;
    int sock;
    struct trace_ring *rings[MAX_RINGS];
    unsigned nrings, live, seen;
    unsigned long shown;
    int64_t to_clock; /* ns from CLOCK_MONOTONIC to the time of day */
};

static volatile sig_atomic_t ended;

static void on_signal(int sig)
{
    ended = 1;
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static bool enough(const struct trace *t)
{
    return ended || (t->o.count && t->shown >= t->o.count);
}

static void read_ring(struct trace *t, struct trace_ring *r)
{
    t->shown += trace_show(stdout, r, t->to_clock, t->o.count ? t->o.count - t->shown : ULONG_MAX);
}

static void add_ring(struct trace *t, const struct tr_msg *m, int fd)
{
    struct trace_ring *r = t->nrings < MAX_RINGS ? calloc(1, sizeof(*r)) : NULL;
    void *p = MAP_FAILED;

    if (r && lseek(fd, 0, SEEK_END) >= (off_t)TR_SIZE)
        p = mmap(NULL, TR_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (p == MAP_FAILED) {
        fprintf(stderr, "gvm trace: process %u cannot be traced: too many, or no memory\n", m->pid);
        free(r);
        return;
    }
    r->map = p;
    r->who = *m;
    t->rings[t->nrings++] = r;
    t->live++;
    t->seen++;
}

static void drop_ring(struct trace *t, unsigned i)
{
    munmap((void *)t->rings[i]->map, TR_SIZE);
    free(t->rings[i]);
    t->rings[i] = t->rings[--t->nrings];
}

static void end_ring(struct trace *t, const struct tr_msg *m)
{
    for (unsigned i = 0; i < t->nrings; i++) {
        struct trace_ring *r = t->rings[i];

        if (r->who.worker != m->worker)
            continue;
        r->ended = true;
        read_ring(t, r);
        drop_ring(t, i);
        t->live--;
        return;
    }
}

/* What gvm-backd has to say; false when it is gone. */
static bool read_messages(struct trace *t)
{
    for (;;) {
        struct tr_msg m;
        int fd = -1, nfds = 0, r = fdmsg_recv(t->sock, &m, sizeof(m), &fd, 1, &nfds, 1);

        if (r == -EAGAIN)
            return true;
        if (r <= 0)
            return false;
        if (m.type == TR_ATTACHED && nfds == 1) {
            add_ring(t, &m, fd);
            continue;
        }
        fdmsg_close(&fd, 1);
        if (m.type == TR_ENDED) {
            end_ring(t, &m);
        } else if (m.type == TR_BUSY) {
            fprintf(stderr, "gvm trace: another gvm trace has process %u (d%u.%u)\n", m.pid,
                    m.domid, m.devid);
            t->seen++;
        } else {
            fprintf(stderr, "gvm trace: gvm-backd refuses: too many traces at a time\n");
            return false;
        }
    }
}

static int run(struct trace *t)
{
    uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(t->o.seconds * 1e9);
    struct pollfd p = {.fd = t->sock, .events = POLLIN};
    bool there = true;

    t->to_clock = (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC));
    while (there && !enough(t) && (!t->o.seconds || clock_ns(CLOCK_MONOTONIC) < end)) {
        if (poll(&p, 1, t->nrings ? LOOK_MS : 200) > 0)
            there = read_messages(t);
        for (unsigned i = 0; i < t->nrings && !enough(t); i++)
            read_ring(t, t->rings[i]);
        fflush(stdout);
        if (t->o.one && t->seen && !t->live)
            break;
    }
    /* What was there when the time was over, or the signal came. */
    if (there && !(t->o.count && t->shown >= t->o.count)) {
        read_messages(t);
        for (unsigned i = 0; i < t->nrings; i++)
            read_ring(t, t->rings[i]);
    }
    if (!there)
        fprintf(stderr, "gvm trace: gvm-backd has ended the trace\n");
    return there ? 0 : 1;
}

/* "5", "guest", "guest/1", "812", "pid=812" -> the request. False after one line. */
static bool request(const char *what, struct xs_handle *xs, struct options *o, char *buf, size_t n)
{
    char name[128], *slash;
    uint64_t v, devid = 0;
    uint32_t domid;

    if (!what) {
        snprintf(buf, n, "trace");
        return true;
    }
    if (strncmp(what, "pid=", 4) == 0 ? xs_parse_uint(what + 4, 1, UINT32_MAX - 1, &v) : false) {
        o->one = true;
        snprintf(buf, n, "trace pid=%" PRIu64, v);
        return true;
    }
    snprintf(name, sizeof(name), "%s", what);
    slash = strchr(name, '/');
    if (slash)
        *slash++ = '\0';
    if (slash && !xs_parse_uint(slash, 0, 15, &devid)) {
        fprintf(stderr, "gvm trace: %s: a domain's vgpus are 0..15\n", what);
        return false;
    }
    if (xs && xs_find_domain(xs, name, &domid) == 0) {
        if (slash)
            snprintf(buf, n, "trace domid=%u devid=%" PRIu64, domid, devid);
        else
            snprintf(buf, n, "trace domid=%u", domid);
        return true;
    }
    if (!slash && xs_parse_uint(name, 1, UINT32_MAX - 1, &v)) {
        o->one = true;
        snprintf(buf, n, "trace pid=%" PRIu64, v);
        return true;
    }
    fprintf(stderr, "gvm trace: %s: no such domain, and no pid\n", what);
    return false;
}

/* One process must be there already: else the trace would wait for ever. */
static bool is_there(const char *path, const char *req)
{
    char *text = backd_ask(path, "list"), key[40];
    const char *at = strstr(req, "pid=");
    bool found;

    if (!text)
        return false;
    snprintf(key, sizeof(key), " %s ", at);
    found = strstr(text, key) != NULL;
    free(text);
    if (!found)
        fprintf(stderr, "gvm trace: no guest process has %s (gvm list processes)\n", at);
    return found;
}

/* -1: go on; else the exit status. */
static int parse(int argc, char **argv, struct options *o)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'},
                                         {"seconds", 1, NULL, 's'},
                                         {"count", 1, NULL, 'n'},
                                         {"backd", 1, NULL, 'b'},
                                         {NULL, 0, NULL, 0}};
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        switch (c) {
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 's':
            o->seconds = strtod(optarg, &end);
            if (*end || !(o->seconds > 0 && o->seconds <= 1e6)) {
                fprintf(stderr, "gvm trace: --seconds %s: allowed is a number above 0\n", optarg);
                return 2;
            }
            break;
        case 'n':
            if (!opt_count("gvm trace", optarg, &o->count))
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
    if (argc - optind > 1) {
        fputs(usage, stderr);
        return 2;
    }
    return -1;
}

int cmd_trace(int argc, char **argv)
{
    static struct trace t;
    struct sigaction act = {.sa_handler = on_signal};
    struct xs_handle *xs = NULL;
    char path[128], req[96];
    int status = parse(argc, argv, &t.o);

    if (status >= 0)
        return status;
    if (!vgpus_local(t.o.backd) && optind < argc) {
        xs = open_xenstore("trace");
        if (!xs)
            return 1;
    }
    status = 1;
    if (!request(optind < argc ? argv[optind] : NULL, xs, &t.o, req, sizeof(req)))
        goto out;
    if (!backd_path(t.o.backd, path, sizeof(path)))
        errno = ENAMETOOLONG;
    t.sock = backd_request(path, req);
    if (t.sock < 0) {
        fprintf(stderr, "gvm trace: gvm-backd does not answer on %s: %s\n", path, strerror(errno));
        goto out;
    }
    if (t.o.one && !is_there(path, req))
        goto out;
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    status = run(&t);
out:
    if (xs)
        xs_close(xs);
    return status;
}
