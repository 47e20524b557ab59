/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront.h - the parts of xen-vgpufront and how they hold together.
 *
 *   vgpufront_main.c     module, xenbus driver, state machine
 *   vgpufront_ctl.c      control ring: requests, responses, violations by the backend
 *   vgpufront_area.c     pages granted to the backend, grant directories, grants still in use
 *   vgpufront_channel.c  channels: create, destroy, event channel, waiting
 *   vgpufront_pool.c     pool chunks of a channel
 *   vgpufront_dev.c      /dev/vgpuN
 *   vgpufront_suspend.c  checkpoint before a suspend, channels of a restored domain
 *   vgpufront_caps.c     what one open, one user and all of them may take
 *
 * Life times. Everything is counted:
 *   info     the device; held by the xenbus driver (probe to remove), every open file, every
 *            channel, the checkpoint request in flight
 *   channel  held by its open file, by info->chan[] (until its resources are gone) and by every
 *            request in flight for it
 *   chunk    held by channel->chunk[], by its requests in flight and by the thread that waits
 *   area     belongs to one channel or chunk; given to vgpufront_area_destroy() it ends on its own
 * A process that is killed never waits for the backend: closing a file sends a request and leaves.
 * A request's finish() runs once, in the work queue, when it is answered or when the link fails;
 * it alone changes what the request was about, and a waiting thread only looks at the result. So
 * nothing depends on whether that thread is still there.
 *
 * Locks, outermost first. None is held while user memory is accessed, since ->mmap() takes
 * channel->lock inside mmap_lock.
 *   info->state_lock   mutex: the device's way between the xenbus states
 *   channel->lock      mutex: state, chunks and areas of one channel
 *   info->lock         mutex: up, chan[]; held briefly, with nothing else inside but the caps
 *   caps, ctl->lock, channel->bell_lock   spinlocks, innermost, never nested in one another
 */
#ifndef VGPUFRONT_H
#define VGPUFRONT_H

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <xen/events.h>
#include <xen/grant_table.h>
#include <xen/interface/io/ring.h>
#include <xen/page.h>
#include <xen/xenbus.h>

#include "vgpu_ioctl.h"
#include "vgpuif.h"

#define VGPUFRONT_TIMEOUT (30 * HZ) /* how long a process waits for the backend */

DEFINE_RING_TYPES(vgpuif, struct vgpu_ctl_req, struct vgpu_ctl_rsp);

struct vgpufront_info;
struct vgpufront_channel;
struct vgpufront_uid;

/* --- vgpufront_area.c --------------------------------------------------------------------- */

/* Zeroed single pages, granted read-write to the backend. */
struct vgpufront_area {
	struct list_head node; /* in the list of areas that the backend still has mapped */
	struct vgpufront_uid *uid;
	u32 npages;
	u32 granted;	     /* the first `granted` pages have a grant */
	bool mapped;	     /* into the process; under channel->lock */
	struct page **pages; /* NULL: given back already */
	grant_ref_t *refs;
};

#define VGPUFRONT_DIR_PAGES DIV_ROUND_UP(VGPU_MAX_CHUNK_PAGES, VGPU_DIR_REFS)

/* A chain of directory pages (vgpuif.h section 2.4), for the time of one request. */
struct vgpufront_dir {
	u32 npages;
	struct page *pages[VGPUFRONT_DIR_PAGES];
	grant_ref_t refs[VGPUFRONT_DIR_PAGES];
};

struct vgpufront_area *vgpufront_area_create(struct vgpufront_channel *ch, u32 npages);
void vgpufront_area_destroy(struct vgpufront_channel *ch, struct vgpufront_area *area);
void vgpufront_area_regrant(struct vgpufront_channel *ch, struct vgpufront_area *area);
int vgpufront_dir_create(struct vgpufront_dir *dir, domid_t otherend,
			 const struct vgpufront_area *area);
void vgpufront_dir_destroy(struct vgpufront_dir *dir);
void vgpufront_area_exit(void);

/* --- vgpufront_ctl.c ---------------------------------------------------------------------- */

#define VGPUFRONT_SLOTS 32u /* of a one-page ring with slots of 64 octets */

struct vgpufront_req {
	struct list_head node; /* in ctl->queue, or alone */
	struct work_struct work;
	struct vgpu_ctl_req msg; /* what was sent; the ring's slot is never read back */
	struct vgpu_ctl_rsp rsp; /* private copy, valid if status is 0 */
	struct vgpufront_dir dir;
	int status; /* 0 or -errno */
	bool done;  /* store-released by finish() */
	void (*finish)(struct vgpufront_req *req);
};

struct vgpufront_ctl {
	spinlock_t lock; /* guards everything below; taken in the interrupt handler */
	struct vgpuif_front_ring ring;
	void *page;
	grant_ref_t ref;
	evtchn_port_t port;
	int irq; /* 0: none */
	bool up;
	bool broken; /* the backend violated the protocol; only a new connection clears it */
	u32 gen;     /* number of this connection */
	u32 seq;
	u32 outstanding;
	struct list_head queue;
	struct vgpufront_req *slot[VGPUFRONT_SLOTS];
	struct delayed_work kick;
};

void vgpufront_ctl_init(struct vgpufront_info *info);
int vgpufront_ctl_create(struct vgpufront_info *info);
void vgpufront_ctl_fail(struct vgpufront_info *info);
void vgpufront_ctl_destroy(struct vgpufront_info *info);
u32 vgpufront_ctl_gen(struct vgpufront_info *info);
void vgpufront_ctl_submit(struct vgpufront_info *info, u32 gen, struct vgpufront_req *req,
			  void (*finish)(struct vgpufront_req *));
void vgpufront_ctl_kick(struct vgpufront_info *info);

/* --- the device --------------------------------------------------------------------------- */

struct vgpufront_info {
	struct kref ref;
	struct xenbus_device *xbdev; /* valid between probe and the end of remove */
	domid_t otherend;
	char name[16]; /* "vgpu0" */
	struct miscdevice misc;

	struct mutex state_lock;
	bool registered;	    /* /dev/vgpuN exists; under state_lock */
	unsigned int attempts;	    /* to connect, since the last success; under state_lock */
	struct delayed_work absent; /* says so if no backend answers */
	bool resumed; /* resume() was called after the last suspend(); under state_lock */
	struct work_struct resume_check;

	struct mutex lock;
	bool up; /* channels may be made */
	u32 max_channels;
	struct vgpufront_channel *chan[VGPU_MAX_CHANNELS + 1];

	u32 max_pages;	     /* of all channels, what the backend accepts; set while !up */
	unsigned long pages; /* under the caps' lock */

	struct vgpufront_ctl ctl;

	struct vgpufront_req checkpoint;
	bool checkpoint_busy; /* in flight; suspend is never entered twice */
	struct completion checkpoint_done;
	bool parked; /* the backend has saved all channels; under state_lock */
	u32 token[VGPU_CTL_TOKEN / 4];
	struct task_struct *guard;
};

extern struct workqueue_struct *vgpufront_wq;

void vgpufront_info_put(struct vgpufront_info *info);

/* --- vgpufront_channel.c ------------------------------------------------------------------ */

enum vgpufront_channel_state {
	VGPUFRONT_CH_NEW,      /* being built */
	VGPUFRONT_CH_CREATING, /* CREATE_CHANNEL in flight */
	VGPUFRONT_CH_LIVE,
	VGPUFRONT_CH_PARKED,  /* of a restored domain, not with the backend yet */
	VGPUFRONT_CH_CLOSING, /* DESTROY_CHANNEL in flight */
	VGPUFRONT_CH_DEAD,    /* has no resources any more */
};

struct vgpufront_chunk;

struct vgpufront_channel {
	struct kref ref;
	struct vgpufront_info *info;
	struct vgpufront_uid *uid;
	domid_t otherend;
	u32 id;
	u32 gen; /* connection it belongs to */
	u32 order;
	pid_t tgid;    /* process that created it */
	char name[32]; /* of its interrupt */

	struct mutex lock; /* state .. destroy */
	enum vgpufront_channel_state state;
	bool closing; /* nobody wants it any more: destroy as soon as that is possible */
	bool counted; /* in the caps */
	struct vgpufront_area *area;
	u64 pool_base, pool_size, dev_base, dev_size;
	struct vgpufront_chunk *chunk[VGPU_MAX_CHUNKS];
	int create_result;
	u32 window_try, uid_nr; /* of CREATE, for the next one */
	bool parked;		/* state is PARKED; also read without the lock */
	bool returning;		/* requests to end that are under way */
	struct vgpufront_req create;
	struct vgpufront_req resume;
	struct vgpufront_req destroy;
	wait_queue_head_t ctl_wait; /* for requests of this channel */

	unsigned long pages; /* under the caps' lock */

	spinlock_t bell_lock;	/* irq, so that nobody rings a number that was given away */
	int irq;		/* 0: none */
	atomic_t events;	/* count that the WAIT ioctl compares */
	u32 armed;		/* somebody has waited since the last event */
	bool dead;		/* no event will come; set once */
	wait_queue_head_t wait; /* for events, or dead */
};

struct vgpufront_channel *vgpufront_channel_create(struct vgpufront_info *info, kuid_t kuid,
						   const struct vgpu_ioc_connect *arg);
void vgpufront_channel_close(struct vgpufront_channel *ch);
void vgpufront_channel_fail(struct vgpufront_channel *ch);
void vgpufront_channel_get(struct vgpufront_channel *ch);
void vgpufront_channel_put(struct vgpufront_channel *ch);
int vgpufront_channel_notify(struct vgpufront_channel *ch);
int vgpufront_channel_wait(struct vgpufront_channel *ch, u32 *seen, u32 timeout_ms);
int vgpufront_req_wait(struct vgpufront_channel *ch, struct vgpufront_req *req);

void vgpufront_channel_park(struct vgpufront_channel *ch);
void vgpufront_channel_unpark(struct vgpufront_channel *ch);
int vgpufront_channel_settle(struct vgpufront_channel *ch);
void vgpufront_channel_returned(struct vgpufront_channel *ch, int err);
void vgpufront_channel_chunk(struct vgpufront_channel *ch, u32 id, int err);

/* --- vgpufront_suspend.c ------------------------------------------------------------------ */

void vgpufront_guard_start(struct vgpufront_info *info);
void vgpufront_guard_stop(struct vgpufront_info *info);
void vgpufront_park(struct vgpufront_info *info);
void vgpufront_unpark(struct vgpufront_info *info);
/* vgpufront_main.c */
void vgpufront_lost(struct vgpufront_info *info, const char *why);

/* --- vgpufront_pool.c --------------------------------------------------------------------- */

int vgpufront_pool_add(struct vgpufront_channel *ch, struct vgpu_ioc_pool *arg);
int vgpufront_pool_drop(struct vgpufront_channel *ch, u32 id);
struct vgpufront_area *vgpufront_pool_area(struct vgpufront_channel *ch, u32 id);
void vgpufront_pool_shut(struct vgpufront_channel *ch);
bool vgpufront_pool_return(struct vgpufront_channel *ch, u32 from);

/* --- vgpufront_dev.c ---------------------------------------------------------------------- */

int vgpufront_dev_create(struct vgpufront_info *info);
void vgpufront_dev_destroy(struct vgpufront_info *info);

/* --- vgpufront_caps.c --------------------------------------------------------------------- */

struct vgpufront_uid *vgpufront_uid_get(kuid_t kuid);
void vgpufront_uid_put(struct vgpufront_uid *uid);
int vgpufront_caps_take_channel(struct vgpufront_channel *ch);
void vgpufront_caps_give_channel(struct vgpufront_channel *ch);
int vgpufront_caps_take_pages(struct vgpufront_channel *ch, u32 n);
void vgpufront_caps_give_pages(struct vgpufront_channel *ch, u32 n);
void vgpufront_caps_give_grants(struct vgpufront_uid *uid, u32 n);

#endif
