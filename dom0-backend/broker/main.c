/* SPDX-License-Identifier: MIT */
/*
 * gvm-backd - gives guest processes their workers: the broker, and in dom0 the agent as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/agent/agent.h"
#include "dom0-backend/agent/spec.h"
#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/gpushare.h"
#include "dom0-backend/broker/cgroup.h"
#include "dom0-backend/broker/listen.h"
#include "dom0-backend/broker/mps.h"
#include "dom0-backend/broker/root.h"
#include "dom0-backend/broker/xendev.h"
#include "dom0-backend/common/fault.h"

/* --guest */
struct local_guest {
    char socket[108];
    uint64_t mem;
    uint32_t weight, cap;
};

struct options {
    const char *config;
    const char *local; /* socket of the local transport */
    bool end_workers;  /* serve nobody, only end the workers that are left */
    struct local_guest guest[LOCAL_GUESTS];
    unsigned nguest;
    int listen_fd; /* the same, bound by gvm run */
    pid_t parent;  /* gvm run: end with it, and remove the socket's directory */
    struct worker_params params;
    enum log_level level;
};

static const char usage[] =
    "usage: gvm-backd [--config FILE] [--worker FILE] [--log-level error|warning|info|debug]\n"
    "       gvm-backd --end-workers [--config FILE]\n"
    "       gvm-backd --local SOCKET [--device INDEX|GPU-UUID] [--mem BYTES] [--threads N]\n"
    "                 [--stats] [--kind ptx|cuda] [--warm 0..64] [--no-pin] [--spin-us "
    "0..1000000]\n"
    "                 [--worker FILE] [--log-level error|warning|info|debug] [--confine]\n"
    "                 [--guest SOCKET[,mem=SIZE][,weight=1..65535][,cap=1..100]]...   further "
    "guests\n"
    "                 [--slice-us 1000..1000000] [--max-kernel SECONDS]   while others want the "
    "GPU\n"
    "                 [--longest-kernel 0..86400]   seconds, on the software device\n"
    "                 [--mps DIRECTORY]   of an MPS control daemon that runs\n";

static struct broker broker = {.cfg.spin_us = -1};
static ev_signal sig_term, sig_int;
static ev_prepare end_check;
static ev_timer end_timer;

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

static bool guest_number(const char *item, const char *key, uint32_t max, uint32_t *out)
{
    size_t n = strlen(key);
    char *end;
    unsigned long v;

    if (strncmp(item, key, n) != 0 || item[n] < '0' || item[n] > '9')
        return false;
    v = strtoul(item + n, &end, 10);
    *out = (uint32_t)v;
    return !*end && v >= 1 && v <= max;
}

/* SOCKET[,KEY=VALUE...]. 0, or -1 after one line. */
static int parse_guest(const char *text, struct options *o)
{
    struct local_guest *g = &o->guest[o->nguest];
    char copy[256], *p = copy, *item;

    if (o->nguest == LOCAL_GUESTS - 1) {
        log_error("--guest %s: allowed are %u besides --local", text, LOCAL_GUESTS - 1);
        return -1;
    }
    if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy)) {
        log_error("--guest: allowed are %zu octets", sizeof(copy) - 1);
        return -1;
    }
    item = strsep(&p, ",");
    if (!*item || strlen(item) >= sizeof(g->socket)) {
        log_error("--guest %s: a socket's path has 1 to %zu octets", text, sizeof(g->socket) - 1);
        return -1;
    }
    strcpy(g->socket, item);
    g->mem = g->weight = g->cap = 0;
    while ((item = strsep(&p, ","))) {
        if ((strncmp(item, "mem=", 4) == 0 && vgpu_size_parse(item + 4, &g->mem) == 0) ||
            guest_number(item, "weight=", 65535, &g->weight) ||
            guest_number(item, "cap=", 100, &g->cap))
            continue;
        log_error("--guest %s: '%s' is not allowed; allowed are mem=SIZE, such as mem=1G, "
                  "weight=1..65535 and cap=1..100",
                  text, item);
        return -1;
    }
    o->nguest++;
    return 0;
}

static int parse(int argc, char **argv, struct options *o)
{
    enum {
        CONFIG,
        LOCAL,
        LISTEN,
        PARENT,
        DEVICE,
        MEM,
        THREADS,
        STATS,
        KIND,
        WORKER,
        WARM,
        NO_PIN,
        SPIN,
        END_WORKERS,
        LEVEL,
        GUEST,
        CONFINE,
        KERNEL,
        LONGEST,
        SLICE,
        MPS,
        HELP
    };
    static const struct option opts[] = {
        {"config", 1, NULL, CONFIG},
        {"local", 1, NULL, LOCAL},
        {"listen-fd", 1, NULL, LISTEN},
        {"with-parent", 1, NULL, PARENT},
        {"device", 1, NULL, DEVICE},
        {"mem", 1, NULL, MEM},
        {"threads", 1, NULL, THREADS},
        {"stats", 0, NULL, STATS},
        {"kind", 1, NULL, KIND},
        {"worker", 1, NULL, WORKER},
        {"warm", 1, NULL, WARM},
        {"log-level", 1, NULL, LEVEL},
        {"help", 0, NULL, HELP},
        {"no-pin", 0, NULL, NO_PIN},
        {"end-workers", 0, NULL, END_WORKERS},
        {"spin-us", 1, NULL, SPIN},
        {"guest", 1, NULL, GUEST},
        {"confine", 0, NULL, CONFINE},
        {"max-kernel", 1, NULL, KERNEL},
        {"longest-kernel", 1, NULL, LONGEST},
        {"slice-us", 1, NULL, SLICE},
        {"mps", 1, NULL, MPS},
        {NULL, 0, NULL, 0},
    };
    uint64_t v;
    int c;

    while ((c = getopt_long(argc, argv, "", opts, NULL)) != -1) {
        switch (c) {
        case CONFIG:
            o->config = optarg;
            break;
        case LOCAL:
            o->local = optarg;
            break;
        case LISTEN:
            if (number("listen-fd", optarg, 1024, &v) < 0)
                return -1;
            o->listen_fd = (int)v;
            break;
        case PARENT:
            if (number("with-parent", optarg, INT32_MAX, &v) < 0)
                return -1;
            o->parent = (pid_t)v;
            break;
        case DEVICE:
            if (strlen(optarg) >= sizeof(o->params.device)) {
                log_error("--device %s: not an index or GPU-UUID", optarg);
                return -1;
            }
            strcpy(o->params.device, optarg);
            break;
        case MEM:
            if (number("mem", optarg, UINT64_MAX, &o->params.mem) < 0)
                return -1;
            break;
        case THREADS:
            if (number("threads", optarg, 1024, &v) < 0)
                return -1;
            broker.cfg.threads = (unsigned)v;
            break;
        case STATS:
            broker.show_stats = true;
            break;
        case KIND:
            broker.cfg.kind = optarg;
            break;
        case WORKER:
            broker.cfg.worker_path = optarg;
            break;
        case WARM:
            if (number("warm", optarg, 64, &v) < 0)
                return -1;
            broker.cfg.warm = (unsigned)v;
            break;
        case NO_PIN:
            broker.cfg.no_pin = true;
            break;
        case SPIN:
            if (number("spin-us", optarg, 1000000, &v) < 0)
                return -1;
            broker.cfg.spin_us = (int)v;
            break;
        case END_WORKERS:
            o->end_workers = true;
            break;
        case LEVEL:
            if (!log_parse_level(optarg, &o->level)) {
                log_error("--log-level %s: allowed are error, warning, info and debug", optarg);
                return -1;
            }
            broker.cfg.log_level = optarg;
            break;
        case SLICE:
            if (number("slice-us", optarg, 1000000, &v) < 0)
                return -1;
            if (v < 1000) {
                log_error("--slice-us %s: allowed is a number from 1000 to 1000000", optarg);
                return -1;
            }
            broker.cfg.slice_us = (uint32_t)v;
            break;
        case MPS:
            broker.cfg.mps = optarg;
            break;
        case KERNEL:
            if (number("max-kernel", optarg, 86400, &v) < 0)
                return -1;
            broker.cfg.kernel_limit = (uint32_t)v;
            break;
        case LONGEST:
            if (number("longest-kernel", optarg, 86400, &v) < 0)
                return -1;
            broker.cfg.longest_kernel = (uint32_t)v;
            break;
        case GUEST:
            if (parse_guest(optarg, o) < 0)
                return -1;
            break;
        case CONFINE:
            broker.confine = true;
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
    if (broker.confine && !o->local) {
        log_error("--confine is for --local; workers of Xen guests always are");
        return -1;
    }
    if (o->nguest && !o->local) {
        log_error("--guest is for --local; guests of Xen have vgpu= in their configuration");
        return -1;
    }
    return 0;
}

/* gvm-worker lies beside this program, or where packages put it. */
static const char *find_worker(void)
{
    static char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/gvm-worker"));

    if (n > 0) {
        char *slash;

        path[n] = '\0';
        slash = strrchr(path, '/');
        strcpy(slash, "/gvm-worker");
        if (access(path, X_OK) == 0)
            return path;
    }
    return "/usr/lib/gvm/gvm-worker";
}

/* The socket of a local guest, or -1 after one line. */
static int listen_local(const char *path)
{
    int fd = listen_at(path, SOCK_SEQPACKET, 128);

    if (fd == -ENAMETOOLONG)
        log_error("--local %s: a socket's path has at most %u octets, its folder %u", path,
                  LISTEN_PATH_MAX, LISTEN_DIR_MAX);
    else if (fd < 0)
        log_error("%s: %s", path, strerror(-fd));
    return fd < 0 ? -1 : fd;
}

static void on_end_check(struct ev_loop *loop, ev_prepare *p, int revents)
{
    if (!broker.workers)
        ev_break(loop, EVBREAK_ALL);
}

static void on_end_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    ev_break(loop, EVBREAK_ALL);
}

static void on_signal(struct ev_loop *loop, ev_signal *s, int revents)
{
    const struct options *o = s->data;

    if (broker.stopping)
        return;
    broker.stopping = true;
    if (!o->local) { /* devices stay in state 4 and workers run on: the next gvm-backd takes over */
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    local_stop(&broker);
    for (struct worker *w = broker.workers; w; w = w->next)
        worker_end(w);
    /* Until the last worker is gone, which its grace limits; a second is more than enough. */
    ev_prepare_init(&end_check, on_end_check);
    ev_prepare_start(loop, &end_check);
    ev_timer_init(&end_timer, on_end_timer, 1., 0.);
    ev_timer_start(loop, &end_timer);
}

/* Of a local daemon. */
static const char *query_path(const struct options *o)
{
    static char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];

    snprintf(path, sizeof(path), "%s.query", o->local);
    return path;
}

static void remove_socket(const struct options *o)
{
    char dir[sizeof(((struct sockaddr_un *)0)->sun_path)];

    unlink(o->local);
    unlink(query_path(o));
    for (unsigned i = 0; i < o->nguest; i++)
        unlink(o->guest[i].socket);
    if (o->parent) {
        snprintf(dir, sizeof(dir), "%s", o->local);
        rmdir(dirname(dir));
    }
}

/* As for guests of Xen, with what a configuration file says if it says nothing. */
static int confine_local(void)
{
    static struct gvm_conf conf;

    if (geteuid() != 0) {
        log_error("--confine: user ids and namespaces are root's to give");
        return -1;
    }
    gvm_conf_default(&conf);
    broker.cfg.uid_base = conf.uid_base;
    broker.cfg.worker_memory = (uint64_t)conf.worker_memory << 20;
    root_prepare();
    cgroup_start(NULL);
    return 0;
}

/* Said at the start, not when the first guest's program fails. */
static int mps_start(void)
{
    char why[320];

    if (!broker.cfg.mps)
        return 0;
    if (!mps_found(broker.cfg.mps, why, sizeof(why))) {
        log_error("%s", why);
        return -1;
    }
    /* Workers that are not confined have the environment of this process. */
    if (setenv(MPS_VARIABLE, broker.cfg.mps, 1) < 0)
        return -1;
    log_info(
        "guests share a GPU through the MPS server of %s: a fault of one ends the work of all, "
        "weights have no effect, and no guest can be suspended",
        broker.cfg.mps);
    return 0;
}

static int run_local(struct options *o)
{
    int fd, err;

    if ((broker.confine && confine_local() < 0) || mps_start() < 0)
        return 1;
    fd = o->listen_fd >= 0 ? o->listen_fd : listen_local(o->local);
    if (fd < 0)
        return 1;
    err = local_start(&broker, fd, &o->params, 0, 0);
    if (err) {
        log_error("%s: %s", o->local, strerror(-err));
        return 1;
    }
    for (unsigned i = 0; i < o->nguest; i++) {
        struct worker_params p = o->params;

        p.mem = o->guest[i].mem;
        fd = listen_local(o->guest[i].socket);
        err = fd < 0 ? -1 : local_start(&broker, fd, &p, o->guest[i].weight, o->guest[i].cap);
        if (err) {
            if (fd >= 0)
                log_error("%s: %s", o->guest[i].socket, strerror(-err));
            remove_socket(o);
            return 1;
        }
    }
    err = query_start(&broker, query_path(o));
    if (err)
        log_warn("%s: %s: gvm list, top and trace will not work", query_path(o), strerror(-err));
    audit_start(&broker);
    ev_run(broker.loop, 0);
    remove_socket(o);
    return 0;
}

/* run_dir, for us alone; its lock keeps a second daemon out. */
static int take_run_dir(const char *dir)
{
    char path[108];
    int fd;

    if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
        log_error("%s: %m", dir);
        return -1;
    }
    snprintf(path, sizeof(path), "%s/backd.lock", dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0) {
        log_error("%s: %s", path,
                  errno == EWOULDBLOCK ? "another gvm-backd is running" : strerror(errno));
        return -1;
    }
    return 0; /* held until the process ends */
}

static bool adopt_none(struct broker *b, struct worker *w)
{
    return false;
}

/*
 * What workers an earlier gvm-backd has left are ended, and nobody is served: gvm-backd is about
 * to be removed. Their guests' programs get an error, as from any worker's death. Of XenStore, an
 * empty backend/vgpu goes too.
 */
static int run_end_workers(const struct options *o)
{
    static struct gvm_conf conf;

    xenbus_remove_empty();
    gvm_conf_load_file(o->config ? o->config : GVM_CONF_FILE, &conf);
    broker.cfg.run_dir = conf.run_dir;
    if (access(conf.run_dir, F_OK) < 0)
        return 0;
    if (take_run_dir(conf.run_dir) < 0)
        return 1;
    worker_adopt_all(&broker, adopt_none);
    ev_prepare_init(&end_check, on_end_check);
    ev_prepare_start(broker.loop, &end_check);
    ev_timer_init(&end_timer, on_end_timer, 2., 0.);
    ev_timer_start(broker.loop, &end_timer);
    ev_run(broker.loop, 0);
    return broker.workers ? 1 : 0;
}

/* Is this the domain with the toolstack? */
static bool in_control_domain(void)
{
    char caps[64] = "";
    FILE *f = fopen("/proc/xen/capabilities", "re");

    if (f) {
        if (!fgets(caps, sizeof(caps), f))
            caps[0] = '\0';
        fclose(f);
    }
    return strstr(caps, "control_d") != NULL;
}

static int run_xen(struct options *o)
{
    static struct gvm_conf conf;
    static struct xenbus bus;
    char path[108];
    int status = 1, err;
    bool with_agent;

    gvm_conf_default(&conf);
    conf_load(o->config ? o->config : GVM_CONF_FILE, &conf);
    if (!broker.cfg.log_level && log_parse_level(conf.log_level, &o->level)) {
        log_init("gvm-backd", o->level);
        broker.cfg.log_level = conf.log_level;
    }
    broker.cfg.run_dir = conf.run_dir;
    broker.cfg.warm = conf.warm_workers;
    broker.cfg.threads = conf.threads;
    broker.cfg.spin_us = (int)conf.spin_us;
    broker.cfg.slice_us = conf.slice_us;
    broker.cfg.kernel_limit = conf.max_kernel_s;
    broker.cfg.longest_kernel = conf.longest_kernel_s;
    broker.cfg.max_channels = conf.max_channels;
    broker.cfg.max_pages = conf.max_pages;
    broker.cfg.host_pages = conf.max_host_pages;
    broker.cfg.state_dir = conf.state_dir;
    broker.cfg.state_days = conf.state_days;
    broker.cfg.drain_ms = conf.suspend_wait_s * 1000;
    broker.cfg.uid_base = conf.uid_base;
    broker.cfg.worker_memory = (uint64_t)conf.worker_memory << 20;
    if (conf.kind[0])
        broker.cfg.kind = conf.kind;
    if (conf.mps[0])
        broker.cfg.mps = conf.mps;
    broker.root = broker.confine = geteuid() == 0;
    if (!broker.root) {
        log_error("gvm-backd serves Xen guests as root only; gvm run needs no privileges");
        return 1;
    }
    if (mps_start() < 0)
        return 1;
    cgroup_start(NULL);
    with_agent = in_control_domain() && conf.agent;
    bus.conf = &conf;
    bus.tidy = !with_agent;
    if (take_run_dir(conf.run_dir) < 0 || xenbus_start(&bus, &broker) < 0)
        return 1;
    snprintf(path, sizeof(path), "%s/backd.sock", conf.run_dir);
    err = query_start(&broker, path);
    if (err)
        log_warn("%s: %s: gvm list, top and trace will not work", path, strerror(-err));
    if (!with_agent)
        log_info(in_control_domain() ? "agent = 0: vgpu= entries are the toolstack's"
                                     : "a driver domain: vgpu= entries are the agent's in dom0");
    else if (agent_start(broker.loop, &conf) < 0)
        goto out;
    audit_start(&broker);
    xenpark_start(&broker);
    notify_ready();
    ev_run(broker.loop, 0);
    status = broker.stopping ? 0 : 1;
out:
    agent_stop(broker.loop);
    worker_leave_all(&broker);
    xenbus_stop(&bus);
    unlink(path);
    return status;
}

int main(int argc, char **argv)
{
    struct options o = {.listen_fd = -1, .level = LOG_INFO_, .params = {.device = "0"}};
    struct rlimit files;

    log_init("gvm-backd", LOG_INFO_);
    broker.cfg = (struct broker_config){
        .warm = 1,
        .spin_us = -1,
        .max_channels = 16,
        .slice_us = GS_SLICE_US,
        .kernel_limit = KERNEL_LIMIT_S,
        .longest_kernel = LONGEST_KERNEL_S,
        .drain_ms = PARK_DRAIN_MS,
        .max_pages = UINT64_MAX / 4,
        .host_pages = UINT64_MAX / 2,
    };
    if (parse(argc, argv, &o) < 0)
        return 2;
    log_init("gvm-backd", o.level);
    fault_open();
    if (!broker.cfg.worker_path)
        broker.cfg.worker_path = find_worker();
    signal(SIGPIPE, SIG_IGN);
    /* Memory that processes share is a descriptor each; half of all are for the rest. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
        broker.shares.most = files.rlim_max / 2 < SHARES_MAX ? (unsigned)files.rlim_max / 2 : 0;
    }
    broker.loop = ev_loop_new(EVFLAG_AUTO);
    if (!broker.loop) {
        log_error("no event loop: %m");
        return 1;
    }
    broker.next_worker = 1;
    /* Not where an earlier broker began: answers to its requests may still come. */
    if (getrandom(&broker.next_seq, sizeof(broker.next_seq), 0) != sizeof(broker.next_seq))
        broker.next_seq = (uint32_t)getpid() << 12;
    ev_signal_init(&sig_term, on_signal, SIGTERM);
    ev_signal_init(&sig_int, on_signal, SIGINT);
    sig_term.data = sig_int.data = &o;
    ev_signal_start(broker.loop, &sig_term);
    ev_signal_start(broker.loop, &sig_int);
    if (o.parent) {
        /* The handler is there by now, and a parent that is gone already shows as another one. */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != o.parent)
            raise(SIGTERM);
    }
    if (o.end_workers)
        return run_end_workers(&o);
    return o.local ? run_local(&o) : run_xen(&o);
}
