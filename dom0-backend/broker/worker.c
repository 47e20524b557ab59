/* SPDX-License-Identifier: MIT */
/*
 * worker.c - gvm-worker processes as the broker sees them: started, kept warm, claimed, ended.
 * A worker is trusted with one guest's data and with nothing else: what it sends is checked, and
 * one that does not answer or does not read is killed.
 */
#include "dom0-backend/broker/limits.h"
#include "dom0-backend/broker/listen.h"
#include "dom0-backend/broker/mps.h"
#include "dom0-backend/broker/worker_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/fdmsg.h"

bool worker_params_equal(const struct worker_params *a, const struct worker_params *b)
{
    return strcmp(a->device, b->device) == 0 && a->mem == b->mem && a->window_try == b->window_try;
}

void worker_path(const struct worker *w, const char *suffix, char *buf, size_t n)
{
    snprintf(buf, n, "%s/worker-%u.%s", w->b->cfg.run_dir, w->id, suffix);
}

void worker_unlink_files(struct worker *w)
{
    char path[108];

    if (!w->b->cfg.run_dir)
        return;
    worker_path(w, "sock", path, sizeof(path));
    unlink(path);
    worker_path(w, "stats", path, sizeof(path));
    unlink(path);
    worker_path(w, "info", path, sizeof(path));
    unlink(path);
}

/* Whom it serves, for log lines: a worker's own word about that would be worth nothing. */
static const char *name_of(const struct worker *w)
{
    static char name[96];
    const struct chan *ch = w->ch;

    if (ch)
        snprintf(name, sizeof(name), "%s channel %u (guest pid %u, worker %d)", ch->host->name,
                 ch->id, ch->pid, (int)w->pid);
    else
        snprintf(name, sizeof(name), "worker %d", (int)w->pid);
    return name;
}

void worker_free(struct worker *w)
{
    struct worker **p;

    for (p = &w->b->workers; *p && *p != w; p = &(*p)->next)
        ;
    if (*p)
        *p = w->next;
    shares_drop_owner(&w->b->shares, w);
    tenant_leave(w);
    ev_io_stop(w->b->loop, &w->io);
    ev_io_stop(w->b->loop, &w->death);
    ev_timer_stop(w->b->loop, &w->timer);
    if (w->sock >= 0)
        close(w->sock);
    if (w->stats_fd >= 0)
        close(w->stats_fd);
    if (w->rec_fd >= 0)
        close(w->rec_fd);
    if (w->pidfd >= 0)
        close(w->pidfd);
    fdmsg_close(w->prep_fd, 2);
    limits_drop(w);
    free(w);
}

void worker_kill(struct worker *w)
{
    if (w->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, w->pidfd, SIGKILL, NULL, 0);
}

static void set_timer(struct worker *w, double s)
{
    ev_timer_stop(w->b->loop, &w->timer);
    if (s > 0) {
        ev_timer_set(&w->timer, s, 0.);
        ev_timer_start(w->b->loop, &w->timer);
    }
}

void worker_limit(struct worker *w, double s)
{
    set_timer(w, s);
}

void worker_end(struct worker *w)
{
    struct wk_msg m = {.type = WK_QUIT};

    if (w->state == WORKER_ENDING)
        return;
    w->state = WORKER_ENDING;
    if (w->sock < 0 || fdmsg_send(w->sock, &m, sizeof(m), NULL, 0) < 0)
        worker_kill(w);
    set_timer(w, WORKER_GRACE_S);
}

void worker_time_out(struct worker *w)
{
    struct wk_msg m = {.type = WK_TIMEOUT};

    if (worker_send(w, &m, NULL, 0) == 0)
        set_timer(w, WORKER_GRACE_S);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int revents)
{
    struct worker *w = t->data;

    if (w->state == WORKER_STARTING)
        log_warn("worker %d is not ready after %.0f s: killed", (int)w->pid, WORKER_READY_S);
    worker_kill(w);
}

int worker_send(struct worker *w, const struct wk_msg *m, const int *fds, int nfds)
{
    int err = w->sock < 0 ? -EPIPE : fdmsg_send(w->sock, m, sizeof(*m), fds, nfds);

    if (err) {
        log_warn("%s does not take messages (%s): killed", name_of(w), strerror(-err));
        worker_kill(w);
    }
    return err;
}

static void worker_warm(struct worker *w)
{
    set_timer(w, 0);
    w->state = WORKER_WARM;
    if (w->ch)
        chan_worker_ready(w->ch);
    else if (w->b->probed)
        w->b->probed(w->b, &w->params, NULL);
}

/* Its device is open, and nobody waits for it: it does what would take a guest's time later. */
static void worker_prepare(struct worker *w)
{
    struct wk_msg m = {.type = WK_PREPARE};
    int n = local_prepare(w->prep_fd) ? 2 : 0;

    if (n) {
        m.kind = WK_LOCAL;
        m.ring_order = VGPU_LOCAL_RING_ORDER;
        m.npages = VGPU_CH_PAGES(VGPU_LOCAL_RING_ORDER);
        m.chunk_pages = VGPU_LOCAL_CHUNK_PAGES;
    }
    m.seq = w->prep_seq = broker_seq(w->b);
    worker_send(w, &m, w->prep_fd, n);
}

static void worker_prepared(struct worker *w, const struct wk_msg *m)
{
    w->prep_seq = 0;
    if (m->status) {
        log_warn("worker %d prepares nothing: %s", (int)w->pid,
                 m->text[0] ? m->text : strerror(-m->status));
        fdmsg_close(w->prep_fd, 2);
        worker_end(w); /* half prepared; there will be another one */
        return;
    }
    worker_warm(w);
}

static void worker_message(struct worker *w, struct wk_msg *m, int *fds, int nfds)
{
    uint32_t dropped;

    m->text[sizeof(m->text) - 1] = '\0';
    if (w->state == WORKER_ENDING && m->type != WK_LOG)
        return;
    switch (m->type) {
    case WK_READY:
        if (w->state != WORKER_STARTING || w->prep_seq)
            break;
        if (m->status) {
            set_timer(w, 0);
            log_error("worker %d cannot use device %s: %s", (int)w->pid, w->params.device,
                      m->text[0] ? m->text : strerror(-m->status));
            w->state = WORKER_ENDING;
            set_timer(w, WORKER_GRACE_S);
            if (!w->ch && w->b->probed)
                w->b->probed(w->b, &w->params, m->text[0] ? m->text : strerror(-m->status));
            return; /* its death fails the request, if there is one */
        }
        w->ready = *m;
        if (w->ch)
            worker_warm(w);
        else
            worker_prepare(w);
        return;
    case WK_DONE:
        if (w->prep_seq && m->seq == w->prep_seq)
            worker_prepared(w, m);
        else if (w->ch)
            chan_worker_done(w->ch, m);
        else if (w->state == WORKER_KEPT)
            keep_done(w, m);
        return;
    case WK_LOG:
        if (log_rate_ok(&w->rate, &dropped)) {
            if (dropped)
                log_warn("%s: %u lines not shown", name_of(w), dropped);
            log_warn("%s: %s", name_of(w), m->text);
        }
        return;
    case WK_SEGMENT:
    case WK_EXPORT:
    case WK_UNEXPORT:
    case WK_GONE:
    case WK_IMPORT:
        if (share_message(w, m, fds, nfds))
            return;
        break;
    }
    log_warn("%s sent message %u, which is not expected now: killed", name_of(w), m->type);
    worker_kill(w);
}

/* Reads what the worker sent; false when its end of the socket is closed. */
static bool worker_read(struct worker *w)
{
    for (int budget = 64; budget > 0; budget--) {
        struct wk_msg m;
        int fd, nfds, r;

        if (w->sock < 0)
            return false;
        r = fdmsg_recv(w->sock, &m, sizeof(m), &fd, 1, &nfds, 1);
        if (r == -EAGAIN)
            return true;
        if (r == -EMSGSIZE || r == -E2BIG) {
            log_warn("%s sent a malformed message: killed", name_of(w));
            worker_kill(w);
            return true;
        }
        if (r <= 0)
            return false;
        worker_message(w, &m, &fd, nfds);
        fdmsg_close(&fd, nfds);
    }
    return true;
}

static void on_socket(struct ev_loop *loop, ev_io *io, int revents)
{
    struct worker *w = io->data;

    if (worker_read(w))
        return;
    ev_io_stop(loop, &w->io);
    close(w->sock);
    w->sock = -1;
    /* Its process is about to be gone; one that only closed the socket is of no use either. */
    if (w->state != WORKER_ENDING) {
        w->lost = true;
        w->state = WORKER_ENDING;
        set_timer(w, WORKER_GRACE_S);
    }
}

static void describe_exit(struct worker *w, char *buf, size_t n)
{
    int status = 0;

    if (!w->child) {
        snprintf(buf, n, "ended");
        return;
    }
    if (waitpid(w->pid, &status, 0) < 0)
        snprintf(buf, n, "ended (%s)", strerror(errno));
    else if (WIFSIGNALED(status))
        snprintf(buf, n, "was killed by signal %d (%s)%s", WTERMSIG(status),
                 strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGSYS ? ", a system call that it may not make" : "");
    else
        snprintf(buf, n, "ended with status %d", WEXITSTATUS(status));
}

static bool replace(struct broker *b, const struct worker_params *p);

static void on_death(struct ev_loop *loop, ev_io *io, int revents)
{
    struct worker *w = io->data;
    struct chan *ch;
    struct broker *b = w->b;
    bool asked = w->state == WORKER_ENDING && !w->lost;
    uint64_t guest = 0;
    char why[96];

    ev_io_stop(loop, &w->death);
    worker_read(w); /* the last lines it had to say */
    describe_exit(w, why, sizeof(why));
    trace_worker_gone(w);
    ch = w->ch;
    if (ch) {
        guest = ch->host->guest;
        fault_point("broker.death", ch->host->domid);
    }
    if (w->rec.park.uuid[0] && !ch)
        keep_dead(w, why);
    else if (!ch && !asked) {
        log_warn("worker %d for device %s %s", (int)w->pid, w->params.device, why);
        if (!replace(b, &w->params) && b->probed)
            b->probed(b, &w->params, why);
    }
    if (ch)
        chan_worker_dead(ch, why); /* may still ask for the statistics */
    worker_unlink_files(w);
    worker_free(w);
    park_account(b);
    if (ch)
        limits_share(b, guest);
}

struct worker *worker_new(struct broker *b, const struct worker_params *p)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->b = b;
    w->params = *p;
    w->pidfd = w->sock = w->stats_fd = w->rec_fd = w->prep_fd[0] = w->prep_fd[1] = -1;
    w->rate = (struct log_rate)LOG_RATE(10, 5000);
    ev_init(&w->io, on_socket);
    ev_init(&w->death, on_death);
    ev_init(&w->timer, on_timer);
    w->io.data = w->death.data = w->timer.data = w;
    return w;
}

void worker_link(struct worker *w)
{
    ev_io_set(&w->io, w->sock, EV_READ);
    ev_io_start(w->b->loop, &w->io);
    ev_io_set(&w->death, w->pidfd, EV_READ);
    ev_io_start(w->b->loop, &w->death);
    w->next = w->b->workers;
    w->b->workers = w;
}

/* A file under run_dir, so that a restarted broker finds it again; otherwise a memfd. */
static int open_stats(struct worker *w)
{
    char path[108];
    int fd;

    if (w->b->cfg.run_dir) {
        worker_path(w, "stats", path, sizeof(path));
        fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    } else {
        fd = memfd_create("gvm-stats", MFD_CLOEXEC);
    }
    if (fd >= 0 && ftruncate(fd, (off_t)sizeof(struct wk_stats)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_listen(struct worker *w)
{
    char path[108];

    worker_path(w, "sock", path, sizeof(path));
    unlink(path);
    return listen_at(path, SOCK_SEQPACKET, 1);
}

unsigned long long worker_start_time(pid_t pid)
{
    char path[64], buf[1024], *p;
    unsigned long long v = 0;
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, buf, sizeof(buf) - 1);
    close(fd);
    if (n <= 0)
        return 0;
    buf[n] = '\0';
    p = strrchr(buf, ')');
    for (int i = 2; p && i < 22; i++)
        p = strchr(p + 1, ' ');
    if (p)
        v = strtoull(p + 1, NULL, 10);
    return v;
}

void worker_save(struct worker *w)
{
    if (w->rec_fd >= 0 && pwrite(w->rec_fd, &w->rec, sizeof(w->rec), 0) != (ssize_t)sizeof(w->rec))
        log_warn("worker %d: its record cannot be written: %m", (int)w->pid);
}

static void open_record(struct worker *w)
{
    char path[108];

    worker_path(w, "info", path, sizeof(path));
    w->rec_fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->rec_fd < 0)
        log_warn("%s: %m: a restarted gvm-backd will not find worker %d", path, (int)w->pid);
    w->rec.magic = RECORD_MAGIC;
    w->rec.pid = w->pid;
    w->rec.start = worker_start_time(w->pid);
    w->rec.params = w->params;
    w->rec.uid = w->uid;
    worker_save(w);
}

struct worker *worker_start(struct broker *b, const struct worker_params *p)
{
    char mem[24], window[12], threads[12], spin[12], reserved[24], longest[12], why[320];
    const char *argv[24] = {"gvm-worker"};
    struct worker *w = worker_new(b, p);
    int pair[2] = {-1, -1}, lfd = -1, n = 1, err;
    struct spawn s;
    pid_t pid;

    if (!w)
        return NULL;
    /* Without its daemon the driver would do without MPS and say nothing. */
    if (b->cfg.mps && !mps_found(b->cfg.mps, why, sizeof(why))) {
        log_error("%s", why);
        worker_free(w);
        return NULL;
    }
    do {
        w->id = b->next_worker++;
    } while (w->id == 0);
    snprintf(mem, sizeof(mem), "%llu", (unsigned long long)p->mem);
    snprintf(window, sizeof(window), "%u", p->window_try);
    snprintf(threads, sizeof(threads), "%u", b->cfg.threads);
    snprintf(reserved, sizeof(reserved), "%llu",
             (unsigned long long)park_reserved_on(b, p->device));
    argv[n++] = "--device";
    argv[n++] = p->device;
    argv[n++] = "--mem";
    argv[n++] = mem;
    argv[n++] = "--window-try";
    argv[n++] = window;
    argv[n++] = "--threads";
    argv[n++] = threads;
    argv[n++] = "--reserved";
    argv[n++] = reserved;
    if (b->cfg.spin_us >= 0) {
        snprintf(spin, sizeof(spin), "%d", b->cfg.spin_us);
        argv[n++] = "--spin-us";
        argv[n++] = spin;
    }
    if (b->cfg.longest_kernel) {
        snprintf(longest, sizeof(longest), "%u", b->cfg.longest_kernel);
        argv[n++] = "--longest-kernel";
        argv[n++] = longest;
    }
    if (b->cfg.kind) {
        argv[n++] = "--kind";
        argv[n++] = b->cfg.kind;
    }
    /* A page of a guest that a driver has pinned outlives the worker and corrupts the kernel's
     * tables (docs/architecture.md, "Memory"). */
    if (b->root || b->cfg.no_pin)
        argv[n++] = "--no-pin";
    if (b->cfg.log_level) {
        argv[n++] = "--log-level";
        argv[n++] = b->cfg.log_level;
    }
    argv[n] = NULL;
    w->stats_fd = open_stats(w);
    if (w->stats_fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        goto fail;
    if (b->cfg.run_dir && (lfd = open_listen(w)) < 0)
        goto fail;
    w->sock = pair[0];
    if (fcntl(w->sock, F_SETFL, O_NONBLOCK) < 0)
        goto fail;
    s = (struct spawn){
        .path = b->cfg.worker_path,
        .argv = (char *const *)argv,
        .sock = pair[1],
        .stats = w->stats_fd,
        .listen = lfd,
        .cgroup = -1,
    };
    err = limits_give(w, &s);
    if (err) {
        errno = -err;
        goto fail;
    }
    pid = spawn_worker(&s, &w->pidfd);
    if (s.cgroup >= 0)
        close(s.cgroup);
    if (pid < 0) {
        errno = (int)-pid;
        goto fail;
    }
    w->pid = pid;
    w->child = true;
    close(pair[1]);
    if (lfd >= 0)
        close(lfd);
    if (b->cfg.run_dir)
        open_record(w);
    worker_link(w);
    set_timer(w, WORKER_READY_S);
    return w;
fail:
    log_error("cannot start %s: %m", b->cfg.worker_path);
    if (pair[1] >= 0)
        close(pair[1]);
    if (w->sock < 0 && pair[0] >= 0)
        close(pair[0]);
    if (lfd >= 0)
        close(lfd);
    worker_unlink_files(w);
    worker_free(w);
    return NULL;
}

static struct worker *find_free(struct broker *b, const struct worker_params *p)
{
    struct worker *starting = NULL;

    for (struct worker *w = b->workers; w; w = w->next) {
        if (w->ch || !worker_params_equal(&w->params, p))
            continue;
        if (w->state == WORKER_WARM)
            return w;
        if (w->state == WORKER_STARTING)
            starting = w;
    }
    return starting;
}

int worker_claim(struct broker *b, const struct worker_params *p, struct chan *ch)
{
    struct worker *w = find_free(b, p);

    if (!w)
        w = worker_start(b, p);
    if (!w)
        return -EAGAIN;
    w->ch = ch;
    ch->w = w;
    limits_share(b, ch->host->guest);
    if (w->state == WORKER_WARM)
        chan_worker_ready(ch);
    return 0;
}

int worker_probe(struct broker *b, const struct worker_params *p)
{
    struct worker *w = find_free(b, p);

    if (!w)
        w = worker_start(b, p);
    return !w ? -1 : w->state == WORKER_WARM;
}

void worker_keep_warm(struct broker *b, const struct worker_params *p)
{
    unsigned have = 0;

    if (b->stopping)
        return;
    for (struct worker *w = b->workers; w; w = w->next)
        have += !w->ch && w->state <= WORKER_WARM && worker_params_equal(&w->params, p);
    while (have < b->cfg.warm && worker_start(b, p))
        have++;
}

/*
 * The pool is filled up a moment later: making a context takes the driver's locks for about a second,
 * and the program that has just got its worker is about to need them. As long as somebody is served
 * and a warm worker is left, it waits, though not for ever.
 */
#define REFILL_S        0.5
#define REFILL_LATEST_S 5.0
#define REFILL_LOST     4 /* workers in a row that die before anybody uses them */

static struct {
    ev_timer timer;
    struct broker *b;
    ev_tstamp latest;
    struct worker_params params[8];
    unsigned n;
    unsigned lost; /* workers that were replaced since one was last given to a program */
} refill;

static bool refill_can_wait(void)
{
    bool serving = false;
    unsigned warm = 0;

    for (const struct worker *w = refill.b->workers; w; w = w->next)
        serving |= w->state == WORKER_SERVING;
    for (unsigned i = 0; i < refill.n; i++) {
        const struct worker *w = refill.b->workers;

        while (w && (w->state != WORKER_WARM || w->ch ||
                     !worker_params_equal(&w->params, &refill.params[i])))
            w = w->next;
        warm += w != NULL;
    }
    return serving && warm == refill.n && ev_now(refill.b->loop) < refill.latest;
}

static void on_refill(struct ev_loop *loop, ev_timer *t, int revents)
{
    unsigned n = refill.n;

    if (refill_can_wait()) {
        ev_timer_set(t, REFILL_S, 0.);
        ev_timer_start(loop, t);
        return;
    }
    refill.n = 0;
    for (unsigned i = 0; i < n; i++)
        worker_keep_warm(refill.b, &refill.params[i]);
}

static void fill_later(struct broker *b, const struct worker_params *p)
{
    for (unsigned i = 0; i < refill.n; i++)
        if (worker_params_equal(&refill.params[i], p))
            return;
    if (refill.n == sizeof(refill.params) / sizeof(refill.params[0])) {
        worker_keep_warm(b, p);
        return;
    }
    refill.params[refill.n++] = *p;
    refill.b = b;
    if (ev_is_active(&refill.timer))
        return;
    refill.latest = ev_now(b->loop) + REFILL_LATEST_S;
    ev_timer_init(&refill.timer, on_refill, REFILL_S, 0.);
    ev_timer_start(b->loop, &refill.timer);
}

void worker_refill(struct broker *b, const struct worker_params *p)
{
    refill.lost = 0;
    fill_later(b, p);
}

/* For a worker without a channel that died by itself. False: nobody wants one any more, or too many
 * have died in a row: whatever ends them would end the next one, too. */
static bool replace(struct broker *b, const struct worker_params *p)
{
    const struct host *h = b->hosts;

    while (h && !worker_params_equal(&h->params, p))
        h = h->next;
    if (!h || refill.lost >= REFILL_LOST)
        return false;
    refill.lost++;
    fill_later(b, p);
    return true;
}

void worker_drop_warm(struct broker *b, const struct worker_params *p)
{
    for (struct worker *w = b->workers; w; w = w->next) {
        if (!w->ch && w->state <= WORKER_WARM && worker_params_equal(&w->params, p))
            worker_end(w);
    }
    for (unsigned i = 0; i < refill.n; i++) {
        if (worker_params_equal(&refill.params[i], p)) {
            refill.params[i] = refill.params[--refill.n];
            break;
        }
    }
}

void worker_leave_all(struct broker *b)
{
    for (struct worker *w = b->workers; w; w = w->next) {
        if (w->ch || w->state == WORKER_KEPT)
            continue;
        worker_kill(w);
        worker_unlink_files(w);
    }
}

bool worker_stats(const struct worker *w, struct wk_stats *out)
{
    /* A worker that was started by an earlier gvm-backd may know fewer counters. */
    memset(out, 0, sizeof(*out));
    if (w->stats_fd < 0 || pread(w->stats_fd, out, sizeof(*out), 0) <= 0)
        return false;
    out->busy_ns = wk_busy_ns(out, now_ns());
    return true;
}
