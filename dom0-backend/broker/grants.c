/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dom0-backend/broker/ctlring.h" /* xen/xen.h with the right interface version */
#include <xen/sys/evtchn.h>
#include <xen/sys/gntdev.h>

int evtchn_open_bound(uint32_t domid, uint32_t remote_port, uint32_t *local)
{
    struct ioctl_evtchn_bind_interdomain bind = {domid, remote_port};
    struct ioctl_evtchn_restrict_domid only = {(domid_t)domid};
    int fd = open("/dev/xen/evtchn", O_RDWR | O_CLOEXEC | O_NONBLOCK), port, err;

    if (fd < 0)
        return -errno;
    port = ioctl(fd, IOCTL_EVTCHN_BIND_INTERDOMAIN, &bind);
    if (port < 0 || ioctl(fd, IOCTL_EVTCHN_RESTRICT_DOMID, &only) < 0) {
        err = -errno;
        close(fd);
        return err;
    }
    *local = (uint32_t)port;
    return fd;
}

int evtchn_signal(int fd, uint32_t local)
{
    struct ioctl_evtchn_notify n = {local};

    return ioctl(fd, IOCTL_EVTCHN_NOTIFY, &n) < 0 ? -errno : 0;
}

int evtchn_take(int fd, uint32_t local)
{
    uint32_t ports[8];
    int hit = 0;
    ssize_t n;

    while ((n = read(fd, ports, sizeof(ports))) > 0) {
        for (size_t i = 0; i < (size_t)n / sizeof(ports[0]); i++)
            hit |= ports[i] == local;
    }
    return n < 0 && errno == EAGAIN ? hit : -EIO;
}

void evtchn_unmask(int fd, uint32_t local)
{
    if (write(fd, &local, sizeof(local)) < 0)
        return; /* the port is gone: so is the guest */
}

int gntdev_open_refs(uint32_t domid, const uint32_t *refs, uint32_t n, int64_t notify_off,
                     uint32_t notify_port, uint64_t *index)
{
    struct ioctl_gntdev_map_grant_ref *map;
    struct ioctl_gntdev_unmap_notify notify;
    int fd, err = 0;

    map = calloc(1, sizeof(*map) + n * sizeof(map->refs[0]));
    if (!map)
        return -ENOMEM;
    map->count = n;
    for (uint32_t i = 0; i < n; i++) {
        map->refs[i].domid = domid;
        map->refs[i].ref = refs[i];
    }
    fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        err = -errno;
        goto out;
    }
    if (ioctl(fd, IOCTL_GNTDEV_MAP_GRANT_REF, map) < 0) {
        err = -errno;
        goto out;
    }
    *index = map->index;
    if (notify_off >= 0) {
        notify = (struct ioctl_gntdev_unmap_notify){
            .index = map->index + (uint64_t)notify_off,
            .action = UNMAP_NOTIFY_CLEAR_BYTE | UNMAP_NOTIFY_SEND_EVENT,
            .event_channel_port = notify_port,
        };
        if (ioctl(fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify) < 0)
            err = -errno;
    }
out:
    free(map);
    if (err && fd >= 0)
        close(fd);
    return err ? err : fd;
}

int gntdev_map_page(uint32_t domid, uint32_t ref, bool write, void **page)
{
    uint64_t index;
    int fd = gntdev_open_refs(domid, &ref, 1, -1, 0, &index), err = 0;

    if (fd < 0)
        return fd;
    *page = mmap(NULL, VGPU_PAGE_SIZE, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED, fd,
                 (off_t)index);
    if (*page == MAP_FAILED)
        err = -errno;
    close(fd); /* the mapping stays */
    return err;
}

/* ---- jobs */

static struct {
    struct ev_loop *loop;
    ev_async wake;
    pthread_mutex_t lock;
    struct grant_job *done;
} jobs = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Reads the chain of directory pages: each is copied once and unmapped before it is looked at. */
static int read_list(struct grant_job *j, struct grant_list *l)
{
    uint32_t ref = j->ref;
    struct vgpu_grant_dir *copy = malloc(sizeof(*copy));
    const char *why = "";
    void *page;
    int err = copy ? 1 : -ENOMEM;

    while (err == 1) {
        if (ref == 0) {
            err = -EINVAL;
            why = "reference 0 for a directory page";
            break;
        }
        err = gntdev_map_page(j->domid, ref, false, &page);
        if (err) {
            why = "a directory page cannot be mapped";
            break;
        }
        memcpy(copy, page, sizeof(*copy));
        munmap(page, VGPU_PAGE_SIZE);
        err = grant_list_add(l, copy, &ref, &why);
    }
    if (err)
        snprintf(j->why, sizeof(j->why), "grant list: %s", why);
    free(copy);
    return err;
}

static int open_channel_fds(struct grant_job *j)
{
    struct grant_list l = {0};
    int err = grant_list_init(&l, j->npages);

    if (!err)
        err = read_list(j, &l);
    if (!err && j->channel) {
        j->evt_fd = evtchn_open_bound(j->domid, j->port, &j->local_port);
        if (j->evt_fd < 0) {
            err = j->evt_fd;
            snprintf(j->why, sizeof(j->why), "event channel port %u cannot be bound", j->port);
        }
    }
    if (!err) {
        j->gnt_fd = gntdev_open_refs(j->domid, l.refs, l.n, j->channel ? (int64_t)j->notify_at : -1,
                                     j->local_port, &j->gnt_index);
        if (j->gnt_fd < 0) {
            err = j->gnt_fd;
            snprintf(j->why, sizeof(j->why), "gntdev: %s", strerror(-err));
        }
    }
    grant_list_free(&l);
    return err;
}

static void *job_main(void *arg)
{
    struct grant_job *j = arg;

    if (j->ring) {
        j->err = gntdev_map_page(j->domid, j->ref, true, &j->page);
        if (j->err)
            snprintf(j->why, sizeof(j->why), "ring-ref %u cannot be mapped: %s", j->ref,
                     strerror(-j->err));
    } else {
        j->err = open_channel_fds(j);
    }
    if (j->err) {
        if (j->evt_fd >= 0)
            close(j->evt_fd);
        j->evt_fd = -1;
    }
    pthread_mutex_lock(&jobs.lock);
    j->next = jobs.done;
    jobs.done = j;
    pthread_mutex_unlock(&jobs.lock);
    ev_async_send(jobs.loop, &jobs.wake);
    return NULL;
}

static void on_done(struct ev_loop *loop, ev_async *a, int revents)
{
    struct grant_job *j, *next;

    pthread_mutex_lock(&jobs.lock);
    j = jobs.done;
    jobs.done = NULL;
    pthread_mutex_unlock(&jobs.lock);
    for (; j; j = next) {
        next = j->next;
        j->done(j);
    }
}

int grant_jobs_init(struct ev_loop *loop)
{
    jobs.loop = loop;
    ev_async_init(&jobs.wake, on_done);
    ev_async_start(loop, &jobs.wake);
    return 0;
}

int grant_job_start(struct grant_job *j)
{
    pthread_attr_t a;
    pthread_t t;
    int err;

    j->gnt_fd = j->evt_fd = -1;
    j->err = 0;
    j->why[0] = '\0';
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, 256 * 1024);
    err = pthread_create(&t, &a, job_main, j);
    pthread_attr_destroy(&a);
    return -err;
}
