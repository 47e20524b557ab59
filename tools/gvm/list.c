/* SPDX-License-Identifier: MIT */
/*
 * list.c - gvm list: XenStore says which vgpus there are and in which state; gvm-backd, asked over
 * its socket, what they use.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/common/xs.h"
#include "tools/gvm/gvm.h"
#include "tools/gvm/xen.h"
#include "vgpu_keys.h"

struct list {
    struct xs_handle *xs;
    char *stats; /* the daemon's answer, NULL: none */
    bool processes;
};

/* All of what the daemon says; malloc'd, NULL if it is not there. */
static char *ask_daemon(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *text = NULL;
    size_t n = 0;

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    for (;;) {
        char *more = realloc(text, n + 65536 + 1);
        ssize_t r;

        if (!more)
            break;
        text = more;
        r = read(fd, text + n, 65536);
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    close(fd);
    if (text)
        text[n] = '\0';
    return text;
}

/* The number after " key=" in a line; 0 if there is none. */
static uint64_t field(const char *line, const char *key)
{
    size_t n = strlen(key);
    const char *end = line + strcspn(line, "\n");

    for (const char *p = line; (p = strchr(p, ' ')) && p < end;) {
        p++;
        if (strncmp(p, key, n) == 0 && p[n] == '=')
            return strtoull(p + n + 1, NULL, 10);
    }
    return 0;
}

/* The next line of `kind` for this device, after `from`. */
static const char *next_line(const char *from, const char *kind, uint32_t dom, uint32_t dev)
{
    size_t n = strlen(kind);

    while (from && *from) {
        if (strncmp(from, kind, n) == 0 && from[n] == ' ' && field(from, "domid") == dom &&
            field(from, "devid") == dev)
            return from;
        from = strchr(from, '\n');
        if (from)
            from++;
    }
    return NULL;
}

static const char *after(const char *line)
{
    const char *nl = strchr(line, '\n');

    return nl ? nl + 1 : "";
}

static void human(uint64_t bytes, char *buf, size_t n)
{
    static const char units[] = "BKMGT";
    unsigned u = 0;
    uint64_t whole = bytes, rest = 0;

    while (whole >= 1024 && u < 4) {
        rest = whole % 1024;
        whole /= 1024;
        u++;
    }
    if (u && whole < 10 && rest)
        snprintf(buf, n, "%" PRIu64 ".%" PRIu64 "%c", whole, rest * 10 / 1024, units[u]);
    else
        snprintf(buf, n, "%" PRIu64 "%c", whole, units[u]);
}

static const char *state_name(uint64_t s)
{
    static const char *const names[] = {"unknown",   "initialising", "offered", "initialised",
                                        "connected", "closing",      "closed"};

    return s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}

static void show_device(void *arg, uint32_t back, uint32_t front, uint32_t devid)
{
    struct list *l = arg;
    char path[XS_PATH_MAX], name[64] = "-", device[64] = "?", used[24], quota[24];
    char error[300] = "";
    uint64_t bstate = 0, fstate = 0, mem = 0, calls = 0, bells = 0, mem_used = 0;
    unsigned procs = 0;
    const char *p;

    snprintf(path, sizeof(path), "/local/domain/%u", front);
    xs_get(l->xs, XBT_NULL, path, "name", name, sizeof(name));
    snprintf(path, sizeof(path), VGPU_XS_BACK_FMT, back, front, devid);
    xs_get(l->xs, XBT_NULL, path, VGPU_XS_DEVICE, device, sizeof(device));
    xs_get(l->xs, XBT_NULL, path, VGPU_XS_ERROR, error, sizeof(error));
    xs_get_uint(l->xs, XBT_NULL, path, VGPU_XS_STATE, 0, 8, &bstate);
    xs_get_uint(l->xs, XBT_NULL, path, VGPU_XS_MEM, 0, INT64_MAX, &mem);
    snprintf(path, sizeof(path), VGPU_XS_FRONT_FMT, front, devid);
    xs_get_uint(l->xs, XBT_NULL, path, VGPU_XS_STATE, 0, 8, &fstate);
    for (p = next_line(l->stats, "process", front, devid); p;
         p = next_line(after(p), "process", front, devid)) {
        procs++;
        calls += field(p, "calls");
        bells += field(p, "doorbells_in") + field(p, "doorbells_out");
        mem_used += field(p, "mem_used");
    }
    human(mem_used, used, sizeof(used));
    human(mem, quota, sizeof(quota));
    printf("%-5u %-16s %-4u %-7u %-8.8s %-12s %-6u %6s/%-6s %12" PRIu64 " %10" PRIu64 "\n", front,
           name, devid, back, device,
           bstate == fstate || bstate == XB_INITWAIT || bstate == XB_CLOSED ? state_name(bstate)
                                                                            : "changing",
           procs, used, mem ? quota : "all", calls, bells);
    if (bstate >= XB_CLOSING && error[0])
        printf("      %s\n", error);
    for (p = next_line(l->stats, "process", front, devid); p && l->processes;
         p = next_line(after(p), "process", front, devid)) {
        human(field(p, "mem_used"), used, sizeof(used));
        printf("      pid %-12" PRIu64 " uid %-6" PRIu64 " worker %-13" PRIu64 " %17s %13" PRIu64
               " %10" PRIu64 "\n",
               field(p, "pid"), field(p, "uid"), field(p, "worker"), used, field(p, "calls"),
               field(p, "doorbells_in") + field(p, "doorbells_out"));
    }
}

/* The daemon's answer; NULL after one line that ends with what follows from that. */
static char *ask(const char *so)
{
    struct gvm_conf conf;
    char path[108], *text;

    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    snprintf(path, sizeof(path), "%s/backd.sock", conf.run_dir);
    text = ask_daemon(path);
    if (!text)
        fprintf(stderr, "gvm list: gvm-backd does not answer on %s: %s\n", path, so);
    return text;
}

static int print_raw(void)
{
    char *text = ask("nothing is known");

    if (!text)
        return 1;
    fputs(text, stdout);
    free(text);
    return 0;
}

int cmd_list(int argc, char **argv)
{
    static const char usage[] =
        "usage: gvm list [processes|raw]\n"
        "Shows each vgpu; with `processes` the guest processes that use it too; `raw`: all that\n"
        "gvm-backd counts, as lines of KEY=VALUE.\n";
    struct list l = {0};
    bool raw = false;
    int status = only_help(argc, argv, usage, 0, 1);

    if (status >= 0)
        return status;
    if (argc > optind) {
        l.processes = strcmp(argv[optind], "processes") == 0;
        raw = strcmp(argv[optind], "raw") == 0;
        if (!l.processes && !raw) {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (raw)
        return print_raw();
    l.xs = open_xenstore("list");
    if (!l.xs)
        return 1;
    l.stats = ask("use is not shown");
    printf("%-5s %-16s %-4s %-7s %-8s %-12s %-6s %13s %12s %10s\n", "dom", "name", "vgpu",
           "backend", "device", "state", "procs", "memory/quota", "calls", "doorbells");
    nodes_each_back(l.xs, show_device, &l);
    free(l.stats);
    xs_close(l.xs);
    return 0;
}
