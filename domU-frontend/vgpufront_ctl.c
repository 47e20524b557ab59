// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_ctl.c - the control ring: one page, requests from us, responses from the backend.
 *
 * The backend is not trusted. Only our own copy of a request decides what a response is about;
 * the response is copied out of the ring once and checked against it. After a violation the ring
 * is broken: one log line, every request fails, the interrupt gets no EOI and so stays silent;
 * only a new connection clears that. (xen-blkfront and xen-netfront are the models.)
 *
 * A restarted backend binds the same port and goes on at rsp_prod; requests just wait. It may have
 * lost a notification, so as long as a request is unanswered it is rung again every second.
 */
#include "vgpufront.h"

#define KICK_PERIOD HZ

static void ctl_kick_work(struct work_struct *work);

static void req_work(struct work_struct *work)
{
	struct vgpufront_req *req = container_of(work, struct vgpufront_req, work);

	req->finish(req);
}

void vgpufront_ctl_init(struct vgpufront_info *info)
{
	struct vgpufront_ctl *ctl = &info->ctl;

	BUILD_BUG_ON(VGPUFRONT_SLOTS != __CONST_RING_SIZE(vgpuif, XEN_PAGE_SIZE));
	spin_lock_init(&ctl->lock);
	INIT_LIST_HEAD(&ctl->queue);
	INIT_DELAYED_WORK(&ctl->kick, ctl_kick_work);
	ctl->ref = INVALID_GRANT_REF;
}

/* The request is over; its finish() follows in the work queue, exactly once. */
static void req_end(struct vgpufront_req *req, int status)
{
	req->status = status;
	queue_work(vgpufront_wq, &req->work);
}

static void ctl_end_all(struct vgpufront_ctl *ctl, int status)
{
	struct vgpufront_req *req, *next;
	u32 i;

	lockdep_assert_held(&ctl->lock);
	for (i = 0; i < VGPUFRONT_SLOTS; i++) {
		if (!ctl->slot[i])
			continue;
		req_end(ctl->slot[i], status);
		ctl->slot[i] = NULL;
	}
	ctl->outstanding = 0;
	list_for_each_entry_safe(req, next, &ctl->queue, node)
	{
		list_del_init(&req->node);
		req_end(req, status);
	}
}

/* Moves queued requests into free slots and rings the backend. */
static void ctl_pump(struct vgpufront_ctl *ctl)
{
	struct vgpufront_req *req;
	bool pushed = false;
	int notify;
	u32 i;

	lockdep_assert_held(&ctl->lock);
	/* As many requests are outstanding as the ring has room for: slots and ring fill together. */
	while (!list_empty(&ctl->queue) && ctl->outstanding < VGPUFRONT_SLOTS &&
	       !RING_FULL(&ctl->ring)) {
		for (i = 0; ctl->slot[i]; i++)
			;
		req = list_first_entry(&ctl->queue, struct vgpufront_req, node);
		list_del_init(&req->node);
		ctl->slot[i] = req;
		ctl->outstanding++;
		/* The number in the id tells a late answer from that of the slot's next request. */
		req->msg.id = ctl->seq++ * VGPUFRONT_SLOTS + i;
		*RING_GET_REQUEST(&ctl->ring, ctl->ring.req_prod_pvt) = req->msg;
		ctl->ring.req_prod_pvt++;
		pushed = true;
	}
	if (!pushed)
		return;
	RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ctl->ring, notify);
	if (notify)
		notify_remote_via_irq(ctl->irq);
	queue_delayed_work(vgpufront_wq, &ctl->kick, KICK_PERIOD);
}

static void ctl_kick_work(struct work_struct *work)
{
	struct vgpufront_ctl *ctl = container_of(work, struct vgpufront_ctl, kick.work);
	unsigned long flags;

	spin_lock_irqsave(&ctl->lock, flags);
	if (ctl->up && !ctl->broken && ctl->outstanding) {
		notify_remote_via_irq(ctl->irq);
		queue_delayed_work(vgpufront_wq, &ctl->kick, KICK_PERIOD);
	}
	spin_unlock_irqrestore(&ctl->lock, flags);
}

/* Rings the backend if it owes us an answer, as after its restart. */
void vgpufront_ctl_kick(struct vgpufront_info *info)
{
	mod_delayed_work(vgpufront_wq, &info->ctl.kick, 0);
}

/*
 * Sends a request, or queues it while the ring is full. Never fails and never waits: finish() is
 * called from the work queue in every case, with -ENODEV if connection `gen` is over and -EIO if
 * the backend broke the protocol. What the request is about must be kept alive until then.
 */
void vgpufront_ctl_submit(struct vgpufront_info *info, u32 gen, struct vgpufront_req *req,
			  void (*finish)(struct vgpufront_req *))
{
	struct vgpufront_ctl *ctl = &info->ctl;
	unsigned long flags;

	INIT_LIST_HEAD(&req->node);
	INIT_WORK(&req->work, req_work);
	req->finish = finish;
	req->done = false;

	spin_lock_irqsave(&ctl->lock, flags);
	if (!ctl->up || ctl->gen != gen) {
		req_end(req, -ENODEV);
	} else if (ctl->broken) {
		req_end(req, -EIO);
	} else {
		list_add_tail(&req->node, &ctl->queue);
		ctl_pump(ctl);
	}
	spin_unlock_irqrestore(&ctl->lock, flags);
}

/* What is wrong with a response, or NULL. Both arguments are private copies. */
static const char *rsp_check(const struct vgpu_ctl_rsp *rsp, const struct vgpufront_req *req)
{
	if (!req || req->msg.id != rsp->id)
		return "answers no request";
	if (req->msg.op != rsp->op)
		return "is of another kind than its request";
	if (req->msg.channel != rsp->channel)
		return "names another channel than its request";
	if (rsp->status > 0 || rsp->status < -MAX_ERRNO)
		return "has a status that is no error number";
	if (rsp->flags || rsp->reserved[0] || rsp->reserved[1])
		return "has reserved fields that are not 0";
	return NULL;
}

/* Takes what the backend has answered. False: it broke the protocol; *work: there was something. */
static bool ctl_drain(struct vgpufront_info *info, bool *work)
{
	struct vgpufront_ctl *ctl = &info->ctl;
	struct vgpufront_req *req;
	struct vgpu_ctl_rsp rsp;
	const char *why;
	RING_IDX prod, cons;
	int more;
	u32 slot;

	lockdep_assert_held(&ctl->lock);
	do {
		prod = READ_ONCE(ctl->ring.sring->rsp_prod);
		virt_rmb(); /* read the responses only after the index that covers them */
		cons = ctl->ring.rsp_cons;
		if (RING_RESPONSE_PROD_OVERFLOW(&ctl->ring, prod)) {
			pr_err("%s: the backend moved rsp_prod from %u to %u in a ring of %u; "
			       "control ring disabled\n",
			       info->name, cons, prod, VGPUFRONT_SLOTS);
			return false;
		}
		for (; cons != prod; cons++) {
			RING_COPY_RESPONSE(&ctl->ring, cons, &rsp);
			slot = rsp.id % VGPUFRONT_SLOTS;
			req = ctl->slot[slot];
			why = rsp_check(&rsp, req);
			if (why) {
				pr_err("%s: the backend's response (id %u, op %u, channel %u, "
				       "status %d) %s; control ring disabled\n",
				       info->name, rsp.id, rsp.op, rsp.channel, rsp.status, why);
				return false;
			}
			ctl->slot[slot] = NULL;
			ctl->outstanding--;
			ctl->ring.rsp_cons = cons + 1;
			req->rsp = rsp;
			*work = true;
			/* Numbers beyond Linux's own table must not look like its internal ones. */
			req_end(req, rsp.status <= -512 ? -EIO : rsp.status);
		}
		/* At most one round more per request outstanding: each round needs a valid answer. */
		RING_FINAL_CHECK_FOR_RESPONSES(&ctl->ring, more);
	} while (more);
	return true;
}

static irqreturn_t ctl_interrupt(int irq, void *data)
{
	struct vgpufront_info *info = data;
	struct vgpufront_ctl *ctl = &info->ctl;
	unsigned long flags;
	bool work = false;
	bool eoi;

	spin_lock_irqsave(&ctl->lock, flags);
	eoi = ctl->up && !ctl->broken;
	if (eoi && !ctl_drain(info, &work)) {
		ctl->broken = true;
		ctl_end_all(ctl, -EIO);
		eoi = false;
	}
	if (eoi)
		ctl_pump(ctl);
	spin_unlock_irqrestore(&ctl->lock, flags);
	if (eoi)
		xen_irq_lateeoi(irq, work ? 0 : XEN_EOI_FLAG_SPURIOUS);
	return IRQ_HANDLED;
}

/*
 * Makes ring, grant and event channel for a new connection; the caller publishes ctl->ref and
 * ctl->port. Errors have been reported to xenbus (the device goes to Closing).
 */
int vgpufront_ctl_create(struct vgpufront_info *info)
{
	struct vgpufront_ctl *ctl = &info->ctl;
	struct xenbus_device *dev = info->xbdev;
	unsigned long flags;
	int err, irq;

	err = xenbus_setup_ring(dev, GFP_KERNEL, &ctl->page, 1, &ctl->ref);
	if (err) {
		xenbus_dev_fatal(dev, err, "allocating the control ring");
		return err;
	}
	err = xenbus_alloc_evtchn(dev, &ctl->port);
	if (err)
		goto ring;

	spin_lock_irqsave(&ctl->lock, flags);
	XEN_FRONT_RING_INIT(&ctl->ring, (struct vgpuif_sring *)ctl->page, XEN_PAGE_SIZE);
	ctl->broken = false;
	ctl->up = true;
	spin_unlock_irqrestore(&ctl->lock, flags);

	irq = bind_evtchn_to_irqhandler_lateeoi(ctl->port, ctl_interrupt, 0, info->name, info);
	if (irq < 0) {
		err = irq;
		xenbus_dev_fatal(dev, err, "binding event channel %u", ctl->port);
		xenbus_free_evtchn(dev, ctl->port);
		vgpufront_ctl_fail(info);
		goto ring;
	}
	ctl->irq = irq; /* nothing is submitted before the caller says so */
	return 0;
ring:
	xenbus_teardown_ring(&ctl->page, 1, &ctl->ref);
	return err;
}

/* The connection is over: all its requests end with -ENODEV, and so will later ones for it. */
void vgpufront_ctl_fail(struct vgpufront_info *info)
{
	struct vgpufront_ctl *ctl = &info->ctl;
	unsigned long flags;

	spin_lock_irqsave(&ctl->lock, flags);
	ctl->up = false;
	ctl->gen++;
	ctl_end_all(ctl, -ENODEV);
	spin_unlock_irqrestore(&ctl->lock, flags);
}

/* After vgpufront_ctl_fail(). May be called when there is nothing to destroy. */
void vgpufront_ctl_destroy(struct vgpufront_info *info)
{
	struct vgpufront_ctl *ctl = &info->ctl;

	cancel_delayed_work_sync(&ctl->kick);
	if (ctl->irq)
		unbind_from_irqhandler(ctl->irq, info); /* closes the port */
	ctl->irq = 0;
	xenbus_teardown_ring(&ctl->page, 1, &ctl->ref);
}

u32 vgpufront_ctl_gen(struct vgpufront_info *info)
{
	unsigned long flags;
	u32 gen;

	spin_lock_irqsave(&info->ctl.lock, flags);
	gen = info->ctl.gen;
	spin_unlock_irqrestore(&info->ctl.lock, flags);
	return gen;
}
