/* SPDX-License-Identifier: MIT */
/*
 * conn_local.c - the channel over a Unix socket (vgpuif.h section 2.5): control requests as
 * SOCK_SEQPACKET messages, memory as memfds, doorbells as eventfds.
 */
#include "conn.h"
#include "counts.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONTROL_TIMEOUT_MS 30000
#define LOCAL_CHANNEL      1u
#define LOCAL_FDS          3

static int local_open(struct gvm_conn *c)
{
    const char *path = secure_getenv("GVM_SOCKET");
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    pthread_condattr_t ca;
    int err;

    if (!path || strlen(path) >= sizeof(a.sun_path)) {
        gvm_log("GVM_SOCKET=%s is not usable: at most %zu characters", path ? path : "",
                sizeof(a.sun_path) - 1);
        return -EINVAL;
    }
    strcpy(a.sun_path, path);
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        err = -errno;
        close(c->fd);
        c->fd = -1;
        return err;
    }
    c->count = 0;
    c->leader = c->gone = 0;
    c->chunks = 0;
    pthread_mutex_init(&c->ctl, NULL);
    pthread_mutex_init(&c->wait, NULL);
    pthread_condattr_init(&ca);
    pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &ca);
    pthread_condattr_destroy(&ca);
    return 0;
}

static void close_fds(int *fds, int n)
{
    for (int i = 0; i < n; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

/* Receives one response and its descriptors; *nfds is what came. */
static int receive(struct gvm_conn *c, struct vgpu_ctl_rsp *rsp, int *fds, int *nfds)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * LOCAL_FDS)];
    } cm;
    struct iovec iov = {.iov_base = rsp, .iov_len = sizeof(*rsp)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    ssize_t n;
    int rc;

    do {
        rc = poll(&p, 1, CONTROL_TIMEOUT_MS);
    } while (rc < 0 && errno == EINTR);
    if (rc == 0)
        return -ETIMEDOUT;
    m.msg_control = cm.buf;
    m.msg_controllen = sizeof(cm.buf);
    do {
        n = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EPIPE;
    *nfds = 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        *nfds = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(h), (size_t)*nfds * sizeof(int));
    }
    if (n != sizeof(*rsp) || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
        return -EPROTO;
    return 0;
}

/* One request and its response, with exactly `want` descriptors on success. */
static int control(struct gvm_conn *c, struct vgpu_ctl_req *req, struct vgpu_ctl_rsp *rsp, int *fds,
                   int want)
{
    int rc, nfds = 0;
    ssize_t n;

    pthread_mutex_lock(&c->ctl);
    req->id = ++c->req_id;
    req->channel = LOCAL_CHANNEL;
    do {
        n = send(c->fd, req, sizeof(*req), MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    rc = n < 0 ? -errno : receive(c, rsp, fds, &nfds);
    pthread_mutex_unlock(&c->ctl);
    if (rc == 0 && (rsp->id != req->id || rsp->op != req->op || rsp->status > 0))
        rc = -EPROTO;
    if (rc == 0)
        rc = rsp->status; /* Xen's error numbers are Linux's */
    if (rc == 0 && nfds != want)
        rc = -EPROTO;
    if (rc)
        close_fds(fds, nfds);
    return rc;
}

static int local_create(struct gvm_conn *c, uint32_t ring_order, uint32_t window_try)
{
    struct vgpu_ctl_req req = {.op = VGPU_CTL_CREATE_CHANNEL,
                               .npages = VGPU_CH_PAGES(ring_order),
                               .ring_order = ring_order,
                               .window_try = window_try,
                               .uid = getuid(),
                               .pid = (uint32_t)getpid()};
    struct vgpu_ctl_rsp rsp;
    int rc, fds[LOCAL_FDS] = {-1, -1, -1};

    rc = control(c, &req, &rsp, fds, LOCAL_FDS);
    if (rc)
        return rc;
    c->ring_order = ring_order;
    c->pool_base = rsp.pool_base;
    c->pool_size = rsp.pool_size;
    c->dev_base = rsp.dev_base;
    c->dev_size = rsp.dev_size;
    c->len = (size_t)req.npages * VGPU_PAGE_SIZE;
    c->event_out = fds[1];
    c->event_in = fds[2];
    rc = gvm_conn_map(fds[0], 0, NULL, c->len, &c->base);
    close(fds[0]);
    if (rc == 0) /* as the frontend driver does: a child gets no half of a channel */
        madvise(c->base, c->len, MADV_DONTFORK);
    return rc;
}

static int local_pool_add(struct gvm_conn *c, uint32_t npages, struct gvm_chunk *out)
{
    struct vgpu_ctl_req req = {.op = VGPU_CTL_ADD_CHUNK, .npages = npages};
    struct vgpu_ctl_rsp rsp;
    int rc, fds[LOCAL_FDS];

    if (c->chunks == UINT64_MAX)
        return -ENOSPC;
    req.chunk = (uint32_t)__builtin_ctzll(~c->chunks);
    rc = control(c, &req, &rsp, fds, 1);
    if (rc)
        return rc;
    c->chunks |= 1ull << req.chunk;
    *out = (struct gvm_chunk){.id = req.chunk, .npages = npages, .addr = rsp.addr, .fd = fds[0]};
    return 0;
}

static int local_pool_map(struct gvm_conn *c, struct gvm_chunk *k, void *at, void **out)
{
    size_t len = (size_t)k->npages * VGPU_PAGE_SIZE;
    int rc = gvm_conn_map(k->fd, 0, at, len, out);

    close(k->fd);
    k->fd = -1;
    if (rc == 0)
        madvise(*out, len, MADV_DONTFORK);
    return rc;
}

static void local_pool_drop(struct gvm_conn *c, struct gvm_chunk *k)
{
    struct vgpu_ctl_req req = {.op = VGPU_CTL_DROP_CHUNK, .chunk = k->id};
    struct vgpu_ctl_rsp rsp;
    int fds[LOCAL_FDS];

    if (k->fd >= 0)
        close(k->fd);
    k->fd = -1;
    if (control(c, &req, &rsp, fds, 0) == 0)
        c->chunks &= ~(1ull << k->id);
}

static void local_notify(struct gvm_conn *c)
{
    uint64_t one = 1;
    ssize_t n;

    gvm_count(doorbells, 1);
    do {
        n = write(c->event_out, &one, sizeof(one));
    } while (n < 0 && errno == EINTR);
}

/* Waits for the eventfd on behalf of all waiting threads. Called and returns with `wait` held. */
static int lead(struct gvm_conn *c, int timeout_ms)
{
    struct pollfd p[2] = {{.fd = c->event_in, .events = POLLIN},
                          {.fd = c->fd, .events = POLLRDHUP}};
    uint64_t n;
    int rc;

    c->leader = 1;
    pthread_mutex_unlock(&c->wait);
    rc = poll(p, 2, timeout_ms);
    if (rc < 0)
        rc = -errno;
    else if (rc == 0)
        rc = -ETIMEDOUT;
    else
        rc = 0;
    if (rc == 0 && p[0].revents & POLLIN && read(c->event_in, &n, sizeof(n)) < 0)
        rc = errno == EAGAIN ? 0 : -errno;
    pthread_mutex_lock(&c->wait);
    c->leader = 0;
    if (rc == 0 && p[0].revents & POLLIN)
        c->count++;
    else if (rc == 0)
        c->gone = 1; /* the broker hung up: its workers end with it */
    /* Also on a time-out: somebody else has to lead then. */
    pthread_cond_broadcast(&c->wake);
    return rc;
}

static void deadline_in(struct timespec *t, int ms)
{
    clock_gettime(CLOCK_MONOTONIC, t);
    t->tv_sec += ms / 1000;
    t->tv_nsec += (long)(ms % 1000) * 1000000;
    if (t->tv_nsec >= 1000000000) {
        t->tv_nsec -= 1000000000;
        t->tv_sec++;
    }
}

static int ms_until(const struct timespec *t)
{
    struct timespec now;
    int64_t ms;

    clock_gettime(CLOCK_MONOTONIC, &now);
    ms = (t->tv_sec - now.tv_sec) * 1000 + (t->tv_nsec - now.tv_nsec + 999999) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

static int local_wait(struct gvm_conn *c, uint32_t *seen, int timeout_ms)
{
    struct timespec end;
    int rc = 0, left = timeout_ms;

    deadline_in(&end, timeout_ms);
    pthread_mutex_lock(&c->wait);
    while (c->count == *seen && !c->gone && rc == 0) {
        if (!c->leader)
            rc = lead(c, left);
        else if (timeout_ms == 0)
            rc = -ETIMEDOUT;
        else
            rc = -pthread_cond_timedwait(&c->wake, &c->wait, &end);
        left = ms_until(&end);
    }
    if (c->count != *seen)
        rc = 0;
    else if (c->gone)
        rc = -EPIPE;
    *seen = c->count;
    pthread_mutex_unlock(&c->wait);
    return rc;
}

static void local_close(struct gvm_conn *c)
{
    if (c->base)
        munmap(c->base, c->len);
    c->base = NULL;
    close_fds(&c->event_in, 1);
    close_fds(&c->event_out, 1);
    close_fds(&c->fd, 1);
}

const struct gvm_conn_ops gvm_conn_local = {
    .name = "local",
    .first_chunk = VGPU_LOCAL_CHUNK_PAGES,
    .open = local_open,
    .create = local_create,
    .pool_add = local_pool_add,
    .pool_map = local_pool_map,
    .pool_drop = local_pool_drop,
    .notify = local_notify,
    .wait = local_wait,
    .close = local_close,
};
