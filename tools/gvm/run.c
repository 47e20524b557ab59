/* SPDX-License-Identifier: MIT */
/*
 * run.c - gvm run: a program on a device of its own over the local transport, without Xen.
 *
 * gvm stays as the parent of both the program and a private gvm-backd. Whoever of the three is
 * killed, the others end: the program and the daemon have this process's death as a signal, the
 * workers have the daemon's socket. The daemon removes the socket and its directory.
 *
 * A gvm-backd that runs anyway (`gvm-backd --local SOCKET --warm N`) is used instead if --backd or
 * GVM_BACKD names its socket, or if it is at the usual place and nothing is asked for that only a
 * daemon of our own can give. Its workers have their contexts made before the program asks.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0-backend/agent/spec.h"
#include "tools/gvm/gvm.h"

#define BACKD_FD 3

struct run {
    const char *mem, *device, *threads, *kind, *spin, *log_level;
    const char *backd_sock; /* of a daemon that is already there; NULL: one of our own */
    bool stats, no_pin;
    char mem_bytes[24];
    char backd[4096], lib[4096];
    char dir[64], sock[96];
    int listen_fd;
    pid_t daemon, program;
};

static const char usage[] =
    "usage: gvm run [--device INDEX|GPU-UUID] [--mem SIZE] [--threads N] [--stats] [--kind "
    "ptx|cuda]\n"
    "               [--no-pin] [--spin-us 0..1000000] [--log-level error|warning|info|debug]\n"
    "               [--] PROGRAM [ARGUMENT...]\n"
    "       gvm run --backd SOCKET [--] PROGRAM [ARGUMENT...]\n"
    "Runs a CUDA program (linked with -cudart shared) on this machine's device, without Xen.\n";

/* What only a daemon started for this program can give. */
static bool wants_own(const struct run *r)
{
    return r->mem || r->device || r->threads || r->kind || r->stats || r->no_pin || r->spin ||
           r->log_level;
}

static int parse(int argc, char **argv, struct run *r)
{
    enum { MEM, DEVICE, THREADS, KIND, LEVEL, STATS, NO_PIN, SPIN, BACKD, HELP };
    static const struct option opts[] = {
        {"mem", 1, NULL, MEM},
        {"device", 1, NULL, DEVICE},
        {"threads", 1, NULL, THREADS},
        {"kind", 1, NULL, KIND},
        {"log-level", 1, NULL, LEVEL},
        {"stats", 0, NULL, STATS},
        {"backd", 1, NULL, BACKD},
        {"help", 0, NULL, HELP},
        {"no-pin", 0, NULL, NO_PIN},
        {"spin-us", 1, NULL, SPIN},
        {NULL, 0, NULL, 0},
    };
    uint64_t bytes;
    int c;

    while ((c = getopt_long(argc, argv, "+", opts, NULL)) != -1) {
        switch (c) {
        case MEM:
            if (vgpu_size_parse(optarg, &bytes)) {
                fprintf(stderr,
                        "gvm run: --mem %s: allowed is a number with K, M, G or T, such as 1G\n",
                        optarg);
                return -1;
            }
            snprintf(r->mem_bytes, sizeof(r->mem_bytes), "%llu", (unsigned long long)bytes);
            r->mem = r->mem_bytes;
            break;
        case DEVICE:
            r->device = optarg;
            break;
        case THREADS:
            r->threads = optarg;
            break;
        case KIND:
            r->kind = optarg;
            break;
        case LEVEL:
            r->log_level = optarg;
            break;
        case STATS:
            r->stats = true;
            break;
        case NO_PIN:
            r->no_pin = true;
            break;
        case SPIN:
            r->spin = optarg;
            break;
        case BACKD:
            r->backd_sock = optarg;
            break;
        case HELP:
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            return -1;
        }
    }
    if (r->backd_sock && wants_own(r)) {
        fputs("gvm run: --backd uses a daemon as it was started: --mem, --device, --threads, "
              "--kind, --stats, --no-pin and --spin-us are for a daemon of the program's own\n",
              stderr);
        return -1;
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return -1;
    }
    return optind;
}

/* The first of `dir`/names[i] that exists, into buf. */
static bool find_beside(const char *dir, const char *const *names, char *buf, size_t n)
{
    for (; *names; names++) {
        if ((size_t)snprintf(buf, n, "%s/%s", (*names)[0] == '/' ? "" : dir, *names) < n &&
            access(buf, F_OK) == 0)
            return true;
    }
    return false;
}

static bool find_parts(struct run *r)
{
    static const char *const backd[] = {"gvm-backd", "../sbin/gvm-backd", "../lib/gvm/gvm-backd",
                                        "/usr/sbin/gvm-backd", NULL};
    static const char *const lib[] = {"lib/libcudart.so.13", "../lib/gvm/libcudart.so.13",
                                      "../lib/x86_64-linux-gnu/gvm/libcudart.so.13",
                                      "/usr/lib/x86_64-linux-gnu/gvm/libcudart.so.13", NULL};
    char self[4000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        return false;
    self[n] = '\0';
    dirname(self);
    if (!find_beside(self, backd, r->backd, sizeof(r->backd))) {
        fprintf(stderr, "gvm run: gvm-backd is not in %s, ../sbin, ../lib/gvm or /usr/sbin\n",
                self);
        return false;
    }
    if (!find_beside(self, lib, r->lib, sizeof(r->lib))) {
        fprintf(stderr,
                "gvm run: libcudart.so.13 is not in %s/lib, ../lib/gvm or "
                "/usr/lib/x86_64-linux-gnu/gvm (package gvm-guest)\n",
                self);
        return false;
    }
    dirname(r->lib);
    return true;
}

/* PATH look-up as execvp does it, for the check of the file. */
static bool find_program(const char *name, char *buf, size_t n)
{
    const char *path = getenv("PATH"), *end;

    if (strchr(name, '/'))
        return (size_t)snprintf(buf, n, "%s", name) < n;
    for (; path && *path; path = *end ? end + 1 : end) {
        end = strchrnul(path, ':');
        if ((size_t)snprintf(buf, n, "%.*s/%s", (int)(end - path), path, name) < n &&
            access(buf, X_OK) == 0)
            return true;
    }
    return false;
}

static bool make_socket(struct run *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    const char *base = getenv("XDG_RUNTIME_DIR");

    if (!base || base[0] != '/' || strlen(base) > 40 || access(base, W_OK) < 0)
        base = "/tmp";
    snprintf(r->dir, sizeof(r->dir), "%s/gvm-XXXXXX", base);
    if (!mkdtemp(r->dir)) {
        fprintf(stderr, "gvm run: %s: %s\n", r->dir, strerror(errno));
        r->dir[0] = '\0';
        return false;
    }
    snprintf(r->sock, sizeof(r->sock), "%s/sock", r->dir);
    snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->sock);
    r->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (r->listen_fd < 0 || bind(r->listen_fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(r->listen_fd, 128) < 0) {
        fprintf(stderr, "gvm run: %s: %s\n", r->sock, strerror(errno));
        return false;
    }
    return true;
}

static bool answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd, rc;

    if (strlen(path) >= sizeof(a.sun_path))
        return false;
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    rc = fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof(a));
    if (fd >= 0)
        close(fd);
    return rc == 0;
}

/* Finds a daemon that is there already. False after one line: it was named and does not answer. */
static bool find_daemon(struct run *r)
{
    const char *named = r->backd_sock ? r->backd_sock : getenv("GVM_BACKD"), *base;

    if (!r->backd_sock && wants_own(r))
        return true;
    if (named && !*named)
        return true;
    if (named) {
        if ((size_t)snprintf(r->sock, sizeof(r->sock), "%s", named) >= sizeof(r->sock) ||
            !answers(r->sock)) {
            fprintf(stderr, "gvm run: no gvm-backd answers at %s\n", named);
            return false;
        }
        r->backd_sock = r->sock;
        return true;
    }
    base = getenv("XDG_RUNTIME_DIR");
    if (base && base[0] == '/' &&
        (size_t)snprintf(r->sock, sizeof(r->sock), "%s/gvm-backd.sock", base) < sizeof(r->sock) &&
        answers(r->sock))
        r->backd_sock = r->sock;
    return true;
}

/* In a child: ends it with this process. False if that has ended already. */
static bool tie_to_parent(pid_t parent, int sig)
{
    return prctl(PR_SET_PDEATHSIG, sig) == 0 && getppid() == parent;
}

static bool start_daemon(struct run *r, const sigset_t *mask)
{
    const char *argv[24] = {"gvm-backd", "--local", r->sock, "--listen-fd", "3"};
    char parent[16];
    int n = 5;

    snprintf(parent, sizeof(parent), "%d", (int)getpid());
    argv[n++] = "--with-parent";
    argv[n++] = parent;
    argv[n++] = "--log-level";
    argv[n++] = r->log_level ? r->log_level : r->stats ? "info" : "warning";
    if (r->mem) {
        argv[n++] = "--mem";
        argv[n++] = r->mem;
    }
    if (r->device) {
        argv[n++] = "--device";
        argv[n++] = r->device;
    }
    if (r->threads) {
        argv[n++] = "--threads";
        argv[n++] = r->threads;
    }
    if (r->kind) {
        argv[n++] = "--kind";
        argv[n++] = r->kind;
    }
    if (r->stats)
        argv[n++] = "--stats";
    if (r->no_pin)
        argv[n++] = "--no-pin";
    if (r->spin) {
        argv[n++] = "--spin-us";
        argv[n++] = r->spin;
    }
    r->daemon = fork();
    if (r->daemon == 0) {
        int null = open("/dev/null", O_RDWR);

        /* Its own session: the terminal's ^C is for the program. */
        setsid();
        sigprocmask(SIG_SETMASK, mask, NULL);
        if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
            _exit(126);
        if (r->listen_fd == BACKD_FD ? fcntl(BACKD_FD, F_SETFD, 0) < 0
                                     : dup2(r->listen_fd, BACKD_FD) < 0)
            _exit(126);
        execv(r->backd, (char *const *)argv);
        fprintf(stderr, "gvm run: %s: %s\n", r->backd, strerror(errno));
        _exit(127);
    }
    return r->daemon > 0;
}

static void set_library_path(const char *lib)
{
    const char *old = getenv("LD_LIBRARY_PATH");
    char *both = NULL;

    if (!old || !*old || asprintf(&both, "%s:%s", lib, old) < 0)
        both = NULL;
    setenv("LD_LIBRARY_PATH", both ? both : lib, 1);
    free(both);
}

static bool start_program(struct run *r, char **argv, const sigset_t *mask)
{
    pid_t self = getpid();

    r->program = fork();
    if (r->program == 0) {
        if (!tie_to_parent(self, SIGKILL))
            _exit(126);
        sigprocmask(SIG_SETMASK, mask, NULL);
        setenv("GVM_SOCKET", r->sock, 1);
        set_library_path(r->lib);
        execvp(argv[0], argv);
        fprintf(stderr, "gvm run: %s: %s\n", argv[0], strerror(errno));
        _exit(errno == ENOENT ? 127 : 126);
    }
    return r->program > 0;
}

static int exit_status(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Waits for the program, passing signals on. */
static int wait_program(struct run *r, int sfd)
{
    struct signalfd_siginfo si;
    int status;
    pid_t pid;

    for (;;) {
        if (read(sfd, &si, sizeof(si)) != (ssize_t)sizeof(si))
            continue;
        if (si.ssi_signo != SIGCHLD) {
            /* The terminal has sent it to the program too. */
            if (si.ssi_code != SI_KERNEL)
                kill(r->program, (int)si.ssi_signo);
            continue;
        }
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            if (pid == r->program)
                return exit_status(status);
            if (pid == r->daemon) {
                r->daemon = -1;
                fprintf(stderr,
                        "gvm run: gvm-backd ended (%s %d); the program goes on without a device\n",
                        WIFSIGNALED(status) ? "signal" : "status",
                        WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
            }
        }
    }
}

/* The daemon ends its workers and removes the directory; a stuck one is killed after 3 s. */
static void stop_daemon(struct run *r, int sfd)
{
    struct pollfd p = {.fd = sfd, .events = POLLIN};
    char query[sizeof(r->sock) + 8];
    struct signalfd_siginfo si;

    if (r->daemon > 0) {
        kill(r->daemon, SIGTERM);
        while (waitpid(r->daemon, NULL, WNOHANG) == 0) {
            if (poll(&p, 1, 3000) == 0) {
                kill(r->daemon, SIGKILL);
                waitpid(r->daemon, NULL, 0);
                break;
            }
            if (read(sfd, &si, sizeof(si)) < 0)
                break;
        }
    }
    unlink(r->sock); /* usually gone already */
    snprintf(query, sizeof(query), "%s.query", r->sock);
    unlink(query);
    rmdir(r->dir);
}

int cmd_run(int argc, char **argv)
{
    static struct run r = {.listen_fd = -1};
    char file[4096];
    const char *why;
    sigset_t set, old;
    int first, sfd, status = 1;

    first = parse(argc, argv, &r);
    if (first < 0)
        return 2;
    if (!find_program(argv[first], file, sizeof(file)) || access(file, X_OK) < 0) {
        fprintf(stderr, "gvm run: %s: %s\n", argv[first], strerror(errno ? errno : ENOENT));
        return 127;
    }
    why = elf_why_not(file);
    if (why) {
        fprintf(stderr, "gvm run: %s %s\n", argv[first], why);
        return 1;
    }
    if (!find_parts(&r))
        return 1;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, &old);
    sfd = signalfd(-1, &set, SFD_CLOEXEC);
    if (sfd < 0) {
        fprintf(stderr, "gvm run: signalfd: %s\n", strerror(errno));
        return 1;
    }
    if (!find_daemon(&r))
        return 1;
    if (r.backd_sock
            ? start_program(&r, argv + first, &old)
            : make_socket(&r) && start_daemon(&r, &old) && start_program(&r, argv + first, &old))
        status = wait_program(&r, sfd);
    if (r.dir[0])
        stop_daemon(&r, sfd);
    return status;
}
