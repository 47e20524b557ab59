/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * compat.h - what differs between the kernels we build for. Every difference is found by a probe
 * of the headers in Kbuild (VGPUFRONT_HAVE_*), not by a version number: stable series backport.
 */
#ifndef VGPUFRONT_COMPAT_H
#define VGPUFRONT_COMPAT_H

#include <linux/freezer.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>
#include <xen/xenbus.h>

/* vma->vm_flags became read-only in 6.3. The caller holds mmap_lock for writing (->mmap()). */
static inline void vgpufront_vma_flags(struct vm_area_struct *vma, vm_flags_t set, vm_flags_t clear)
{
#ifdef VGPUFRONT_HAVE_VM_FLAGS_SET
	vm_flags_mod(vma, set, clear);
#else
	vma->vm_flags = (vma->vm_flags | set) & ~clear;
#endif
}

/* xenbus_driver.remove returned int until 6.1; stable 6.1.y got the change later. */
#ifdef VGPUFRONT_HAVE_VOID_REMOVE
#define VGPUFRONT_REMOVE_TYPE	void
#define VGPUFRONT_REMOVE_RETURN return
#else
#define VGPUFRONT_REMOVE_TYPE	int
#define VGPUFRONT_REMOVE_RETURN return 0
#endif

/* 2026: the reader of a driver's state wants to know on whose behalf it reads. */
static inline enum xenbus_state vgpufront_peer_state(struct xenbus_device *dev)
{
#ifdef VGPUFRONT_HAVE_STATE_DEV
	return xenbus_read_driver_state(dev, dev->otherend);
#else
	return xenbus_read_driver_state(dev->otherend);
#endif
}

/*
 * Waits until `condition`, for at most `timeout` jiffies; a fatal signal ends it, other signals do
 * not, and a task that waits here does not hold up the freezer. There is no public name for this
 * combination. Value: jiffies left (>= 1), 0 after the time, -ERESTARTSYS after a fatal signal.
 */
#define vgpufront_wait_killable(wq_head, condition, timeout)                                       \
	({                                                                                         \
		long __ret = (timeout);                                                            \
		might_sleep();                                                                     \
		if (!___wait_cond_timeout(condition))                                              \
			__ret = ___wait_event(wq_head, ___wait_cond_timeout(condition),            \
					      (TASK_KILLABLE | TASK_FREEZABLE), 0, (timeout),      \
					      __ret = schedule_timeout(__ret));                    \
		__ret;                                                                             \
	})

#endif
