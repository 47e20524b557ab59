/* SPDX-License-Identifier: MIT */
/*
 * transport.h - how a worker reaches its channel: memory and a doorbell, by whatever means.
 *
 * Two implementations: xen (grant mappings through gntdev, an event channel) and local (memfds,
 * eventfds). A worker has one transport for its life, chosen by the kind in WK_ASSIGN. The
 * descriptors come from the broker as handoff.h says; map() closes the one it is given, whatever
 * the result, because a kept gntdev descriptor keeps the guest's pages.
 *
 * Threads: notify() may be called by any thread. take() and unmask() belong to the drain thread,
 * map() and unmap() to the control thread. None of them opens anything or needs a system call
 * beyond mmap, munmap, fstat, fcntl(F_GET_SEALS), close, read, write and (xen) ioctl(NOTIFY), so
 * all of them work behind the seccomp filter.
 */
#ifndef GVM_TRANSPORT_H
#define GVM_TRANSPORT_H

#include <stddef.h>
#include <stdint.h>

struct wk_msg;

#define TRANSPORT_MAX_FDS 3

struct transport {
    const struct transport_ops *ops;
    int event_fd;  /* readable when the guest rang; -1 before open() */
    int notify_fd; /* local: eventfd to the guest; xen: as event_fd */
    uint32_t port; /* xen: local port */
};

struct transport_ops {
    const char *name;
    int assign_fds; /* number of descriptors in WK_ASSIGN, memory first */

    /* fds[1 .. assign_fds): the doorbell's descriptors, owned by the transport from now on.
     * 0 or -errno with *why set. */
    int (*open)(struct transport *t, const struct wk_msg *m, int *fds, const char **why);

    /* Maps `len` octets (page multiple) behind `fd`, from offset `index`, read-write and shared.
     * `at` NULL: anywhere; otherwise exactly there, over the caller's own PROT_NONE reservation.
     * Closes fd. 0 or -errno with *why set; -EINVAL on xen: a bad grant reference. */
    int (*map)(int fd, uint64_t index, void *at, size_t len, void **out, const char **why);

    /* Signals the guest. Errors are ignored: a guest that is gone needs no signal. */
    void (*notify)(struct transport *t);

    /* Takes what is pending without blocking: 1 the guest rang, 0 nothing, -errno when the
     * doorbell is broken. After 1, no further ring is seen until unmask() (xen) is called. */
    int (*take)(struct transport *t);

    /* Ready for the next ring; called last, after the work, never on an error path: a guest whose
     * channel failed cannot cause further interrupts. */
    void (*unmask)(struct transport *t);
};

extern const struct transport_ops transport_local;
extern const struct transport_ops transport_xen;

/* The transport for a wk_kind, NULL if there is none. */
const struct transport_ops *transport_of(uint32_t kind);

/* The broker's descriptors do not block; this makes sure of it, unless the filter forbids to ask, as it
 * does at an ATTACH. 0 or -errno. */
int transport_nonblock(int fd);

/* Closes the doorbell. Mappings stay until unmapped or the process ends. */
void transport_close(struct transport *t);

/* Reserves `len` octets of address space (PROT_NONE) at `at`. 0, or -EEXIST if they are taken. */
int transport_reserve(void *at, size_t len);

/* Replaces the whole mapping [at, at+len) by a reservation again. A grant mapping is only ever
 * unmapped whole: splitting or moving one makes it fault. 0 or -errno. */
int transport_unmap(void *at, size_t len);

#endif
