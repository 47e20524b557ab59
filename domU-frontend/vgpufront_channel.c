// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_channel.c - the shared memory and event channel between one process and one worker.
 *
 *   NEW -> CREATING -> LIVE -> CLOSING -> DEAD      any state -> DEAD when the backend is lost
 *
 * The kernel writes magic and ring_order before the channel is offered and never looks at the
 * pages again: they belong to the process and the worker.
 */
#include "vgpufront.h"
#include "compat.h"
#include "vgpufront_fault.h"

#include <linux/interrupt.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

static void create_done(struct vgpufront_req *req);
static void destroy_done(struct vgpufront_req *req);

/* --- references ---------------------------------------------------------------------------- */

static void channel_release(struct kref *ref)
{
	struct vgpufront_channel *ch = container_of(ref, struct vgpufront_channel, ref);

	WARN_ON(ch->irq || ch->area || ch->counted);
	mutex_destroy(&ch->lock);
	vgpufront_uid_put(ch->uid);
	vgpufront_info_put(ch->info);
	kfree(ch);
}

void vgpufront_channel_get(struct vgpufront_channel *ch)
{
	kref_get(&ch->ref);
}

void vgpufront_channel_put(struct vgpufront_channel *ch)
{
	kref_put(&ch->ref, channel_release);
}

/* --- doorbell and events ------------------------------------------------------------------- */

static irqreturn_t bell_interrupt(int irq, void *data)
{
	struct vgpufront_channel *ch = data;
	bool waited;

	atomic_inc(&ch->events);
	smp_mb__after_atomic(); /* pairs with prepare_to_wait() in vgpufront_channel_wait() */
	/*
	 * An event that nobody has been waiting for is spurious, and Xen's core slows a channel down
	 * that has several of them in a row. One for which somebody looked, but in vain or just
	 * before, is not: the process may take its reply by polling.
	 */
	waited = xchg(&ch->armed, 0) || waitqueue_active(&ch->wait);
	wake_up_all(&ch->wait);
	xen_irq_lateeoi(irq, waited ? 0 : XEN_EOI_FLAG_SPURIOUS);
	return IRQ_HANDLED;
}

/* xenbus_alloc_evtchn() would close the whole device when the guest has no port left. */
static int bell_create(struct vgpufront_channel *ch, u32 *port)
{
	struct evtchn_alloc_unbound alloc = {
		.dom = DOMID_SELF,
		.remote_dom = ch->otherend,
	};
	struct evtchn_close close;
	int irq;

	irq = HYPERVISOR_event_channel_op(EVTCHNOP_alloc_unbound, &alloc);
	if (irq) {
		pr_warn_ratelimited("%s: no event channel port for a channel: error %d\n",
				    ch->info->name, irq);
		return irq == -ENOSPC ? irq : -EIO;
	}
	irq = bind_evtchn_to_irqhandler_lateeoi(alloc.port, bell_interrupt, 0, ch->name, ch);
	if (irq < 0) {
		close.port = alloc.port;
		if (HYPERVISOR_event_channel_op(EVTCHNOP_close, &close))
			WARN_ON_ONCE(1);
		return irq;
	}
	spin_lock(&ch->bell_lock);
	ch->irq = irq;
	spin_unlock(&ch->bell_lock);
	*port = alloc.port;
	return 0;
}

static void bell_destroy(struct vgpufront_channel *ch)
{
	int irq;

	spin_lock(&ch->bell_lock);
	irq = ch->irq;
	ch->irq = 0;
	spin_unlock(&ch->bell_lock);
	if (irq)
		unbind_from_irqhandler(irq, ch); /* closes the port, waits for the handler */
}

/* The doorbell: wakes the worker. -EPIPE: there is none any more. */
int vgpufront_channel_notify(struct vgpufront_channel *ch)
{
	int err = -EPIPE;

	spin_lock(&ch->bell_lock);
	if (READ_ONCE(ch->parked)) {
		err = 0; /* whoever takes the channel looks at the ring first */
	} else if (ch->irq && !READ_ONCE(ch->dead)) {
		notify_remote_via_irq(ch->irq);
		err = 0;
	}
	spin_unlock(&ch->bell_lock);
	return err;
}

/*
 * Waits, as a futex does, until the event count differs from *seen, and stores it there.
 * timeout_ms: 0 only looks. -ETIMEDOUT, -EPIPE (no worker any more), -EINTR.
 */
int vgpufront_channel_wait(struct vgpufront_channel *ch, u32 *seen, u32 timeout_ms)
{
	long left = 0;
	u32 now;

	WRITE_ONCE(ch->armed, 1);
	smp_mb(); /* armed is visible to the handler of any event that is not in the count yet */
	if (timeout_ms)
		left = wait_event_freezable_timeout(
			ch->wait, READ_ONCE(ch->dead) || (u32)atomic_read(&ch->events) != *seen,
			msecs_to_jiffies(timeout_ms));
	if (READ_ONCE(ch->dead))
		return -EPIPE;
	now = atomic_read(&ch->events);
	if (now == *seen)
		return left < 0 ? -EINTR : -ETIMEDOUT;
	*seen = now;
	return 0;
}

static void channel_mark_dead(struct vgpufront_channel *ch)
{
	WRITE_ONCE(ch->dead, true);
	wake_up_all(&ch->wait);
}

/* --- resources ----------------------------------------------------------------------------- */

/* Gives back all that the channel holds. Once; later calls find nothing. */
static void channel_shut(struct vgpufront_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	ch->state = VGPUFRONT_CH_DEAD;
	channel_mark_dead(ch);
	WRITE_ONCE(ch->parked, false);
	bell_destroy(ch);
	vgpufront_pool_shut(ch);
	vgpufront_area_destroy(ch, ch->area);
	ch->area = NULL;
	vgpufront_caps_give_channel(ch);
}

/* Frees the channel's number, after channel_shut(): the backend knows it no longer. */
static void channel_detach(struct vgpufront_channel *ch)
{
	struct vgpufront_info *info = ch->info;
	bool put = false;

	mutex_lock(&info->lock);
	if (info->chan[ch->id] == ch) {
		info->chan[ch->id] = NULL;
		put = true;
	}
	mutex_unlock(&info->lock);
	if (put)
		vgpufront_channel_put(ch);
}

/* Gives the channel a number on the present connection. */
static int channel_attach(struct vgpufront_channel *ch)
{
	struct vgpufront_info *info = ch->info;
	int err = -ENODEV;
	u32 id, max = 0;

	mutex_lock(&info->lock);
	if (!info->up)
		goto out;
	max = info->max_channels;
	for (id = 1; id <= max && info->chan[id]; id++)
		;
	if (id > max) {
		err = -ENOSPC;
		goto out;
	}
	ch->id = id;
	ch->gen = vgpufront_ctl_gen(info);
	ch->otherend = info->otherend;
	kref_get(&ch->ref);
	info->chan[id] = ch;
	err = 0;
out:
	mutex_unlock(&info->lock);
	if (err == -ENOSPC)
		pr_warn_ratelimited(
			"%s: pid %d: one channel more than the backend's max-channels (%u)\n",
			info->name, ch->tgid, max);
	return err;
}

/* Ends a channel whose backend is gone. The process keeps its memory until it unmaps it. */
void vgpufront_channel_fail(struct vgpufront_channel *ch)
{
	channel_mark_dead(ch);
	mutex_lock(&ch->lock);
	if (ch->state != VGPUFRONT_CH_DEAD)
		channel_shut(ch);
	mutex_unlock(&ch->lock);
}

/* --- create and destroy -------------------------------------------------------------------- */

/*
 * Waits for finish() of a request of this channel: 0, -ETIMEDOUT, or -EINTR after a fatal signal.
 * In the last two cases the request is still under way.
 */
int vgpufront_req_wait(struct vgpufront_channel *ch, struct vgpufront_req *req)
{
	long left = vgpufront_wait_killable(ch->ctl_wait, smp_load_acquire(&req->done),
					    VGPUFRONT_TIMEOUT);

	if (left > 0)
		return 0;
	if (left < 0)
		return -EINTR;
	pr_warn_ratelimited(
		"%s: channel %u, pid %d: no answer from the backend to request %u in %u s\n",
		ch->info->name, ch->id, ch->tgid, req->msg.op, VGPUFRONT_TIMEOUT / HZ);
	return -ETIMEDOUT;
}

static void channel_destroy(struct vgpufront_channel *ch)
{
	lockdep_assert_held(&ch->lock);
	ch->state = VGPUFRONT_CH_CLOSING;
	vgpufront_fault("close");
	ch->destroy.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_DESTROY_CHANNEL,
		.channel = ch->id,
	};
	kref_get(&ch->ref);
	vgpufront_ctl_submit(ch->info, ch->gen, &ch->destroy, destroy_done);
}

/* Nobody wants the channel any more; does not wait. Idempotent. */
void vgpufront_channel_close(struct vgpufront_channel *ch)
{
	bool detach = false;

	channel_mark_dead(ch);
	mutex_lock(&ch->lock);
	ch->closing = true;
	/* In CREATING the backend has to answer first; create_done() will see to it. */
	if (ch->state == VGPUFRONT_CH_LIVE)
		channel_destroy(ch);
	if (ch->state == VGPUFRONT_CH_PARKED && !ch->returning) {
		channel_shut(ch);
		detach = true;
	}
	mutex_unlock(&ch->lock);
	if (detach)
		channel_detach(ch);
}

/* The worker is gone, or the backend: either way nothing of the channel is in use there. */
static void destroy_done(struct vgpufront_req *req)
{
	struct vgpufront_channel *ch = container_of(req, struct vgpufront_channel, destroy);

	vgpufront_fault("closed");
	if (req->status && req->status != -ENODEV)
		pr_warn_ratelimited("%s: channel %u: the backend could not destroy it: error %d\n",
				    ch->info->name, ch->id, req->status);
	mutex_lock(&ch->lock);
	if (ch->state != VGPUFRONT_CH_DEAD)
		channel_shut(ch);
	mutex_unlock(&ch->lock);
	channel_detach(ch);
	vgpufront_channel_put(ch);
}

static bool window_ok(u64 base, u64 size)
{
	return PAGE_ALIGNED(base) && PAGE_ALIGNED(size) && base + size >= base;
}

static void create_done(struct vgpufront_req *req)
{
	struct vgpufront_channel *ch = container_of(req, struct vgpufront_channel, create);
	const struct vgpu_ctl_rsp *rsp = &req->rsp;
	int err = req->status;
	bool dead;

	vgpufront_fault("created");
	mutex_lock(&ch->lock);
	vgpufront_dir_destroy(&req->dir);
	if (ch->state == VGPUFRONT_CH_DEAD) {
		err = err ? err : -ENODEV;
	} else if (err) {
		channel_shut(ch);
	} else if (!window_ok(rsp->pool_base, rsp->pool_size) ||
		   !window_ok(rsp->dev_base, rsp->dev_size)) {
		pr_warn_ratelimited("%s: channel %u: the backend offers bad windows %#llx+%#llx "
				    "and %#llx+%#llx\n",
				    ch->info->name, ch->id, rsp->pool_base, rsp->pool_size,
				    rsp->dev_base, rsp->dev_size);
		err = -EPROTO;
		channel_destroy(ch);
	} else if (ch->closing) {
		err = -EINTR;
		channel_destroy(ch);
	} else {
		ch->pool_base = rsp->pool_base;
		ch->pool_size = rsp->pool_size;
		ch->dev_base = rsp->dev_base;
		ch->dev_size = rsp->dev_size;
		ch->state = VGPUFRONT_CH_LIVE;
	}
	ch->create_result = err;
	smp_store_release(&req->done, true);
	dead = ch->state == VGPUFRONT_CH_DEAD;
	mutex_unlock(&ch->lock);
	if (dead)
		channel_detach(ch);
	wake_up_all(&ch->ctl_wait);
	vgpufront_channel_put(ch);
}

/* Memory, doorbell and request. On error the caller shuts what there is. */
static int channel_build(struct vgpufront_channel *ch, kuid_t kuid, u32 window_try)
{
	struct vgpu_ch_front *front;
	u32 npages = VGPU_CH_PAGES(ch->order);
	struct vgpufront_area *area;
	u32 port;
	int err;

	lockdep_assert_held(&ch->lock);
	ch->window_try = window_try;
	ch->uid_nr = from_kuid_munged(&init_user_ns, kuid);
	area = vgpufront_area_create(ch, npages);
	if (IS_ERR(area))
		return PTR_ERR(area);
	ch->area = area;
	front = page_address(area->pages[VGPU_CH_FRONT_PAGE]);
	front->magic = VGPU_CH_MAGIC;
	front->ring_order = ch->order;
	err = bell_create(ch, &port);
	if (err)
		return err;
	err = vgpufront_dir_create(&ch->create.dir, ch->otherend, area);
	if (err)
		return err;
	ch->create.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_CREATE_CHANNEL,
		.channel = ch->id,
		.port = port,
		.gref_dir = ch->create.dir.refs[ch->create.dir.npages - 1],
		.npages = npages,
		.ring_order = ch->order,
		.window_try = window_try,
		.uid = ch->uid_nr,
		.pid = ch->tgid,
	};
	vgpufront_fault("create");
	ch->state = VGPUFRONT_CH_CREATING;
	kref_get(&ch->ref);
	vgpufront_ctl_submit(ch->info, ch->gen, &ch->create, create_done);
	return 0;
}

/*
 * Makes a channel for the calling process and waits until the backend has a worker for it.
 * arg->ring_order was checked. Errors: -ENOSPC (caps), -ENODEV, -ETIMEDOUT, -EINTR (killed),
 * -ENOMEM, -EIO and -EPROTO (the backend misbehaves), or what the backend answered.
 */
struct vgpufront_channel *vgpufront_channel_create(struct vgpufront_info *info, kuid_t kuid,
						   const struct vgpu_ioc_connect *arg)
{
	struct vgpufront_channel *ch = kzalloc(sizeof(*ch), GFP_KERNEL_ACCOUNT);
	int err;

	if (!ch)
		return ERR_PTR(-ENOMEM);
	ch->uid = vgpufront_uid_get(kuid);
	if (!ch->uid) {
		kfree(ch);
		return ERR_PTR(-ENOMEM);
	}
	kref_init(&ch->ref);
	kref_get(&info->ref);
	ch->info = info;
	ch->tgid = task_tgid_nr(current);
	ch->order = arg->ring_order;
	mutex_init(&ch->lock);
	init_waitqueue_head(&ch->ctl_wait);
	spin_lock_init(&ch->bell_lock);
	init_waitqueue_head(&ch->wait);

	err = vgpufront_caps_take_channel(ch);
	if (err)
		goto put;
	err = channel_attach(ch);
	if (err) {
		vgpufront_caps_give_channel(ch);
		goto put;
	}
	snprintf(ch->name, sizeof(ch->name), "%s-ch%u", info->name, ch->id);

	mutex_lock(&ch->lock);
	/* The backend may have been lost since channel_attach(). */
	err = ch->state == VGPUFRONT_CH_DEAD ? -ENODEV : channel_build(ch, kuid, arg->window_try);
	if (err) {
		if (ch->state != VGPUFRONT_CH_DEAD)
			channel_shut(ch);
		vgpufront_dir_destroy(&ch->create.dir);
	}
	mutex_unlock(&ch->lock);
	if (err) {
		channel_detach(ch);
		goto put;
	}

	err = vgpufront_req_wait(ch, &ch->create);
	if (!err) {
		mutex_lock(&ch->lock);
		err = ch->create_result;
		mutex_unlock(&ch->lock);
	}
	if (!err)
		return ch;
	vgpufront_channel_close(ch);
put:
	vgpufront_channel_put(ch);
	return ERR_PTR(err);
}

/* --- in a restored domain ------------------------------------------------------------------ */

/* The connection is over, and so are its ports; the channel waits for the next one. */
void vgpufront_channel_park(struct vgpufront_channel *ch)
{
	bool detach = false;

	mutex_lock(&ch->lock);
	if (ch->state == VGPUFRONT_CH_LIVE && !ch->closing) {
		ch->state = VGPUFRONT_CH_PARKED;
		WRITE_ONCE(ch->parked, true);
		bell_destroy(ch);
	} else {
		if (ch->state != VGPUFRONT_CH_DEAD)
			channel_shut(ch);
		detach = true;
	}
	mutex_unlock(&ch->lock);
	if (detach)
		channel_detach(ch);
}

/* Waits until the channel is with the backend again, or is not parked. 0, -ETIMEDOUT, -EINTR. */
int vgpufront_channel_settle(struct vgpufront_channel *ch)
{
	long left;

	if (!READ_ONCE(ch->parked))
		return 0;
	left = vgpufront_wait_killable(ch->ctl_wait, !READ_ONCE(ch->parked), VGPUFRONT_TIMEOUT);
	return left > 0 ? 0 : left < 0 ? -EINTR : -ETIMEDOUT;
}

static void resume_done(struct vgpufront_req *req)
{
	struct vgpufront_channel *ch = container_of(req, struct vgpufront_channel, resume);

	mutex_lock(&ch->lock);
	vgpufront_channel_returned(ch, req->status);
	mutex_unlock(&ch->lock);
	wake_up_all(&ch->ctl_wait);
	vgpufront_channel_put(ch);
}

/* All that the backend has to have is there, or something failed. Called with the lock held. */
void vgpufront_channel_returned(struct vgpufront_channel *ch, int err)
{
	lockdep_assert_held(&ch->lock);
	ch->returning = false;
	if (ch->state != VGPUFRONT_CH_PARKED)
		return;
	WRITE_ONCE(ch->parked, false);
	ch->state = VGPUFRONT_CH_LIVE;
	if (err) {
		pr_warn("%s: channel %u, pid %d: not restored (error %d; the backend's log says "
			"why): its CUDA context is lost\n",
			ch->info->name, ch->id, ch->tgid, err);
		channel_mark_dead(ch);
		channel_destroy(ch);
	} else if (ch->closing) {
		channel_destroy(ch);
	}
	/* Whoever sleeps looks again. */
	atomic_inc(&ch->events);
	wake_up_all(&ch->wait);
}

/* The next step: a chunk, or the end. Called with the lock held. */
static void channel_return(struct vgpufront_channel *ch, u32 chunk)
{
	if (vgpufront_pool_return(ch, chunk))
		return;
	ch->resume.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_RESUME_CHANNEL,
		.channel = ch->id,
	};
	kref_get(&ch->ref);
	vgpufront_ctl_submit(ch->info, ch->gen, &ch->resume, resume_done);
}

/* vgpufront_pool.c: chunk `id` is there again, or not. */
void vgpufront_channel_chunk(struct vgpufront_channel *ch, u32 id, int err)
{
	lockdep_assert_held(&ch->lock);
	if (ch->state != VGPUFRONT_CH_PARKED)
		return;
	if (err)
		vgpufront_channel_returned(ch, err);
	else
		channel_return(ch, id + 1);
}

static void recreate_done(struct vgpufront_req *req)
{
	struct vgpufront_channel *ch = container_of(req, struct vgpufront_channel, create);
	const struct vgpu_ctl_rsp *rsp = &req->rsp;
	int err = req->status;

	mutex_lock(&ch->lock);
	vgpufront_dir_destroy(&req->dir);
	if (!err && (rsp->pool_base != ch->pool_base || rsp->pool_size != ch->pool_size ||
		     rsp->dev_base != ch->dev_base || rsp->dev_size != ch->dev_size)) {
		pr_warn("%s: channel %u: the backend has other address windows than before\n",
			ch->info->name, ch->id);
		err = -EPROTO;
	}
	if (ch->state == VGPUFRONT_CH_PARKED) {
		if (err)
			vgpufront_channel_returned(ch, err);
		else
			channel_return(ch, 0);
	}
	mutex_unlock(&ch->lock);
	wake_up_all(&ch->ctl_wait);
	vgpufront_channel_put(ch);
}

/* On the new connection, with info->up set. */
void vgpufront_channel_unpark(struct vgpufront_channel *ch)
{
	struct vgpufront_info *info = ch->info;
	u32 npages = VGPU_CH_PAGES(ch->order);
	u32 port = 0;
	int err;

	mutex_lock(&ch->lock);
	if (ch->state != VGPUFRONT_CH_PARKED || ch->returning)
		goto out;
	ch->gen = vgpufront_ctl_gen(info);
	ch->otherend = info->otherend;
	ch->returning = true;
	vgpufront_area_regrant(ch, ch->area);
	err = bell_create(ch, &port);
	if (!err)
		err = vgpufront_dir_create(&ch->create.dir, ch->otherend, ch->area);
	if (err) {
		vgpufront_channel_returned(ch, err);
		goto out;
	}
	ch->create.msg = (struct vgpu_ctl_req){
		.op = VGPU_CTL_CREATE_CHANNEL,
		.channel = ch->id,
		.port = port,
		.gref_dir = ch->create.dir.refs[ch->create.dir.npages - 1],
		.npages = npages,
		.ring_order = ch->order,
		.window_try = ch->window_try,
		.uid = ch->uid_nr,
		.pid = ch->tgid,
		.token0 = info->token[0],
		.token1 = info->token[1],
		.token2 = info->token[2],
		.token3 = info->token[3],
	};
	kref_get(&ch->ref);
	vgpufront_ctl_submit(info, ch->gen, &ch->create, recreate_done);
out:
	mutex_unlock(&ch->lock);
}
