/* SPDX-License-Identifier: MIT */
/*
 * control.c - the worker's side of the broker's socket, on the main thread.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/worker/worker.h"

/* The socket is replaced when a restarted broker connects; senders are on several threads. */
static pthread_mutex_t ctl_lock = PTHREAD_MUTEX_INITIALIZER;

static int ctl_send_fds(struct wk *w, const struct wk_msg *m, const int *fds, int nfds)
{
    int err = -ENOTCONN;

    pthread_mutex_lock(&ctl_lock);
    if (w->ctl_fd >= 0)
        err = fdmsg_send(w->ctl_fd, m, sizeof(*m), fds, nfds);
    pthread_mutex_unlock(&ctl_lock);
    return err;
}

static int ctl_send(struct wk *w, const struct wk_msg *m)
{
    return ctl_send_fds(w, m, NULL, 0);
}

static void ctl_replace(struct wk *w, int fd)
{
    pthread_mutex_lock(&ctl_lock);
    if (w->ctl_fd >= 0)
        close(w->ctl_fd);
    w->ctl_fd = fd;
    pthread_mutex_unlock(&ctl_lock);
    if (w->assigned)
        wk_share_cut(w); /* who has asked the last one gets no answer from this one */
}

/* One line for the broker's log, which says there whom it is about, as log_subject() does here. A broker that is gone or stuck must not stop the worker: the line
 * then goes to stderr. */
static void report(struct wk *w, const char *line)
{
    struct wk_msg m = {.type = WK_LOG};
    struct timespec until;
    ssize_t n = -1;

    snprintf(m.text, sizeof(m.text), "%s", line);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (pthread_mutex_timedlock(&ctl_lock, &until) == 0) {
        if (w->ctl_fd >= 0)
            n = send(w->ctl_fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
        pthread_mutex_unlock(&ctl_lock);
    }
    if (n != (ssize_t)sizeof(m))
        log_warn("%s", line);
}

/* Only one thread ends the process, so that its exit status is the first reason's. */
static void begin_exit(void)
{
    static _Atomic bool ending;

    if (atomic_exchange(&ending, true))
        for (;;)
            poll(NULL, 0, -1);
}

void wk_die(struct wk *w, const char *why)
{
    char line[sizeof(((struct wk_msg *)0)->text)];

    begin_exit();
    if (w->ch.back) {
        if (!w->sticky)
            VGPU_STORE(&w->ch.back->sticky, (uint32_t)WK_UNKNOWN);
        VGPU_STORE_RELEASE(&w->ch.back->alive, (uint8_t)0);
        VGPU_FENCE();
        wk_notify(w);
    }
    snprintf(line, sizeof(line), "protocol violation: %s; channel closed", why);
    report(w, line);
    _exit(3);
}

/* A kernel does not end: it does when this process is gone. */
static void time_out(struct wk *w, const char *why)
{
    if (w->ch.back) {
        wk_on_fault(w, WK_LAUNCH_TIMEOUT, why);
        begin_exit();
        VGPU_STORE_RELEASE(&w->ch.back->alive, (uint8_t)0);
        VGPU_FENCE();
        wk_notify(w);
    }
    _exit(3);
}

static void *drain_main(void *arg)
{
    wk_drain_loop(arg);
    return NULL;
}

static void *reaper_main(void *arg)
{
    struct wk *w = arg;

    for (;;) {
        struct wk_msg m = {.type = WK_DONE};

        m.chunk = wk_chunk_reap(w, &m.seq);
        ctl_send(w, &m);
    }
    return NULL;
}

static int start_thread(void *(*fn)(void *), struct wk *w)
{
    pthread_t t;
    int err = pthread_create(&t, NULL, fn, w);

    if (!err)
        pthread_detach(t);
    return -err;
}

/* Maps the channel, locks the process down, starts to drain. Consumes the descriptors. */
static int assign(struct wk *w, const struct wk_msg *m, int *fds, int nfds, const char **why)
{
    const struct transport_ops *t = transport_of(m->kind);
    void *base;
    int err;

    if (w->assigned) {
        *why = "already assigned";
        return -EBUSY;
    }
    if (!t || nfds != t->assign_fds) {
        *why = t ? "wrong number of descriptors" : "unknown kind of transport";
        return -EINVAL;
    }
    if (m->ring_order < VGPU_RING_ORDER_MIN || m->ring_order > VGPU_RING_ORDER_MAX ||
        m->npages != VGPU_CH_PAGES(m->ring_order)) {
        *why = "ring order or number of pages out of range";
        return -EINVAL;
    }
    w->assign = *m;
    w->xen = m->kind == WK_XEN;
    log_subject("d%u.%u pid %u", m->domid, m->devid, m->pid);
    err = t->open(&w->tr, m, fds, why);
    if (err)
        return err;
    if (m->prepared) {
        base = w->prep.order == m->ring_order ? w->prep.channel : NULL;
        if (!base) {
            *why = "no such channel was prepared";
            return -EINVAL;
        }
    } else {
        err = t->map(fds[0], m->gnt_index, NULL, (size_t)m->npages * VGPU_PAGE_SIZE, &base, why);
        fds[0] = -1;
        if (err)
            return err;
    }
    w->quiet.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fault_point("worker.mapped", m->domid);
    w->ops->seal(w->dev);
    err = confine_lock(w->xen, w->ops->driver, w->ops->makes_code && w->ops->makes_code(w->dev));
    if (err) {
        *why = "the system call filter cannot be set";
        return err;
    }
    fault_point("worker.locked", m->domid);
    /* From here on the guest may speak. */
    *why = "out of memory";
    err = wk_init(w, w->ops, w->dev, base, m->ring_order, w->stats);
    if (!err)
        err = start_thread(reaper_main, w);
    if (!err) /* the first guest thread's; if it cannot be had now, then when it is needed */
        wk_lane_start(&w->lanes[0]);
    if (!err)
        err = wk_gate_start(w);
    w->held = m->flags & WK_HELD;
    if (!err && !w->held)
        err = start_thread(drain_main, w);
    if (!err)
        w->assigned = true;
    return err;
}

/* The guest is suspended: nothing is done from now on until it goes on. Consumes the descriptor. */
static int park(struct wk *w, const struct wk_msg *m, int *fds, int nfds, const char **why)
{
    int err;

    if (!w->assigned || w->held) {
        *why = "no channel is served";
        return -EINVAL;
    }
    /* Its state stays in the process: of what others have of it, or it of others, nothing is known. */
    if (!nfds && atomic_load(&w->shares.used)) {
        *why = "memory or events are shared with other processes";
        return -EOPNOTSUPP;
    }
    err = wk_stand_still(w, m->npages, why);
    if (err)
        return err;
    if (nfds)
        err = wk_state_save(w, fds[0], why);
    if (err)
        wk_go_on(w);
    else if (m->flags & WK_ON_RING)
        wk_go_on_ring(w);
    return err;
}

static int go_on(struct wk *w, int *fds, int nfds, const char **why)
{
    int err = 0;

    if (!w->assigned || (nfds != 0) != w->held) {
        *why = "there is nothing to go on with";
        return -EINVAL;
    }
    if (!wk_complete(w)) {
        *why = "memory that it had is missing";
        return -EINVAL;
    }
    if (!w->held) {
        wk_go_on(w);
        return 0;
    }
    err = wk_state_load(w, fds[0], why);
    if (!err)
        err = start_thread(drain_main, w);
    w->held = err != 0;
    return err;
}

/* Chunk 0, mapped before there is a guest. */
static int prepare_chunk(struct wk *w, const struct transport_ops *t, int fd, uint64_t len,
                         const char **why)
{
    void *p;
    int err = t->map(fd, 0, w->pool_base, len, &p, why);

    if (err)
        return err;
    if (w->ops->pool_add(w->dev, p, len)) {
        *why = "the device refuses the chunk";
        transport_unmap(p, len);
        return -ENOMEM;
    }
    w->prep.chunk_len = len;
    return 0;
}

static int prepare(struct wk *w, const struct wk_msg *m, int *fds, int nfds, const char **why)
{
    const struct transport_ops *t = transport_of(m->kind);
    uint64_t len = (uint64_t)m->chunk_pages * VGPU_PAGE_SIZE;
    uint8_t *counters = NULL;
    void *base;
    int err = 0;

    if (w->assigned || w->prep.channel) {
        *why = "already assigned or prepared";
        return -EBUSY;
    }
    if (nfds) {
        if (m->kind != WK_LOCAL || nfds != 2 || m->ring_order < VGPU_RING_ORDER_MIN ||
            m->ring_order > VGPU_RING_ORDER_MAX || m->npages != VGPU_CH_PAGES(m->ring_order) ||
            m->chunk_pages == 0 || m->chunk_pages > VGPU_MAX_CHUNK_PAGES) {
            *why = "kind, ring order, pages or descriptors out of range";
            return -EINVAL;
        }
        err = prepare_chunk(w, t, fds[1], len, why);
        fds[1] = -1;
        if (!err) {
            err = t->map(fds[0], 0, NULL, (size_t)m->npages * VGPU_PAGE_SIZE, &base, why);
            fds[0] = -1;
        }
        if (err)
            return err;
        w->prep.channel = base;
        w->prep.order = m->ring_order;
        counters = (uint8_t *)base + VGPU_CH_COUNT_PAGE * VGPU_PAGE_SIZE;
        if (w->ops->channel_add) /* as wk_init() will */
            w->ops->channel_add(w->dev, (uint8_t *)base + VGPU_CH_REPLY_PAGE * VGPU_PAGE_SIZE,
                                (size_t)(VGPU_CH_RING_PAGE - VGPU_CH_REPLY_PAGE) * VGPU_PAGE_SIZE);
    }
    if (w->ops->prepare)
        w->ops->prepare(w->dev, counters && len >= 1u << 20 ? w->pool_base : NULL,
                        (uint32_t *)counters, VGPU_COUNTERS);
    return 0;
}

static int chunk_add(struct wk *w, const struct wk_msg *m, int *fds, int nfds, uint64_t *addr,
                     const char **why)
{
    uint64_t len = (uint64_t)m->npages * VGPU_PAGE_SIZE;
    uint8_t *at;
    bool exists, same, away;
    void *p;
    int err;

    if (!w->assigned || nfds != 1 || m->chunk >= VGPU_MAX_CHUNKS || m->npages == 0 ||
        m->npages > VGPU_MAX_CHUNK_PAGES) {
        *why = "chunk, pages or descriptors out of range";
        return -EINVAL;
    }
    pthread_mutex_lock(&w->chunk_lock);
    exists = w->chunks[m->chunk].len != 0;
    same = w->chunks[m->chunk].len == len && !w->chunks[m->chunk].dropping;
    away = w->chunks[m->chunk].away;
    *addr = (uint64_t)(uintptr_t)w->chunks[m->chunk].addr;
    pthread_mutex_unlock(&w->chunk_lock);
    if (exists && away)
        return wk_attach_chunk(w, m, &fds[0], why);
    /* A broker that ended between our answer and its note of it asks again: its journal has the
     * guest's request. */
    if (exists && same && w->xen)
        return 0;
    if (exists) {
        *why = "the chunk exists";
        return -EEXIST;
    }
    at = w->pool_base + m->chunk * WK_POOL_SLOT;
    if (m->chunk == 0 && w->prep.chunk_len) {
        uint64_t had = w->prep.chunk_len;

        w->prep.chunk_len = 0;
        if (m->prepared && had == len) {
            wk_chunk_enter(w, 0, at, len);
            *addr = (uint64_t)(uintptr_t)at;
            return 0;
        }
        w->ops->pool_drop(w->dev, at, had);
        transport_unmap(at, had);
    }
    if (m->prepared) {
        *why = "no such chunk was prepared";
        return -EINVAL;
    }
    err = w->tr.ops->map(fds[0], m->gnt_index, at, len, &p, why);
    fds[0] = -1;
    if (err)
        return err;
    fault_point("worker.add", w->assign.domid);
    err = wk_chunk_add(w, m->chunk, p, len);
    if (err) {
        *why = "the device refuses the chunk";
        transport_unmap(p, len);
        return err;
    }
    *addr = (uint64_t)(uintptr_t)p;
    return 0;
}

/* Handles one message; 0 go on, 1 end of the worker. */
static int handle(struct wk *w, const struct wk_msg *ready, const struct wk_msg *m, int *fds,
                  int nfds)
{
    struct wk_msg r = {.type = WK_DONE, .seq = m->seq, .chunk = m->chunk, .channel = m->channel};
    const char *why = "";
    int end = 0;

    switch (m->type) {
    case WK_ASSIGN:
        r.status = assign(w, m, fds, nfds, &why);
        if (r.status && r.status != -EBUSY)
            end = 1; /* half assigned: of no further use */
        break;
    case WK_TENANT:
        r.status = nfds == 2 ? wk_account_join(w, fds[0], fds[1], m->slot) : -EINVAL;
        if (r.status == 0) {
            fds[1] = -1;
            goto out;
        }
        why = "the guest's page cannot be used";
        end = 1;
        break;
    case WK_PREPARE:
        r.status = prepare(w, m, fds, nfds, &why);
        break;
    case WK_PARK:
        r.status = park(w, m, fds, nfds, &why);
        break;
    case WK_GO:
        r.status = go_on(w, fds, nfds, &why);
        end = r.status && w->held; /* half loaded */
        break;
    case WK_DETACH:
        r.status = wk_detach(w, &why);
        end = r.status && w->away; /* half gone */
        break;
    case WK_ATTACH:
        r.status = wk_attach(w, m, fds, nfds, &why);
        break;
    case WK_CHUNK_ADD:
        r.status = chunk_add(w, m, fds, nfds, &r.addr, &why);
        break;
    case WK_CHUNK_DROP:
        if (m->chunk >= VGPU_MAX_CHUNKS || !w->assigned) {
            r.status = -EINVAL;
            why = "no such chunk";
            break;
        }
        r.status = wk_chunk_drop(w, m->chunk, m->seq);
        if (r.status == 0)
            goto out; /* the reaper answers */
        if (r.status > 0)
            r.status = 0;
        break;
    case WK_HELLO:
        r = w->assigned ? w->assign : (struct wk_msg){0};
        r.type = WK_READY;
        r.seq = m->seq;
        r.status = 0;
        r.flags = ready->flags;
        r.context_mib = ready->context_mib;
        memcpy(r.text, ready->text, sizeof(r.text));
        r.pool_base = ready->pool_base;
        r.pool_size = ready->pool_size;
        r.dev_base = ready->dev_base;
        r.dev_size = ready->dev_size;
        break;
    case WK_ANSWER:
        if (w->assigned) {
            wk_share_answer(w, m, nfds ? fds[0] : -1);
            if (nfds)
                fds[0] = -1;
        }
        goto out;
    case WK_TRACE: /* not answered: who traces sees what comes */
        if (nfds == 0)
            wk_trace_stop(w);
        else if (wk_trace_start(w, fds[0]))
            log_warn("the trace ring cannot be mapped: %m");
        goto out;
    case WK_TIMEOUT:
        time_out(
            w,
            "what it has issued has kept the GPU from others for too long"); /* does not return */
        break;
    case WK_QUIT:
        fault_point("worker.quit", w->assign.domid);
        end = 1;
        goto out;
    default:
        log_warn("message of unknown type %u from the broker", m->type);
        r.status = -EINVAL;
        why = "unknown message type";
        break;
    }
    if (r.status) {
        snprintf(r.text, sizeof(r.text), "%s", why);
        log_debug("request %u of the broker failed: %s (%d)", m->type, why, r.status);
    }
    ctl_send(w, &r);
out:
    fdmsg_close(fds, nfds);
    return end;
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t len = sizeof(on);

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on;
}

/* Whether a kernel of the software device is endless. Looks come four times in longest_s: nobody has
 * to be woken when one begins. */
static void look_for_endless(struct wk *w)
{
    char why[80];

    if (!w->assigned || w->ops->longest(w->dev) < w->longest_s * 1000000000ull)
        return;
    snprintf(why, sizeof(why), "a kernel has run for %u s (longest_kernel_s)", w->longest_s);
    time_out(w, why);
}

static int serve(struct wk *w, const struct wk_msg *ready)
{
    bool listening = is_listening(WK_FD_LISTEN), looks = w->longest_s && w->ops->longest;
    struct wk_msg m = *ready;

    w->on_violation = wk_die;
    w->report = report;
    w->to_broker = ctl_send_fds;
    fault_point("worker.ready", 0);
    if (ctl_send(w, &m) < 0) {
        log_error("the broker is gone before the worker was ready");
        return 1;
    }
    for (;;) {
        struct pollfd p = {.fd = w->ctl_fd >= 0 ? w->ctl_fd : WK_FD_LISTEN, .events = POLLIN};
        int fds[TRANSPORT_MAX_FDS], nfds, r;

        r = poll(&p, 1, looks ? (int)w->longest_s * 250 : -1);
        if (looks)
            look_for_endless(w);
        if (r < 0) {
            if (errno == EINTR)
                continue;
            log_error("poll: %m");
            return 1;
        }
        if (r == 0)
            continue;
        if (w->ctl_fd < 0) {
            int fd = accept4(WK_FD_LISTEN, NULL, NULL, SOCK_CLOEXEC);

            if (fd >= 0) {
                log_debug("a broker is back");
                ctl_replace(w, fd);
            }
            continue;
        }
        r = fdmsg_recv(w->ctl_fd, &m, sizeof(m), fds, TRANSPORT_MAX_FDS, &nfds, 1);
        if (r == -EAGAIN)
            continue;
        if (r == -EMSGSIZE || r == -E2BIG) {
            log_warn("malformed message from the broker ignored (error %d)", -r);
            continue;
        }
        if (r <= 0) { /* end of file: the broker has ended or crashed */
            if (!listening || !w->assigned)
                return 0;
            wk_trace_stop(w); /* the next broker does not know who traced */
            ctl_replace(w, -1);
            continue;
        }
        if (handle(w, ready, &m, fds, nfds))
            return 0;
    }
}

int wk_control(struct wk *w, const struct wk_msg *ready)
{
    int status = serve(w, ready);

    begin_exit();
    return status;
}
