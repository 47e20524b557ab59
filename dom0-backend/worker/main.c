/* SPDX-License-Identifier: MIT */
/*
 * gvm-worker - executes the CUDA calls of one guest process. Started by gvm-backd, see handoff.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

/* A build without one of the devices has no such symbol. */
extern const struct dev_ops dev_ptx_ops __attribute__((weak));
extern const struct dev_ops dev_cuda_ops __attribute__((weak));

#define WINDOW_TRIES 16u
/* Where pool windows of devices without reserve() go: far from where Linux puts programs, stacks
 * and libraries, in the guest as well as here, and outside the shadow memory of sanitizers. */
#define WINDOW_FIRST 0x180000000000ull
#define WINDOW_STEP  0x030000000000ull

#define CONTEXT_MIB 1024u /* of a GPU's memory, amply: 0.5 GiB on an H200 */

struct options {
    const char *device;
    uint64_t mem;
    unsigned window_try;
    unsigned threads;
    const char *kind; /* NULL: a GPU if there is one */
    bool no_pin;
    uint32_t spin_us;
    uint32_t longest_s;
    enum log_level level;
    uint64_t park, unpark, timeout_ms; /* pids */
    uint64_t reserved;
};

static const char usage[] =
    "usage: gvm-worker [--kind ptx|cuda|ptx-held] [--device INDEX|GPU-UUID] [--mem BYTES] "
    "[--window-try "
    "0..15]\n"
    "                  [--threads N] [--reserved BYTES] [--spin-us 0..1000000] [--no-pin]\n"
    "                  [--longest-kernel 0..86400]\n"
    "                  [--log-level error|warning|info|debug]\n"
    "       gvm-worker --park PID --timeout-ms 0..600000 | --unpark PID\n"
    "It is started by gvm-backd and gvm run, with its socket as descriptor 3.\n";

/* 0, or -1 after one line that names the value and the range. */
static int number(const char *opt, const char *text, uint64_t max, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || *out > max) {
        log_error("--%s %s: not a number from 0 to %llu", opt, text, (unsigned long long)max);
        return -1;
    }
    return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    enum {
        DEVICE,
        MEM,
        WINDOW,
        THREADS,
        KIND,
        NO_PIN,
        SPIN,
        LEVEL,
        PARK,
        UNPARK,
        TIMEOUT,
        RESERVED,
        LONGEST,
        HELP
    };
    static const struct option opts[] = {
        {"device", 1, NULL, DEVICE},
        {"mem", 1, NULL, MEM},
        {"window-try", 1, NULL, WINDOW},
        {"threads", 1, NULL, THREADS},
        {"kind", 1, NULL, KIND},
        {"spin-us", 1, NULL, SPIN},
        {"log-level", 1, NULL, LEVEL},
        {"help", 0, NULL, HELP},
        {"no-pin", 0, NULL, NO_PIN},
        {"park", 1, NULL, PARK},
        {"unpark", 1, NULL, UNPARK},
        {"timeout-ms", 1, NULL, TIMEOUT},
        {"reserved", 1, NULL, RESERVED},
        {"longest-kernel", 1, NULL, LONGEST},
        {NULL, 0, NULL, 0},
    };
    uint64_t v;
    int c;

    while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
        switch (c) {
        case DEVICE:
            o->device = optarg;
            break;
        case MEM:
            if (number("mem", optarg, UINT64_MAX, &o->mem) < 0)
                return -1;
            break;
        case WINDOW:
            if (number("window-try", optarg, WINDOW_TRIES - 1, &v) < 0)
                return -1;
            o->window_try = (unsigned)v;
            break;
        case THREADS:
            if (number("threads", optarg, 1024, &v) < 0)
                return -1;
            o->threads = (unsigned)v;
            break;
        case SPIN:
            if (number("spin-us", optarg, 1000000, &v) < 0)
                return -1;
            o->spin_us = (uint32_t)v;
            break;
        case LONGEST:
            if (number("longest-kernel", optarg, 86400, &v) < 0)
                return -1;
            o->longest_s = (uint32_t)v;
            break;
        case KIND:
            if (strcmp(optarg, "ptx") != 0 && strcmp(optarg, "cuda") != 0 &&
                strcmp(optarg, "ptx-held") != 0) {
                log_error("--kind %s: allowed are ptx, cuda and ptx-held", optarg);
                return -1;
            }
            o->kind = optarg;
            break;
        case NO_PIN:
            o->no_pin = true;
            break;
        case LEVEL:
            if (!log_parse_level(optarg, &o->level)) {
                log_error("--log-level %s: allowed are error, warning, info and debug", optarg);
                return -1;
            }
            break;
        case PARK:
        case UNPARK:
            if (number(c == PARK ? "park" : "unpark", optarg, INT32_MAX,
                       c == PARK ? &o->park : &o->unpark) < 0)
                return -1;
            break;
        case TIMEOUT:
            if (number("timeout-ms", optarg, 600000, &o->timeout_ms) < 0)
                return -1;
            break;
        case RESERVED:
            if (number("reserved", optarg, UINT64_MAX, &o->reserved) < 0)
                return -1;
            break;
        case HELP:
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            return -1;
        }
    }
    if (optind != argc) {
        log_error("unexpected argument %s", argv[optind]);
        return -1;
    }
    return 0;
}

static int cpus(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 2;
}

static struct wk_stats *map_stats(void)
{
    struct stat st;
    void *p;

    if (fstat(WK_FD_STATS, &st) < 0 || (size_t)st.st_size < sizeof(struct wk_stats))
        return NULL;
    p = mmap(NULL, sizeof(struct wk_stats), PROT_READ | PROT_WRITE, MAP_SHARED, WK_FD_STATS, 0);
    close(WK_FD_STATS);
    return p == MAP_FAILED ? NULL : p;
}

/* Which device it is, whatever it was selected by. */
static void name_device(struct wk *w, char *text, size_t n)
{
    struct dev_info *info = calloc(1, sizeof(*info));
    size_t at = (size_t)snprintf(text, n, "%s-", w->ops->name);

    if (!info)
        return;
    w->ops->info(w->dev, info);
    for (size_t i = 0; i < sizeof(info->uuid) && at + 2 < n; i++)
        at += (size_t)snprintf(text + at, n - at, "%02x", info->uuid[i]);
    free(info);
}

/* "ptx-held" is the software device suspended as a GPU is: its state stays in the worker. For tests
 * of all that goes on around that; there is nothing to take it off. */
static bool is_held(const struct options *o)
{
    return o->kind && strcmp(o->kind, "ptx-held") == 0;
}

/* Reserves the windows and opens the device. 0, or -errno with *why set. */
static int open_device(struct wk *w, const struct options *o, struct wk_msg *ready,
                       const char **why)
{
    struct dev_config cfg = {
        .select = o->device,
        .mem_limit = o->mem,
        .pool_size = WK_POOL_SIZE,
        .threads = o->threads,
        .no_pin = o->no_pin,
        .on_fault = wk_on_fault,
        .on_output = wk_on_output,
        .segment = wk_segment,
        .quota = &wk_quota,
        .arg = w,
        .busy_ns = w->stats ? &w->stats->busy_ns : NULL,
        .busy_since = w->stats ? &w->stats->busy_since : NULL,
    };
    static char text[160];
    int err;

    if (w->ops->reserve) {
        err = w->ops->reserve(o->window_try, cfg.pool_size, &cfg.pool_base) ? -ENOMEM : 0;
    } else {
        cfg.pool_base = (void *)(uintptr_t)(WINDOW_FIRST + o->window_try * WINDOW_STEP);
        err = transport_reserve(cfg.pool_base, cfg.pool_size);
    }
    if (err) {
        *why = "the address window is taken";
        return err;
    }
    err = w->ops->open(&cfg, &w->dev);
    if (err) {
        snprintf(text, sizeof(text), "device %s %s cannot be opened: CUDA error %d", w->ops->name,
                 o->device ? o->device : "0", err);
        *why = text;
        return -ENODEV;
    }
    w->keeps = is_held(o) || (!w->ops->state && w->ops->park);
    ready->context_mib = is_held(o) ? 16 : w->keeps ? CONTEXT_MIB : 0;
    ready->flags = w->keeps ? WK_PARKS : w->ops->state ? WK_SAVES : 0;
    w->pool_base = cfg.pool_base;
    w->pool_size = cfg.pool_size;
    ready->pool_base = (uint64_t)(uintptr_t)cfg.pool_base;
    ready->pool_size = cfg.pool_size;
    w->ops->window(w->dev, &ready->dev_base, &ready->dev_size);
    name_device(w, ready->text, sizeof(ready->text));
    return 0;
}

/* Asked for nothing, a machine with a GPU serves that, and any other the software device. */
static const struct dev_ops *choose_kind(const char *kind)
{
    if (kind)
        return strcmp(kind, "cuda") == 0 ? &dev_cuda_ops : &dev_ptx_ops;
    return &dev_cuda_ops && dev_cuda_ops.count() > 0 ? &dev_cuda_ops : &dev_ptx_ops;
}

/* gvm-backd wants another worker off the GPU, or back: a process of its own, as that waits. */
static int move_worker(const struct options *o)
{
    const char *why = "this kind of device has no such thing";
    pid_t pid = (pid_t)(o->park ? o->park : o->unpark);
    const struct dev_ops *ops;
    int err = enter_worker(&pid);

    if (err) {
        printf("the worker's namespaces cannot be entered: %s\n", strerror(-err));
        return 1;
    }
    ops = choose_kind(o->kind);
    err = -1;
    if (is_held(o)) {
        err = kill(pid, 0);
        why = "there is no such process";
    } else if (ops && ops->park && ops->unpark) {
        /* The driver is loaded; from here on a worker is listened to. */
        if (ops->count)
            ops->count();
        if (confine_lock(false, true, false) < 0)
            return 1;
        err = o->park ? ops->park(pid, (uint32_t)o->timeout_ms, &why) : ops->unpark(pid, &why);
    }
    if (err)
        printf("%s\n", why);
    return err ? 1 : 0;
}

int main(int argc, char **argv)
{
    static struct wk w;
    struct options o = {.spin_us = 50, .level = LOG_INFO_};
    struct wk_msg ready = {.type = WK_READY};
    const char *why = "";
    int type = 0, err;
    socklen_t len = sizeof(type);

    log_init("gvm-worker", LOG_INFO_);
    if (parse(argc, argv, &o) < 0)
        return 2;
    log_init("gvm-worker", o.level);
    if (o.park || o.unpark)
        return move_worker(&o);
    if (getsockopt(WK_FD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET) {
        log_error("descriptor %d is not the broker's socket: a worker is started by gvm-backd or "
                  "gvm run, not by hand",
                  WK_FD_SOCKET);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    /* Threads sleep for some 50 us at a time while a GPU is shared; the filter does not let them ask
     * for this later. */
    prctl(PR_SET_TIMERSLACK, 1000UL);
    fcntl(WK_FD_SOCKET, F_SETFD, FD_CLOEXEC);
    w.ctl_fd = WK_FD_SOCKET;
    /* Spinning on the only CPU keeps the guest process from producing what is waited for. */
    w.spin_us = cpus() < 2 ? 0 : o.spin_us;
    w.longest_s = o.longest_s;
    w.few_cpus = cpus() < 4;
    w.stats = map_stats();
    wk_account_init(&w);
    atomic_store(&w.tenant->reserved, o.reserved);
    fault_take_over();
    confine_start();

    fault_point("worker.start", 0);
    w.ops = choose_kind(o.kind);
    if (!w.ops) {
        why = "this build has no such kind of device";
        err = -ENODEV;
    } else {
        err = open_device(&w, &o, &ready, &why);
    }
    if (err) {
        log_error("%s", why);
        ready.status = err;
        snprintf(ready.text, sizeof(ready.text), "%s", why);
        fdmsg_send(WK_FD_SOCKET, &ready, sizeof(ready), NULL, 0);
        return 1;
    }
    /* The kernel frees what is left, device memory included; other threads are still running. */
    _exit(wk_control(&w, &ready));
}
