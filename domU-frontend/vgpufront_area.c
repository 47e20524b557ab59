// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_area.c - pages that the backend may map, and the directories that list them.
 *
 * A page goes back to the kernel only after its grant has ended, since the backend could still
 * write to it. A backend unmaps asynchronously, and one that died may take its time. The grant
 * table's own way to wait for that ends ten grants a second, which is nothing for 64 MiB; so the
 * pages wait here, counted in the caps, and are handed to the grant table only at module unload.
 */
#include "vgpufront.h"

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#define REAP_PERIOD (HZ / 4)

static void reap(struct work_struct *work);

static DEFINE_MUTEX(reap_lock); /* guards reap_list and the areas in it */
static LIST_HEAD(reap_list);
static DECLARE_DELAYED_WORK(reap_work, reap);

static void area_free(struct vgpufront_area *area)
{
	vgpufront_uid_put(area->uid);
	kvfree(area->refs);
	kvfree(area->pages);
	kfree(area);
}

/*
 * Ends what grants it can, or hands all of them over (last). True: none is left. The pages may
 * still be mapped into the process, which holds references of its own.
 */
static bool area_end(struct vgpufront_area *area, bool last)
{
	u32 ended = 0, left = 0, i;

	for (i = 0; i < area->npages; i++) {
		if (!area->pages[i])
			continue;
		if (i >= area->granted) {
			__free_page(area->pages[i]);
		} else if (last) {
			gnttab_end_foreign_access(area->refs[i], area->pages[i]);
		} else if (gnttab_try_end_foreign_access(area->refs[i])) {
			put_page(area->pages[i]);
		} else {
			left++;
			continue;
		}
		area->pages[i] = NULL;
		ended++;
		cond_resched();
	}
	vgpufront_caps_give_grants(area->uid, ended);
	return !left;
}

static void reap(struct work_struct *work)
{
	struct vgpufront_area *area, *next;

	mutex_lock(&reap_lock);
	list_for_each_entry_safe(area, next, &reap_list, node)
	{
		if (!area_end(area, false))
			continue;
		list_del(&area->node);
		area_free(area);
	}
	if (!list_empty(&reap_list))
		queue_delayed_work(vgpufront_wq, &reap_work, REAP_PERIOD);
	mutex_unlock(&reap_lock);
}

/* At module unload, when no channel exists: the grant table keeps what is still mapped. */
void vgpufront_area_exit(void)
{
	struct vgpufront_area *area, *next;

	cancel_delayed_work_sync(&reap_work);
	list_for_each_entry_safe(area, next, &reap_list, node)
	{
		area_end(area, true);
		list_del(&area->node);
		area_free(area);
	}
}

static void area_discard(struct vgpufront_area *area)
{
	if (area_end(area, false)) {
		area_free(area);
		return;
	}
	mutex_lock(&reap_lock);
	list_add_tail(&area->node, &reap_list);
	mutex_unlock(&reap_lock);
	queue_delayed_work(vgpufront_wq, &reap_work, REAP_PERIOD);
}

/*
 * npages: > 0, bounded by the caller. The pages are charged to the process's memory cgroup and to
 * the caps. Errors: -ENOSPC (a cap, or the grant table is full), -ENOMEM, -EINTR (killed).
 */
struct vgpufront_area *vgpufront_area_create(struct vgpufront_channel *ch, u32 npages)
{
	/* Fail rather than let the OOM killer pick somebody else. */
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	struct vgpufront_area *area;
	int err, ref;
	u32 i;

	err = vgpufront_caps_take_pages(ch, npages);
	if (err)
		return ERR_PTR(err);
	err = -ENOMEM;
	area = kzalloc(sizeof(*area), GFP_KERNEL_ACCOUNT);
	if (!area)
		goto uncount;
	INIT_LIST_HEAD(&area->node);
	area->uid = ch->uid;
	area->npages = npages;
	area->pages = kvcalloc(npages, sizeof(*area->pages), GFP_KERNEL_ACCOUNT);
	area->refs = kvcalloc(npages, sizeof(*area->refs), GFP_KERNEL_ACCOUNT);
	if (!area->pages || !area->refs)
		goto free;
	for (i = 0; i < npages; i++) {
		err = fatal_signal_pending(current) ? -EINTR : -ENOMEM;
		if (err == -EINTR)
			goto free;
		area->pages[i] = alloc_page(gfp);
		if (!area->pages[i])
			goto free;
		cond_resched();
	}
	for (i = 0; i < npages; i++) {
		ref = gnttab_grant_foreign_access(ch->otherend, xen_page_to_gfn(area->pages[i]), 0);
		if (ref < 0) {
			pr_warn_ratelimited(
				"%s: the guest has no grant left after %u of %u pages\n",
				ch->info->name, i, npages);
			err = -ENOSPC;
			goto free;
		}
		area->refs[i] = ref;
		area->granted = i + 1;
	}
	return area;

free:
	vgpufront_caps_give_pages(ch, npages);
	if (area->pages && area->refs) {
		/* area_end() counts the pages it sees. */
		for (i = 0; i < npages && area->pages[i]; i++)
			;
		vgpufront_caps_give_grants(ch->uid, npages - i);
		area_discard(area);
	} else {
		vgpufront_caps_give_grants(ch->uid, npages);
		area_free(area);
	}
	return ERR_PTR(err);
uncount:
	vgpufront_caps_give_pages(ch, npages);
	vgpufront_caps_give_grants(ch->uid, npages);
	vgpufront_uid_put(ch->uid);
	return ERR_PTR(err);
}

/* The area is gone for the caller; NULL is allowed. */
void vgpufront_area_destroy(struct vgpufront_channel *ch, struct vgpufront_area *area)
{
	if (!area)
		return;
	vgpufront_caps_give_pages(ch, area->npages);
	area_discard(area);
}

/*
 * In a restored domain the grant table is empty, while the references are still ours: grants the same
 * pages under the same numbers to the backend of now.
 */
void vgpufront_area_regrant(struct vgpufront_channel *ch, struct vgpufront_area *area)
{
	u32 i;

	for (i = 0; i < area->granted; i++)
		gnttab_grant_foreign_access_ref(area->refs[i], ch->otherend,
						xen_page_to_gfn(area->pages[i]), 0);
}

/*
 * Lists the area's grants in pages granted read-only, last page first since each names the next.
 * These few grants (one in 1022) live as long as the request and are not in the caps. Errors:
 * -ENOMEM, -ENOSPC; then nothing is left behind.
 */
int vgpufront_dir_create(struct vgpufront_dir *dir, domid_t otherend,
			 const struct vgpufront_area *area)
{
	u32 n = DIV_ROUND_UP(area->npages, VGPU_DIR_REFS);
	grant_ref_t next = 0;
	u32 at = n;
	int ref;

	BUILD_BUG_ON(sizeof(struct vgpu_grant_dir) != XEN_PAGE_SIZE);
	memset(dir, 0, sizeof(*dir));
	while (at--) {
		u32 first = at * VGPU_DIR_REFS;
		u32 count = min_t(u32, area->npages - first, VGPU_DIR_REFS);
		struct page *page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		struct vgpu_grant_dir *d;

		if (!page) {
			vgpufront_dir_destroy(dir);
			return -ENOMEM;
		}
		d = page_address(page);
		d->next = next;
		d->count = count;
		memcpy(d->refs, area->refs + first, count * sizeof(d->refs[0]));
		ref = gnttab_grant_foreign_access(otherend, xen_page_to_gfn(page), 1);
		if (ref < 0) {
			__free_page(page);
			vgpufront_dir_destroy(dir);
			return -ENOSPC;
		}
		dir->pages[dir->npages] = page;
		dir->refs[dir->npages++] = ref;
		next = ref;
	}
	return 0;
}

/* May be called for an empty directory, and twice. */
void vgpufront_dir_destroy(struct vgpufront_dir *dir)
{
	while (dir->npages) {
		dir->npages--;
		gnttab_end_foreign_access(dir->refs[dir->npages], dir->pages[dir->npages]);
	}
}
