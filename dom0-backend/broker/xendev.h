/* SPDX-License-Identifier: MIT */
/*
 * xendev.h - vgpu devices: backend/vgpu/<domain>/<device> in this domain's part of XenStore.
 *   xenbus.c   watches, enumeration, rate limit
 *   xendev.c   life cycle of one device
 *   xenctl.c   its control ring, and memory for its channels
 */
#ifndef GVM_XENDEV_H
#define GVM_XENDEV_H

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/broker/broker.h"
#include "dom0-backend/broker/ctlring.h"
#include "dom0-backend/broker/grants.h"
#include "dom0-backend/common/xs.h"
#include "dom0-backend/common/xslife.h"

enum xendev_link {
    LINK_NONE,    /* no ring, no channels */
    LINK_MAPPING, /* a helper thread maps the control ring */
    LINK_UP,
    LINK_CLOSING, /* channels are being ended */
};

struct xenbus;

struct xendev {
    struct host h; /* first: hosts of this kind are xendevs */
    struct xenbus *bus;
    char front[64], back[64];
    bool watched;
    enum xenbus_state state; /* that we wrote, or found, last */
    enum xendev_link link;
    bool gone;       /* free it as soon as nothing uses it */
    bool dead;       /* the guest, or its frontend directory, is gone: do not wait for it */
    bool failed;     /* it broke the protocol: closed until the frontend starts anew */
    bool bad_config; /* the toolstack's keys are of no use: never offered */
    bool probing;    /* a worker tries to open the device */

    uint32_t ring_ref, port;
    void *page;
    struct ctl_journal *journal; /* a file, mapped */
    struct ctl_ring ring;
    int evt_fd;
    uint32_t local_port;
    ev_io evt;
    ev_timer evt_pause; /* the port stays masked until it fires */
    unsigned events;    /* in this period */
    ev_tstamp events_since;

    ev_tstamp checkpoint;             /* the last one */
    struct checkpoint *checkpointing; /* under way; xenpark.c */

    ev_timer away;   /* until the directory goes */
    ev_timer update; /* coalesces watch events */
    ev_tstamp updated;
    struct log_rate rate, notes;
};

struct xenbus {
    struct broker *b;
    struct xs_handle *xs;
    const struct gvm_conf *conf;
    uint32_t domid; /* ours */
    bool tidy;      /* directories of devices that are gone are removed by us, not by an agent */
    ev_io io, hangup;
    int hangup_fd; /* readable when XenStore has hung up */
    bool lost;     /* it has: nothing that it seems to say is true */
};

/* ---- xenbus.c */

/* Connects to XenStore, finds the devices and the workers that are there. 0, or -1 after a line. */
int xenbus_start(struct xenbus *bus, struct broker *b);
/* Leaves everything as it is for the next gvm-backd: devices stay in state 4, workers run on. */
void xenbus_stop(struct xenbus *bus);

/* Removes this domain's backend/vgpu if no device is in it, which detaching the last device leaves.
 * For the removal of gvm-backd; does nothing without Xen. */
void xenbus_remove_empty(void);
/* XenStore has hung up: ends the event loop, and leaves everything as it is. */
void xenbus_lost(struct xenbus *bus);
/* The device will be looked at (again) soon, at most 50 times a second. */
void xendev_touch(struct xendev *d);
struct xendev *xendev_of(struct host *h);

/* ---- xendev.c */

struct xendev *xendev_new(struct xenbus *bus, uint32_t front, uint32_t devid);
/* Compares both ends' states with what we are doing and takes the next step. */
void xendev_update(struct xendev *d);
/* The guest broke the protocol or cannot be served: one line, the reason in `error`, closed. */
void xendev_fail(struct xendev *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* broker.probed: offers the devices that wait for this, or fails them. */
void xendev_probed(struct broker *b, const struct worker_params *p, const char *error);
extern const struct host_ops xendev_ops;

/* ---- xenctl.c */

/* Maps the ring and binds the port; then xendev_link_up() is called. 0 or -errno. */
int xenctl_connect(struct xendev *d);
void xendev_link_up(struct xendev *d, int err, const char *why);
/* Unmaps and unbinds. Channels may still be ending. */
void xenctl_disconnect(struct xendev *d);
/* Removes the journal's file, also one that an earlier gvm-backd left. */
void xenctl_forget(struct xendev *d);
/* Takes and handles requests. */
void xenctl_drain(struct xendev *d);
/* xenpark.c */
void xenpark_checkpoint(struct host *h, struct op *op);
/* Removes states that are older than state_days, now and every day. */
void xenpark_start(struct broker *b);
int xenpark_restore(struct host *h, struct chan *ch, const struct vgpu_ctl_req *r);

void xenctl_prepare(struct op *op);
void xenctl_respond(struct host *h, struct op *op, const struct vgpu_ctl_rsp *rsp);

#endif
