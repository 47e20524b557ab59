/* SPDX-License-Identifier: MIT */
/*
 * gvm-fault - in dom0: arms fault points (dom0-backend/common/fault.h), sees who stops there, cuts
 * gvm-backd's XenStore connections, and looks at what a guest has left behind. Commands on stdin,
 * a line each:
 *   arm POINT DOMID    "armed"; later, once, "hit POINT PID" (PID 0: the sleeper was not found)
 *   go                 lets the sleeper, and whoever comes by later, go on: "gone"
 *   cut                "cut N": N connections of gvm-backd to xenstored are shut down
 *   look DOMID         "look key=value ...", see look()
 *   grants DOMID       "grants N": how many grants of the domain somebody has mapped, by Xen's own
 *                      table; not part of look, because Xen writes that table to its serial line
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#include <xenctrl.h>
#include <xenstore.h>

#include "dom0-backend/common/fault.h"

#define CONSOLE (2u << 20)

static struct fault_page *page;
static xc_interface *xc;
static struct xs_handle *xs;
static bool waiting;

static void __attribute__((format(printf, 1, 2))) say(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

/* The next process whose program is `name`; 0: no more. Restarts with *d NULL. */
static int next_process(DIR **d, const char *name)
{
    struct dirent *e;

    if (!*d)
        *d = opendir("/proc");
    while (*d && (e = readdir(*d))) {
        char path[300], comm[32] = "";
        int pid = atoi(e->d_name);
        FILE *f;

        if (pid <= 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        f = fopen(path, "re");
        if (f) {
            if (fgets(comm, sizeof(comm), f))
                comm[strcspn(comm, "\n")] = '\0';
            fclose(f);
        }
        if (strcmp(comm, name) != 0)
            continue;
        /* One that is dead and not yet reaped has no program any more. */
        snprintf(path, sizeof(path), "/proc/%d/exe", pid);
        if (readlink(path, comm, sizeof(comm)) > 0)
            return pid;
    }
    if (*d)
        closedir(*d);
    *d = NULL;
    return 0;
}

/* Does a thread of the process wait for the page's `go`? */
static bool sleeps_here(int pid)
{
    char path[300], want[64], text[256];
    struct dirent *e;
    bool found = false;
    DIR *d;

    snprintf(want, sizeof(want), "%d 0x%llx ", SYS_futex,
             FAULT_ADDR + offsetof(struct fault_page, go));
    snprintf(path, sizeof(path), "/proc/%d/task", pid);
    d = opendir(path);
    while (d && !found && (e = readdir(d))) {
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/syscall", pid, e->d_name);
        f = fopen(path, "re");
        if (!f)
            continue;
        found = fgets(text, sizeof(text), f) && strncmp(text, want, strlen(want)) == 0;
        fclose(f);
    }
    if (d)
        closedir(d);
    return found;
}

static int sleeper(void)
{
    static const char *const names[] = {"gvm-backd", "gvm-worker"};

    for (int tries = 0; tries < 200; tries++) {
        for (unsigned i = 0; i < 2; i++) {
            DIR *d = NULL;
            int pid;

            while ((pid = next_process(&d, names[i]))) {
                if (sleeps_here(pid)) {
                    closedir(d);
                    return pid;
                }
            }
        }
        usleep(5000);
    }
    return 0;
}

static void arm(const char *name, unsigned domid)
{
    page->domid = domid;
    snprintf(page->name, sizeof(page->name), "%s", name);
    __atomic_store_n(&page->armed, page->armed + 1, __ATOMIC_RELEASE);
    waiting = true;
    say("armed");
}

static void go(void)
{
    __atomic_store_n(&page->hit, page->armed, __ATOMIC_RELEASE);
    __atomic_store_n(&page->go, page->armed, __ATOMIC_RELEASE);
    syscall(SYS_futex, &page->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    waiting = false;
    say("gone");
}

static void cut(void)
{
    char path[300];
    struct dirent *e;
    DIR *d = NULL, *fds;
    int pid = next_process(&d, "gvm-backd"), pidfd, n = 0;

    if (d)
        closedir(d);
    pidfd = pid ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    fds = pidfd >= 0 ? opendir(path) : NULL;
    while (fds && (e = readdir(fds))) {
        struct sockaddr_un a = {0};
        socklen_t len = sizeof(a) - 1;
        int fd = (int)syscall(SYS_pidfd_getfd, pidfd, atoi(e->d_name), 0);

        if (e->d_name[0] != '.' && fd >= 0 && getpeername(fd, (struct sockaddr *)&a, &len) == 0 &&
            a.sun_family == AF_UNIX && strstr(a.sun_path, "xenstored"))
            n += shutdown(fd, SHUT_RDWR) == 0;
        if (fd >= 0)
            close(fd);
    }
    if (fds)
        closedir(fds);
    if (pidfd >= 0)
        close(pidfd);
    say("cut %d", n);
}

/* ---- looking */

/* -1: the table cannot be read. */
static int mapped_grants(unsigned domid)
{
    static char text[CONSOLE];
    char want[64], *at, *line, *save;
    unsigned n = sizeof(text) - 1;
    int count = 0;

    if (xc_readconsolering(xc, text, &n, 1, 0, NULL) || xc_send_debug_keys(xc, "g"))
        return -1;
    n = sizeof(text) - 1;
    if (xc_readconsolering(xc, text, &n, 1, 0, NULL))
        return -1;
    text[n] = '\0';
    snprintf(want, sizeof(want), "grant-table for remote d%u", domid);
    at = strstr(text, want);
    if (!at)
        return 0;
    line = strtok_r(at, "\n", &save);
    while ((line = strtok_r(NULL, "\n", &save)) && !strstr(line, "grant-table for remote")) {
        char *b = strchr(line, '[');

        count += b && strchr(b, ']') && strchr(b, ']') - b < 14;
    }
    return count;
}

static int domains(unsigned domid, int *all)
{
    static xc_domaininfo_t info[256];
    int n = xc_domain_getinfolist(xc, 0, 256, info), found = 0;

    for (int i = 0; i < n; i++)
        found |= info[i].domain == domid;
    *all = n;
    return found;
}

/* Nodes at or below `path`. */
static unsigned nodes(const char *path)
{
    unsigned n, count;
    char **list = xs_directory(xs, XBT_NULL, path, &n);

    if (!list)
        return 0;
    count = 1;
    for (unsigned i = 0; i < n; i++) {
        char sub[512];

        snprintf(sub, sizeof(sub), "%s/%s", path, list[i]);
        count += nodes(sub);
    }
    free(list);
    return count;
}

static unsigned state_of(const char *fmt, unsigned domid)
{
    char path[128], *v;
    unsigned len, state = 0;

    snprintf(path, sizeof(path), fmt, domid);
    v = xs_read(xs, XBT_NULL, path, &len);
    if (v)
        state = (unsigned)atoi(v);
    free(v);
    return state;
}

static unsigned fd_count(int pid)
{
    char path[300];
    unsigned n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    d = opendir(path);
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static unsigned resident_kib(int pid)
{
    char path[300], line[128];
    unsigned v = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        sscanf(line, "RssAnon: %u", &v);
    if (f)
        fclose(f);
    return v;
}

static unsigned files(const char *dir, const char *head, const char *tail)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    unsigned n = 0;

    while (d && (e = readdir(d))) {
        size_t len = strlen(e->d_name), t = strlen(tail);

        n += strncmp(e->d_name, head, strlen(head)) == 0 && len >= t &&
             strcmp(e->d_name + len - t, tail) == 0;
    }
    if (d)
        closedir(d);
    return n;
}

/*
 * domain= is it there (dying counts); domains= how many there are; back=, front= its device's states, 0: no such node; nodes= in both directories; backd= pid;
 * fds= and anon= (KiB) of gvm-backd; workers= pids, comma separated; sockets= of workers; files= of
 * this domain in gvm-backd's folder.
 */
static void look(unsigned domid)
{
    char back[64], front[64], own[32], known[32], text[512] = "";
    int all, there = domains(domid, &all), pid, broker;
    size_t used = 0;
    DIR *d = NULL;

    snprintf(back, sizeof(back), "/local/domain/0/backend/vgpu/%u", domid);
    snprintf(front, sizeof(front), "/local/domain/%u/device/vgpu", domid);
    snprintf(own, sizeof(own), "ctl-%u-", domid);
    snprintf(known, sizeof(known), "known-%u-", domid);
    while ((pid = next_process(&d, "gvm-worker")) && used + 16 < sizeof(text))
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%d", used ? "," : "", pid);
    broker = next_process(&d, "gvm-backd");
    if (d)
        closedir(d);
    say("look domain=%d domains=%d back=%u front=%u nodes=%u backd=%d fds=%u anon=%u "
        "workers=%s sockets=%u files=%u",
        there, all, state_of("/local/domain/0/backend/vgpu/%u/0/state", domid),
        state_of("/local/domain/%u/device/vgpu/0/state", domid), nodes(back) + nodes(front), broker,
        broker ? fd_count(broker) : 0, broker ? resident_kib(broker) : 0, used ? text : "none",
        files("/run/gvm", "worker-", ".sock"),
        files("/run/gvm", own, "") + files("/run/gvm", known, ""));
}

static void command(const char *line)
{
    char name[FAULT_NAME];
    unsigned domid;

    if (sscanf(line, "arm %47s %u", name, &domid) == 2)
        arm(name, domid);
    else if (strcmp(line, "go") == 0)
        go();
    else if (strcmp(line, "cut") == 0)
        cut();
    else if (sscanf(line, "look %u", &domid) == 1)
        look(domid);
    else if (sscanf(line, "grants %u", &domid) == 1)
        say("grants %d", mapped_grants(domid));
    else
        say("unknown command %s", line);
}

int main(int argc, char **argv)
{
    static char buf[4096];
    size_t have = 0;
    int fd;

    if (argc != 2) {
        fprintf(stderr, "usage: gvm-fault FILE\n");
        return 2;
    }
    fd = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(*page)) < 0) {
        perror(argv[1]);
        return 1;
    }
    page = mmap((void *)FAULT_ADDR, sizeof(*page), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    xc = xc_interface_open(NULL, NULL, 0);
    xs = xs_open(0);
    if (page == MAP_FAILED || !xc || !xs) {
        perror("mmap, xc_interface_open or xs_open");
        return 1;
    }
    say("ready");
    for (;;) {
        struct pollfd p = {.fd = 0, .events = POLLIN};
        char *nl;
        ssize_t n;

        if (poll(&p, 1, waiting ? 5 : -1) < 0 && errno != EINTR)
            return 1;
        if (waiting && __atomic_load_n(&page->hit, __ATOMIC_ACQUIRE) == page->armed) {
            waiting = false;
            say("hit %s %d", page->name, sleeper());
        }
        if (!(p.revents & (POLLIN | POLLHUP)))
            continue;
        n = read(0, buf + have, sizeof(buf) - 1 - have);
        if (n <= 0)
            return 0;
        have += (size_t)n;
        buf[have] = '\0';
        while ((nl = strchr(buf, '\n'))) {
            *nl = '\0';
            command(buf);
            have -= (size_t)(nl + 1 - buf);
            memmove(buf, nl + 1, have + 1);
        }
    }
}
