// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_caps.c - what one open file, one user and all of them may take, so that a CUDA process
 * cannot starve the guest's own disks and network of grants, event channel ports or memory.
 *
 * Pages are counted twice: per open file and per device until the channel lets go of them, per
 * user and in total until their grant has really ended, which can be later (vgpufront_area.c).
 */
#include "vgpufront.h"

#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

static unsigned int max_channels = 128;
module_param(max_channels, uint, 0644);
MODULE_PARM_DESC(max_channels, "Channels (CUDA processes) at a time, all users (default 128)");

static unsigned int max_channels_per_uid = 64;
module_param(max_channels_per_uid, uint, 0644);
MODULE_PARM_DESC(max_channels_per_uid, "Channels at a time of one user (default 64)");

static unsigned int max_pages_per_open = 20480;
module_param(max_pages_per_open, uint, 0644);
MODULE_PARM_DESC(max_pages_per_open, "4 KiB pages granted for one open file (default 20480)");

static unsigned int max_pages_per_uid = 22528;
module_param(max_pages_per_uid, uint, 0644);
MODULE_PARM_DESC(max_pages_per_uid, "4 KiB pages granted for one user (default 22528)");

static unsigned int max_pages;
module_param(max_pages, uint, 0644);
MODULE_PARM_DESC(max_pages, "4 KiB pages granted in all (default 0: all but reserve_grants)");

static unsigned int reserve_grants;
module_param(reserve_grants, uint, 0644);
MODULE_PARM_DESC(reserve_grants,
		 "Grants never taken, for disks and network (default 0: a quarter of the guest's)");

static unsigned int reserve_ports = 512;
module_param(reserve_ports, uint, 0644);
MODULE_PARM_DESC(reserve_ports,
		 "Event channel ports never taken, of the guest's 1023 (default 512)");

/* Ports of a guest whose configuration does not say otherwise (event_channels= of xl.cfg). */
#define VGPUFRONT_PORTS 1023u

struct vgpufront_uid {
	struct list_head node;
	kuid_t kuid;
	unsigned int refs;
	unsigned int channels;
	unsigned long pages;
};

/* Guards the list, all counters, channel->pages and info->pages. */
static DEFINE_SPINLOCK(caps_lock);
static LIST_HEAD(caps_uids);
static unsigned int caps_channels;
static unsigned long caps_pages;

/* The user's counters, made if needed; NULL: no memory. */
struct vgpufront_uid *vgpufront_uid_get(kuid_t kuid)
{
	struct vgpufront_uid *fresh = kzalloc(sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	struct vgpufront_uid *uid;

	spin_lock(&caps_lock);
	list_for_each_entry(uid, &caps_uids, node)
	{
		if (uid_eq(uid->kuid, kuid))
			goto found;
	}
	uid = fresh;
	fresh = NULL;
	if (!uid)
		goto out;
	uid->kuid = kuid;
	list_add(&uid->node, &caps_uids);
found:
	uid->refs++;
out:
	spin_unlock(&caps_lock);
	kfree(fresh);
	return uid;
}

static void uid_put_locked(struct vgpufront_uid *uid)
{
	lockdep_assert_held(&caps_lock);
	if (--uid->refs)
		return;
	WARN_ON(uid->channels || uid->pages);
	list_del(&uid->node);
	kfree(uid);
}

void vgpufront_uid_put(struct vgpufront_uid *uid)
{
	spin_lock(&caps_lock);
	uid_put_locked(uid);
	spin_unlock(&caps_lock);
}

static unsigned int caps_uid_number(const struct vgpufront_uid *uid)
{
	return from_kuid_munged(&init_user_ns, uid->kuid);
}

/* Counts a channel and its port. -ENOSPC after a line that says which limit was met. */
int vgpufront_caps_take_channel(struct vgpufront_channel *ch)
{
	struct vgpufront_uid *uid = ch->uid;
	unsigned int total = READ_ONCE(max_channels);
	unsigned int per_uid = READ_ONCE(max_channels_per_uid);
	unsigned int reserve = READ_ONCE(reserve_ports);
	unsigned int ports = reserve < VGPUFRONT_PORTS ? VGPUFRONT_PORTS - reserve : 0;
	const char *what = NULL;
	unsigned int limit = 0;

	spin_lock(&caps_lock);
	if (uid->channels >= per_uid) {
		what = "max_channels_per_uid";
		limit = per_uid;
	} else if (caps_channels >= total) {
		what = "max_channels";
		limit = total;
	} else if (caps_channels >= ports) {
		what = "1023 ports less reserve_ports";
		limit = ports;
	} else {
		uid->channels++;
		caps_channels++;
		ch->counted = true;
	}
	spin_unlock(&caps_lock);
	if (!what)
		return 0;
	pr_warn_ratelimited("%s: uid %u, pid %d: one channel more than %s allows (%u)\n",
			    ch->info->name, caps_uid_number(uid), ch->tgid, what, limit);
	return -ENOSPC;
}

void vgpufront_caps_give_channel(struct vgpufront_channel *ch)
{
	spin_lock(&caps_lock);
	if (ch->counted) {
		ch->counted = false;
		ch->uid->channels--;
		caps_channels--;
	}
	spin_unlock(&caps_lock);
}

static unsigned long caps_max_pages(void)
{
	/* Linux uses version 1 entries unless guest addresses need more than 32 bits of frame. */
	unsigned long all =
		gnttab_max_grant_frames() * (XEN_PAGE_SIZE / sizeof(struct grant_entry_v1));
	unsigned long reserve = READ_ONCE(reserve_grants);
	unsigned long limit = READ_ONCE(max_pages);

	if (!reserve)
		reserve = all / 4;
	all = reserve < all ? all - reserve : 0;
	return limit && limit < all ? limit : all;
}

/* Counts n pages for the channel; on success vgpufront_caps_give_pages() and, for each grant that
 * ended, vgpufront_caps_give_grants() undo it. -ENOSPC after a line that names the limit. */
int vgpufront_caps_take_pages(struct vgpufront_channel *ch, u32 n)
{
	struct vgpufront_uid *uid = ch->uid;
	unsigned long limit = READ_ONCE(max_pages_per_open);
	const char *what = NULL;
	unsigned long has;

	spin_lock(&caps_lock);
	has = ch->pages;
	if (has + n > limit) {
		what = "max_pages_per_open";
		goto out;
	}
	has = uid->pages;
	limit = READ_ONCE(max_pages_per_uid);
	if (has + n > limit) {
		what = "max_pages_per_uid";
		goto out;
	}
	has = ch->info->pages;
	limit = ch->info->max_pages;
	if (has + n > limit) {
		what = "the backend's max-pages";
		goto out;
	}
	has = caps_pages;
	limit = caps_max_pages();
	if (has + n > limit) {
		what = "max_pages, or the guest's grants less reserve_grants,";
		goto out;
	}
	ch->pages += n;
	ch->info->pages += n;
	uid->pages += n;
	uid->refs++; /* the grants may outlive the channel */
	caps_pages += n;
out:
	spin_unlock(&caps_lock);
	if (!what)
		return 0;
	pr_warn_ratelimited("%s: uid %u, pid %d: %u pages more than %lu; %s allows %lu\n",
			    ch->info->name, caps_uid_number(uid), ch->tgid, n, has, what, limit);
	return -ENOSPC;
}

void vgpufront_caps_give_pages(struct vgpufront_channel *ch, u32 n)
{
	spin_lock(&caps_lock);
	ch->pages -= n;
	ch->info->pages -= n;
	spin_unlock(&caps_lock);
}

/* n grants of an area have ended. The caller keeps the user alive until all have: uid_put after. */
void vgpufront_caps_give_grants(struct vgpufront_uid *uid, u32 n)
{
	spin_lock(&caps_lock);
	uid->pages -= n;
	caps_pages -= n;
	spin_unlock(&caps_lock);
}
