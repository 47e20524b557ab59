/* SPDX-License-Identifier: MIT */
/*
 * labagent: runs commands for the test driver, inside dom0 (over a virtio-serial port) and inside
 * a guest (over its console, as process 1).
 *
 *   labagent serve DEVICE [--guest]   serve commands; --guest also owns the kernel's messages
 *   labagent relay DEVICE             copy between stdin/stdout and DEVICE (a console's pty)
 *
 * Both directions are lines of text.  Control characters and backslashes in arguments are written
 * as \xHH, so that a line is a frame and a console log stays readable.
 *   to the agent     R id command      run it with /bin/sh -c, stdin empty
 *                    S id command      the same, stdin fed by I lines and closed by E
 *                    I id data  /  E id  /  K id signal (to the process group)  /  P id
 *   from the agent   @H                ready
 *                    @O id text        a line of output (stdout and stderr, newline dropped)
 *                    @o id text        output without its newline yet
 *                    @X id status      ended; 128 + signal if killed
 *                    @L text           a kernel message
 *                    @P id             answer to P
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MAX_JOBS    64
#define LINE_MAX_IN 65536
#define CHUNK       2048

struct job {
    bool used;
    unsigned int id;
    pid_t pid;
    int out;       /* read end of the command's output, -1 after its end */
    int in;        /* write end of its stdin, -1 if none */
    bool in_close; /* close `in` when `pend` is written */
    char *pend;    /* bytes not yet written to `in` */
    size_t npend;
    bool reaped;
    int status;
    char text[CHUNK]; /* output without newline so far */
    size_t ntext;
};

static struct job jobs[MAX_JOBS];
static int chan = -1;

static void die(const char *what)
{
    fprintf(stderr, "labagent: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) {
            struct pollfd pf = {.fd = fd, .events = POLLOUT};
            poll(&pf, 1, -1);
            continue;
        }
        if (w < 0)
            return;
        p += w;
        n -= (size_t)w;
    }
}

/* One frame: "@K id text\n", written at once. */
static void frame(char kind, long id, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    char buf[4 * CHUNK + 64];
    size_t k = 0;

    if (id >= 0)
        k = (size_t)snprintf(buf, sizeof(buf), "@%c %ld", kind, id);
    else
        k = (size_t)snprintf(buf, sizeof(buf), "@%c", kind);
    if (n)
        buf[k++] = ' ';
    for (size_t i = 0; i < n && k + 6 < sizeof(buf); i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < 0x20 && c != '\t') || c == '\\' || c >= 0x7f) {
            buf[k++] = '\\';
            buf[k++] = 'x';
            buf[k++] = hex[c >> 4];
            buf[k++] = hex[c & 15];
        } else {
            buf[k++] = (char)c;
        }
    }
    buf[k++] = '\n';
    write_all(chan, buf, k);
}

static size_t unescape(char *s)
{
    char *w = s;
    for (char *r = s; *r;) {
        unsigned int v;
        if (r[0] == '\\' && r[1] == 'x' && r[2] && r[3]) {
            char h[3] = {r[2], r[3], 0};
            v = (unsigned int)strtoul(h, NULL, 16);
            *w++ = (char)v;
            r += 4;
        } else {
            *w++ = *r++;
        }
    }
    *w = 0;
    return (size_t)(w - s);
}

static struct job *job_find(unsigned int id)
{
    for (int i = 0; i < MAX_JOBS; i++)
        if (jobs[i].used && jobs[i].id == id)
            return &jobs[i];
    return NULL;
}

static void job_start(unsigned int id, const char *cmd, bool want_stdin)
{
    struct job *j = NULL;
    int out[2] = {-1, -1}, in[2] = {-1, -1};

    for (int i = 0; i < MAX_JOBS && !j; i++)
        if (!jobs[i].used)
            j = &jobs[i];
    if (!j || pipe2(out, O_CLOEXEC) || (want_stdin && pipe2(in, O_CLOEXEC))) {
        frame('O', id, "labagent: no room for another command", 37);
        frame('X', id, "127", 3);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        int fd = want_stdin ? in[0] : open("/dev/null", O_RDONLY);
        dup2(fd, 0);
        dup2(out[1], 1);
        dup2(out[1], 2);
        execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    if (want_stdin) {
        close(in[0]);
        fcntl(in[1], F_SETFL, O_NONBLOCK);
    }
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    memset(j, 0, sizeof(*j));
    *j = (struct job){.used = true, .id = id, .pid = pid, .out = out[0], .in = in[1]};
    if (pid < 0) {
        close(out[0]);
        j->out = -1;
        j->reaped = true;
        j->status = 127;
    }
}

static void job_flush(struct job *j, bool all)
{
    size_t start = 0;
    for (size_t i = 0; i < j->ntext; i++)
        if (j->text[i] == '\n') {
            frame('O', j->id, j->text + start, i - start);
            start = i + 1;
        }
    memmove(j->text, j->text + start, j->ntext - start);
    j->ntext -= start;
    if (j->ntext && (all || j->ntext == CHUNK)) {
        frame('o', j->id, j->text, j->ntext);
        j->ntext = 0;
    }
}

static void job_output(struct job *j)
{
    for (;;) {
        ssize_t n = read(j->out, j->text + j->ntext, CHUNK - j->ntext);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            job_flush(j, true);
            close(j->out);
            j->out = -1;
            return;
        }
        j->ntext += (size_t)n;
        job_flush(j, false);
    }
}

static void job_input(struct job *j, const char *data, size_t n)
{
    char *p = realloc(j->pend, j->npend + n + 1);
    if (!p)
        return;
    memcpy(p + j->npend, data, n);
    j->pend = p;
    j->npend += n;
}

static void job_feed(struct job *j)
{
    while (j->in >= 0 && j->npend) {
        ssize_t n = write(j->in, j->pend, j->npend);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            j->npend = 0;
            j->in_close = true;
            break;
        }
        memmove(j->pend, j->pend + n, j->npend - (size_t)n);
        j->npend -= (size_t)n;
    }
    if (j->in >= 0 && !j->npend && j->in_close) {
        close(j->in);
        j->in = -1;
    }
}

/*
 * A command has ended when its process has: a background process may keep the pipe open for ever,
 * so what the pipe holds at that moment is its output.
 */
static void job_end(struct job *j)
{
    char text[16];

    if (j->out >= 0)
        job_output(j);
    job_flush(j, true);
    if (j->out >= 0)
        close(j->out);
    if (j->in >= 0)
        close(j->in);
    free(j->pend);
    int st = j->status;
    int rc = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
    frame('X', j->id, text, (size_t)snprintf(text, sizeof(text), "%d", rc));
    j->used = false;
}

static void reap(void)
{
    int st;
    pid_t pid;
    while ((pid = waitpid(-1, &st, WNOHANG)) > 0)
        for (int i = 0; i < MAX_JOBS; i++)
            if (jobs[i].used && jobs[i].pid == pid) {
                jobs[i].reaped = true;
                jobs[i].status = st;
            }
}

static void command(char *line)
{
    char op = line[0], *end;
    if (!op || line[1] != ' ')
        return;
    unsigned int id = (unsigned int)strtoul(line + 2, &end, 10);
    char *arg = *end == ' ' ? end + 1 : end;
    size_t n = unescape(arg);
    struct job *j = job_find(id);

    switch (op) {
    case 'R':
    case 'S':
        job_start(id, arg, op == 'S');
        break;
    case 'I':
        if (j)
            job_input(j, arg, n);
        break;
    case 'E':
        if (j)
            j->in_close = true;
        break;
    case 'K':
        /* A child that has not come to setsid() yet has no group of its own. */
        if (j && j->pid > 0 && !j->reaped && kill(-j->pid, atoi(arg)))
            kill(j->pid, atoi(arg));
        break;
    case 'P':
        frame('P', id, NULL, 0);
        break;
    default:
        break;
    }
    if (j)
        job_feed(j);
}

/* Kernel messages: "level,seq,usec,flags;text".  Before `since` only warnings and worse. */
static void kernel_message(int fd, unsigned long long *since)
{
    char rec[4096];
    for (;;) {
        ssize_t n = read(fd, rec, sizeof(rec) - 1);
        if (n < 0 && (errno == EPIPE || errno == EINTR))
            continue;
        if (n <= 0)
            return;
        rec[n] = 0;
        unsigned int level;
        unsigned long long seq, usec;
        char *text = strchr(rec, ';');
        if (!text || sscanf(rec, "%u,%llu,%llu", &level, &seq, &usec) != 3)
            continue;
        char *nl = strchr(++text, '\n');
        if (nl)
            *nl = 0;
        if ((usec < *since && (level & 7) > 4) || (level & 7) > 6)
            continue;
        char out[CHUNK];
        int k = snprintf(out, sizeof(out), "<%u>[%5llu.%06llu] %s", level & 7, usec / 1000000,
                         usec % 1000000, text);
        frame('L', -1, out, k < CHUNK ? (size_t)k : CHUNK - 1);
    }
}

static void raw(int fd)
{
    struct termios t;
    if (tcgetattr(fd, &t))
        return;
    cfmakeraw(&t);
    tcsetattr(fd, TCSANOW, &t);
}

static void serve(const char *dev, bool guest)
{
    static char line[LINE_MAX_IN];
    static size_t nline;
    struct timespec now;
    sigset_t set;

    chan = open(dev, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (chan < 0)
        die(dev);
    raw(chan);
    if (guest)
        klogctl(8, NULL, 1); /* only what kills the kernel goes to the console directly */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int sfd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned long long since = (unsigned long long)now.tv_sec * 1000000;
    write_all(chan, "\n", 1); /* the kernel may have left a line unfinished */
    frame('H', -1, NULL, 0);

    for (;;) {
        struct pollfd pf[3 + 2 * MAX_JOBS] = {
            {.fd = chan, .events = POLLIN},
            {.fd = sfd, .events = POLLIN},
            {.fd = kmsg, .events = POLLIN},
        };
        for (int i = 0; i < MAX_JOBS; i++) {
            struct job *j = &jobs[i];
            pf[3 + 2 * i] = (struct pollfd){.fd = j->used ? j->out : -1, .events = POLLIN};
            pf[4 + 2 * i] =
                (struct pollfd){.fd = j->used && j->npend ? j->in : -1, .events = POLLOUT};
        }
        if (poll(pf, 3 + 2 * MAX_JOBS, -1) < 0 && errno != EINTR)
            die("poll");
        if (pf[2].revents)
            kernel_message(kmsg, &since);
        if (pf[1].revents) {
            struct signalfd_siginfo si;
            while (read(sfd, &si, sizeof(si)) > 0)
                ;
        }
        reap();
        for (int i = 0; i < MAX_JOBS; i++) {
            struct job *j = &jobs[i];
            if (!j->used)
                continue;
            if (pf[3 + 2 * i].fd == j->out && pf[3 + 2 * i].revents && j->out >= 0)
                job_output(j);
            job_feed(j);
            if (j->reaped)
                job_end(j);
        }
        if (pf[0].revents & POLLIN) {
            ssize_t n = read(chan, line + nline, sizeof(line) - 1 - nline);
            if (n > 0)
                nline += (size_t)n;
            size_t start = 0;
            for (size_t i = 0; i < nline; i++)
                if (line[i] == '\n') {
                    line[i] = 0;
                    command(line + start);
                    start = i + 1;
                }
            memmove(line, line + start, nline - start);
            nline -= start;
            if (nline == sizeof(line) - 1)
                nline = 0;
        } else if (pf[0].revents & (POLLHUP | POLLERR)) {
            /* The driver has not opened its end of the port: nothing to do until it does. */
            usleep(100000);
        }
    }
}

static void relay(const char *dev)
{
    static char buf[65536];
    int fd = open(dev, O_RDWR | O_NOCTTY);
    if (fd < 0)
        die(dev);
    raw(fd);
    struct pollfd pf[2] = {{.fd = 0, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    for (;;) {
        if (poll(pf, 2, -1) < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (pf[i].revents) {
                ssize_t n = read(pf[i].fd, buf, sizeof(buf));
                if (n <= 0)
                    exit(0);
                write_all(i ? 1 : fd, buf, (size_t)n);
            }
    }
}

int main(int argc, char **argv)
{
    if (argc >= 3 && !strcmp(argv[1], "serve"))
        serve(argv[2], argc > 3 && !strcmp(argv[3], "--guest"));
    else if (argc == 3 && !strcmp(argv[1], "relay"))
        relay(argv[2]);
    fprintf(stderr, "usage: labagent serve DEVICE [--guest] | relay DEVICE\n");
    return 2;
}
