/* SPDX-License-Identifier: MIT */
/*
 * conn_xen.c - the channel through /dev/vgpu0 of xen-vgpufront (protocol/vgpu_ioctl.h).
 */
#include "conn.h"
#include "counts.h"
#include "log.h"
#include "vgpu_ioctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int xen_ioctl(int fd, unsigned long cmd, void *arg)
{
    int rc;

    do {
        rc = ioctl(fd, cmd, arg);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int xen_open(struct gvm_conn *c)
{
    c->fd = open("/dev/vgpu0", O_RDWR | O_CLOEXEC);
    return c->fd < 0 ? -errno : 0;
}

static int xen_create(struct gvm_conn *c, uint32_t ring_order, uint32_t window_try)
{
    struct vgpu_ioc_connect a = {
        .version = VGPU_PROTOCOL_VERSION, .ring_order = ring_order, .window_try = window_try};
    int rc = xen_ioctl(c->fd, VGPU_IOC_CONNECT, &a);

    if (rc)
        return rc;
    c->ring_order = ring_order;
    c->pool_base = a.pool_base;
    c->pool_size = a.pool_size;
    c->dev_base = a.dev_base;
    c->dev_size = a.dev_size;
    c->len = (size_t)VGPU_CH_PAGES(ring_order) * VGPU_PAGE_SIZE;
    return gvm_conn_map(c->fd, 0, NULL, c->len, &c->base);
}

static int xen_pool_add(struct gvm_conn *c, uint32_t npages, struct gvm_chunk *out)
{
    struct vgpu_ioc_pool a = {.npages = npages};
    int rc = xen_ioctl(c->fd, VGPU_IOC_POOL_ADD, &a);

    if (rc == 0)
        *out = (struct gvm_chunk){.id = a.chunk, .npages = npages, .addr = a.addr, .fd = -1};
    return rc;
}

static int xen_pool_map(struct gvm_conn *c, struct gvm_chunk *k, void *at, void **out)
{
    return gvm_conn_map(c->fd, VGPU_MMAP_CHUNK(k->id), at, (size_t)k->npages * VGPU_PAGE_SIZE, out);
}

static void xen_pool_drop(struct gvm_conn *c, struct gvm_chunk *k)
{
    struct vgpu_ioc_pool a = {.chunk = k->id};

    xen_ioctl(c->fd, VGPU_IOC_POOL_DROP, &a);
}

static void xen_notify(struct gvm_conn *c)
{
    gvm_count(doorbells, 1);
    ioctl(c->fd, VGPU_IOC_NOTIFY);
}

static int xen_wait(struct gvm_conn *c, uint32_t *seen, int timeout_ms)
{
    struct vgpu_ioc_wait a = {.seen = *seen, .timeout_ms = (uint32_t)timeout_ms};
    int rc;

    if (timeout_ms)
        gvm_count(sleeps, 1);
    rc = ioctl(c->fd, VGPU_IOC_WAIT, &a) < 0 ? -errno : 0;

    if (rc == 0)
        *seen = a.seen;
    else if (rc != -ETIMEDOUT && rc != -EINTR)
        rc = -EPIPE;
    return rc;
}

static void xen_close(struct gvm_conn *c)
{
    if (c->base)
        munmap(c->base, c->len);
    if (c->fd >= 0)
        close(c->fd);
    c->base = NULL;
    c->fd = -1;
}

const struct gvm_conn_ops gvm_conn_xen = {
    .name = "xen",
    .open = xen_open,
    .create = xen_create,
    .pool_add = xen_pool_add,
    .pool_map = xen_pool_map,
    .pool_drop = xen_pool_drop,
    .notify = xen_notify,
    .wait = xen_wait,
    .close = xen_close,
};
