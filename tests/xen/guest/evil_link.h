/* SPDX-License-Identifier: MIT */
/*
 * evil_link.h - what vgpu_evil's attacks stand on: the device's way through the XenStore states,
 * control requests, one channel. All of it can be wrong: that is the point.
 */
#ifndef EVIL_LINK_H
#define EVIL_LINK_H

#include <stdbool.h>
#include <stdint.h>
#include <xenevtchn.h>
#include <xengnttab.h>
#include <xenstore.h>

#include "ring.h"
#include "vgpuif.h"

#define ORDER  4u
#define PAGES  VGPU_CH_PAGES(ORDER)
#define SLOTS  32u
#define WAIT_S 40

struct sring { /* Xen's public/io/ring.h */
    uint32_t req_prod, req_event, rsp_prod, rsp_event;
    uint8_t pad[48];
    union {
        struct vgpu_ctl_req req;
        struct vgpu_ctl_rsp rsp;
    } slot[SLOTS];
};

struct evil_link {
    struct xs_handle *xs;
    xengntshr_handle *gs;
    xenevtchn_handle *ec;
    char back[128];
    struct sring *ring;
    uint32_t ring_ref, rsp_cons, next_id;
    int port;
    unsigned connects, reconnects;
};

struct evil_channel {
    uint8_t *base;
    uint32_t refs[PAGES], dir_ref;
    struct vgpu_grant_dir *dir;
    int port;
    struct vgpu_channel ch;
    struct vgpu_producer prod;
};

extern struct evil_link l;
extern struct evil_channel c;
extern unsigned bad, made; /* complaints; channels or requests made */

/* The backend did something that it must not. */
void complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
double now(void); /* s */
void rnd_seed(uint64_t seed);
uint32_t rnd(void);

/* Opens XenStore, gntalloc and evtchn; exits if one is not there. */
void link_open(void);
/* Writes device/vgpu/0/key. */
void put(const char *key, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
unsigned backend_state(void);
/* Waits for one of two states of the backend; the one that came, or 0 after a complaint. */
unsigned wait_backend(unsigned a, unsigned b);
/* Shares a new control ring, which nobody knows yet. */
void make_ring(void);
/* Through Closed to Connected, whatever was before. */
bool link_up(void);
void kick(int port);
/* One request and its answer. False: there is none, the device was closed. */
bool ask(struct vgpu_ctl_req *q, struct vgpu_ctl_rsp *r);

bool share_channel(void);
struct vgpu_ctl_req create_request(void);
/* A channel that a worker serves; the link is made again if it was lost. */
bool open_channel(void);
void close_channel(void);
bool channel_dead(void);

#endif
