// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_suspend.c - the guest is suspended, and goes on here, or elsewhere from a saved image.
 *
 * xenbus asks a driver to suspend when nothing can stop that any more. So a thread of our own, which
 * the freezer meets after all processes stand still, asks the backend to save its workers, and only
 * then freezes. If the backend cannot, it reports a wake-up event: the freezer gives up, everything
 * goes on, and the toolstack's save fails, before anything has been changed.
 *
 *   cancelled   nothing of ours was touched; the backend is told to go on
 *   restored    grants and ports are void. Channels wait as PARKED while the device connects anew;
 *               then their pages are granted again, under the same references, and each is made
 *               (with the token of the checkpoint), given its chunks, and resumed.
 */
#include "vgpufront.h"
#include "compat.h"
#include "vgpu_keys.h"

#include <linux/delay.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/pm.h>
#include <linux/suspend.h>

#define CHECKPOINT_TIMEOUT (15 * HZ) /* the freezer gives up after 20 s */
#define NODES_POLL_MS	   50u
#define NODES_TIMEOUT_MS   20000u

static bool has_channels(struct vgpufront_info *info)
{
	bool any = false;
	u32 id;

	mutex_lock(&info->lock);
	for (id = 1; id <= VGPU_MAX_CHANNELS && !any; id++)
		any = info->chan[id];
	mutex_unlock(&info->lock);
	return any;
}

/* --- the backend's part -------------------------------------------------------------------- */

static void checkpoint_finish(struct vgpufront_req *req)
{
	struct vgpufront_info *info = container_of(req, struct vgpufront_info, checkpoint);

	WRITE_ONCE(info->checkpoint_busy, false);
	complete(&info->checkpoint_done);
	vgpufront_info_put(info);
}

/* 0, or -errno: what the backend answered, or that it did not. phase: as in the protocol. */
static int checkpoint(struct vgpufront_info *info, u32 phase)
{
	if (READ_ONCE(info->checkpoint_busy))
		return -EBUSY;
	WRITE_ONCE(info->checkpoint_busy, true);
	reinit_completion(&info->checkpoint_done);
	info->checkpoint.msg = (struct vgpu_ctl_req){.op = VGPU_CTL_CHECKPOINT, .phase = phase};
	kref_get(&info->ref);
	vgpufront_ctl_submit(info, vgpufront_ctl_gen(info), &info->checkpoint, checkpoint_finish);
	if (!wait_for_completion_timeout(&info->checkpoint_done, CHECKPOINT_TIMEOUT))
		return -ETIMEDOUT;
	return info->checkpoint.status;
}

/* --- the thread ---------------------------------------------------------------------------- */

static int front_state(struct vgpufront_info *info)
{
	int state;

	if (xenbus_scanf(XBT_NIL, info->xbdev->nodename, VGPU_XS_STATE, "%d", &state) != 1)
		return -1;
	return state;
}

/*
 * The bus resumes only devices whose directories are there when the restored domain starts to run;
 * a toolstack that knows nothing of vgpus leaves them to the agent, which is a moment later.
 */
static void resume_late(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;
	const struct dev_pm_ops *bus = dev->dev.bus->pm; /* the bus's own way, only later */
	unsigned int ms;

	for (ms = 0; bus && bus->restore && ms < NODES_TIMEOUT_MS && !kthread_should_stop();
	     ms += NODES_POLL_MS) {
		if (front_state(info) == XenbusStateInitialising &&
		    xenbus_exists(XBT_NIL, dev->nodename, VGPU_XS_BACKEND)) {
			bus->restore(&dev->dev);
			return;
		}
		msleep_interruptible(NODES_POLL_MS);
	}
	vgpufront_lost(info, "the domain has been restored without this device; reload the module "
			     "when it is attached");
}

/* The freezer has let go. */
static void thawed(struct vgpufront_info *info)
{
	bool resumed, parked;

	mutex_lock(&info->state_lock);
	resumed = info->resumed;
	parked = info->parked;
	mutex_unlock(&info->state_lock);
	if (!parked || resumed)
		return;
	/* A cancelled suspend has left our node as we wrote it. */
	if (front_state(info) == XenbusStateConnected) {
		mutex_lock(&info->state_lock);
		info->parked = false;
		mutex_unlock(&info->state_lock);
		if (checkpoint(info, 1))
			pr_warn("%s: the backend does not go on after a cancelled suspend\n",
				info->name);
	} else {
		resume_late(info);
	}
}

static void freeze(struct vgpufront_info *info)
{
	int err = has_channels(info) ? checkpoint(info, 0) : 0;

	mutex_lock(&info->state_lock);
	info->resumed = false;
	info->parked = !err && has_channels(info);
	memcpy(info->token, &info->checkpoint.rsp.pool_base, sizeof(info->token) / 2);
	memcpy((u8 *)info->token + sizeof(info->token) / 2, &info->checkpoint.rsp.pool_size,
	       sizeof(info->token) / 2);
	mutex_unlock(&info->state_lock);
	if (!err) {
		try_to_freeze();
		thawed(info);
		return;
	}
	pr_warn("%s: suspend refused: the backend cannot save the state of running CUDA processes "
		"(error %d; it says why in its log and in %s/error)\n",
		info->name, err, info->xbdev->otherend);
	pm_system_wakeup();
	while (freezing(current) && !kthread_should_stop())
		schedule_timeout_interruptible(HZ / 100 + 1);
	/* A late answer, or none: those that stand still go on. */
	if (err == -ETIMEDOUT)
		checkpoint(info, 1);
}

static int guard_main(void *data)
{
	struct vgpufront_info *info = data;

	current->flags &= ~PF_NOFREEZE;
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (kthread_should_stop())
			break;
		if (freezing(current)) {
			__set_current_state(TASK_RUNNING);
			freeze(info);
		} else {
			schedule();
		}
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Without the thread processes lose their contexts in a restored domain; nothing else is lost. */
void vgpufront_guard_start(struct vgpufront_info *info)
{
	struct task_struct *t = kthread_run(guard_main, info, "%s-guard", info->name);

	if (IS_ERR(t))
		pr_warn("%s: no thread (error %ld): CUDA processes will not survive a restore\n",
			info->name, PTR_ERR(t));
	else
		info->guard = t;
}

void vgpufront_guard_stop(struct vgpufront_info *info)
{
	if (info->guard)
		kthread_stop(info->guard);
	info->guard = NULL;
}

/* --- restored ------------------------------------------------------------------------------ */

/* With a reference, or NULL. */
static struct vgpufront_channel *channel_at(struct vgpufront_info *info, u32 id)
{
	struct vgpufront_channel *ch;

	mutex_lock(&info->lock);
	ch = info->chan[id];
	if (ch)
		vgpufront_channel_get(ch);
	mutex_unlock(&info->lock);
	return ch;
}

/* Ends the old connection; live channels stay. Called with state_lock held. */
void vgpufront_park(struct vgpufront_info *info)
{
	u32 id;

	mutex_lock(&info->lock);
	info->up = false;
	mutex_unlock(&info->lock);
	vgpufront_ctl_fail(info);
	flush_workqueue(vgpufront_wq); /* what was half made or half destroyed is gone now */
	for (id = 1; id <= VGPU_MAX_CHANNELS; id++) {
		struct vgpufront_channel *ch = channel_at(info, id);

		if (!ch)
			continue;
		vgpufront_channel_park(ch);
		vgpufront_channel_put(ch);
	}
	vgpufront_ctl_destroy(info);
}

/* The new connection is up: brings all parked channels back, without waiting for that. */
void vgpufront_unpark(struct vgpufront_info *info)
{
	u32 id;

	for (id = 1; id <= VGPU_MAX_CHANNELS; id++) {
		struct vgpufront_channel *ch = channel_at(info, id);

		if (!ch)
			continue;
		vgpufront_channel_unpark(ch);
		vgpufront_channel_put(ch);
	}
}
