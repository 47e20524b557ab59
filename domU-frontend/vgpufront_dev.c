// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_dev.c - /dev/vgpuN (vgpu_ioctl.h).
 *
 * An open file has at most one channel in its life; file->channel is set once, after the channel
 * is complete, and stays until the file is released. Open files and mappings pin the module.
 */
#include "vgpufront.h"
#include "compat.h"

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

struct vgpufront_file {
	struct vgpufront_info *info;
	kuid_t kuid;			   /* of the opener */
	unsigned long busy;		   /* bit 0: CONNECT under way or done */
	struct vgpufront_channel *channel; /* store-released */
};

static struct vgpufront_channel *file_channel(struct file *filp)
{
	struct vgpufront_file *file = filp->private_data;

	return smp_load_acquire(&file->channel);
}

/* Called under misc_mtx, as is misc_deregister(): info is there. */
static int vgpufront_open(struct inode *inode, struct file *filp)
{
	struct vgpufront_info *info = container_of(filp->private_data, struct vgpufront_info, misc);
	struct vgpufront_file *file;

	if (!READ_ONCE(info->up))
		return -ENODEV;
	file = kzalloc(sizeof(*file), GFP_KERNEL_ACCOUNT);
	if (!file)
		return -ENOMEM;
	kref_get(&info->ref);
	file->info = info;
	file->kuid = filp->f_cred->euid;
	filp->private_data = file;
	return nonseekable_open(inode, filp);
}

static int vgpufront_release(struct inode *inode, struct file *filp)
{
	struct vgpufront_file *file = filp->private_data;

	if (file->channel) {
		vgpufront_channel_close(file->channel);
		vgpufront_channel_put(file->channel);
	}
	vgpufront_info_put(file->info);
	kfree(file);
	return 0;
}

/*
 * The process that made the channel is exiting. A child may have inherited the file and live on,
 * but it has no use for the channel, and the worker should not have to wait for it.
 */
static int vgpufront_flush(struct file *filp, fl_owner_t id)
{
	struct vgpufront_channel *ch = file_channel(filp);

	if (ch && (current->flags & PF_EXITING) && ch->tgid == task_tgid_nr(current) &&
	    !atomic_read(&current->signal->live))
		vgpufront_channel_close(ch);
	return 0;
}

/* --- ioctl --------------------------------------------------------------------------------- */

static int ioc_connect(struct vgpufront_file *file, void __user *user)
{
	struct vgpufront_info *info = file->info;
	struct vgpu_ioc_connect arg;
	struct vgpufront_channel *ch;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	if (arg.version != VGPU_PROTOCOL_VERSION) {
		pr_notice_ratelimited(
			"%s: pid %d: protocol version %u refused; %u is spoken here\n", info->name,
			task_tgid_nr(current), arg.version, VGPU_PROTOCOL_VERSION);
		return -EINVAL;
	}
	if (arg.ring_order < VGPU_RING_ORDER_MIN || arg.ring_order > VGPU_RING_ORDER_MAX) {
		pr_notice_ratelimited("%s: pid %d: ring order %u refused; %u..%u are allowed\n",
				      info->name, task_tgid_nr(current), arg.ring_order,
				      VGPU_RING_ORDER_MIN, VGPU_RING_ORDER_MAX);
		return -EINVAL;
	}
	if (test_and_set_bit_lock(0, &file->busy))
		return -EBUSY;
	ch = vgpufront_channel_create(info, file->kuid, &arg);
	if (IS_ERR(ch)) {
		clear_bit_unlock(0, &file->busy);
		return PTR_ERR(ch);
	}
	arg.channel = ch->id;
	arg.pool_base = ch->pool_base;
	arg.pool_size = ch->pool_size;
	arg.dev_base = ch->dev_base;
	arg.dev_size = ch->dev_size;
	/* From here on the file owns our reference, whether or not the result can be delivered. */
	smp_store_release(&file->channel, ch);
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int ioc_pool_add(struct vgpufront_channel *ch, void __user *user)
{
	struct vgpu_ioc_pool arg;
	int err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	err = vgpufront_pool_add(ch, &arg);
	if (err)
		return err;
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static int ioc_pool_drop(struct vgpufront_channel *ch, const void __user *user)
{
	struct vgpu_ioc_pool arg;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	return vgpufront_pool_drop(ch, arg.chunk);
}

static int ioc_wait(struct vgpufront_channel *ch, void __user *user)
{
	struct vgpu_ioc_wait arg;
	int err;

	if (copy_from_user(&arg, user, sizeof(arg)))
		return -EFAULT;
	err = vgpufront_channel_wait(ch, &arg.seen, arg.timeout_ms);
	if (err)
		return err;
	return copy_to_user(user, &arg, sizeof(arg)) ? -EFAULT : 0;
}

static long vgpufront_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct vgpufront_channel *ch = file_channel(filp);
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case VGPU_IOC_CONNECT:
		return ioc_connect(filp->private_data, user);
	case VGPU_IOC_POOL_ADD:
		return ch ? ioc_pool_add(ch, user) : -ENOTCONN;
	case VGPU_IOC_POOL_DROP:
		return ch ? ioc_pool_drop(ch, user) : -ENOTCONN;
	case VGPU_IOC_NOTIFY:
		return ch ? vgpufront_channel_notify(ch) : -ENOTCONN;
	case VGPU_IOC_WAIT:
		return ch ? ioc_wait(ch, user) : -ENOTCONN;
	}
	return -ENOTTY;
}

/* --- mmap ---------------------------------------------------------------------------------- */

static int refuse_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int refuse_move(struct vm_area_struct *vma)
{
	return -EINVAL;
}

/* No fault(): all pages are there from the start, and what madvise() took away stays away. */
static const struct vm_operations_struct vgpufront_vm_ops = {
	.may_split = refuse_split,
	.mremap = refuse_move,
};

/* Called with mmap_lock held for writing. */
static int map_area(struct vm_area_struct *vma, struct vgpufront_area *area)
{
	unsigned long n = vma_pages(vma);
	int err;

	if (n != area->npages)
		return -EINVAL;
	if (area->mapped)
		return -EBUSY;
	vgpufront_vma_flags(vma, VM_DONTCOPY | VM_DONTEXPAND, VM_MAYEXEC);
	vma->vm_ops = &vgpufront_vm_ops;
	/* Ordinary reference-counted pages: O_DIRECT and the like work on them. */
	err = vm_insert_pages(vma, vma->vm_start, area->pages, &n);
	if (err)
		return err;
	area->mapped = true;
	return 0;
}

static int vgpufront_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct vgpufront_channel *ch = file_channel(filp);
	const unsigned int chunk_shift = 32 - PAGE_SHIFT; /* of VGPU_MMAP_CHUNK(), in pages */
	unsigned long off = vma->vm_pgoff;
	struct vgpufront_area *area = NULL;
	unsigned long npages;
	int err = -EINVAL;

	if (!ch)
		return -ENOTCONN;
	if (!(vma->vm_flags & VM_SHARED) || (vma->vm_flags & VM_EXEC)) {
		pr_notice_ratelimited(
			"%s: pid %d: mapping refused; it must be MAP_SHARED and not PROT_EXEC\n",
			ch->info->name, ch->tgid);
		return -EINVAL;
	}
	mutex_lock(&ch->lock);
	if (ch->state != VGPUFRONT_CH_LIVE && ch->state != VGPUFRONT_CH_PARKED) {
		err = -ENODEV;
		goto out;
	}
	if (!off)
		area = ch->area;
	else if (!(off & ((1UL << chunk_shift) - 1)) && (off >> chunk_shift) <= VGPU_MAX_CHUNKS)
		area = vgpufront_pool_area(ch, (off >> chunk_shift) - 1);
	if (area) {
		npages = area->npages;
		err = map_area(vma, area);
	}
out:
	mutex_unlock(&ch->lock);
	if (err == -EINVAL && area)
		pr_notice_ratelimited("%s: pid %d: mapping of %lu pages refused; this area has %lu "
				      "and is mapped whole\n",
				      ch->info->name, ch->tgid, vma_pages(vma), npages);
	else if (err == -EINVAL)
		pr_notice_ratelimited(
			"%s: pid %d: mapping at offset %#llx refused; there is nothing\n",
			ch->info->name, ch->tgid, (u64)off << PAGE_SHIFT);
	return err;
}

static const struct file_operations vgpufront_fops = {
	.owner = THIS_MODULE,
	.open = vgpufront_open,
	.flush = vgpufront_flush,
	.release = vgpufront_release,
	.unlocked_ioctl = vgpufront_ioctl,
	.compat_ioctl = compat_ptr_ioctl, /* the structures are the same in 32 bits */
	.mmap = vgpufront_mmap,
	.llseek = noop_llseek,
};

/* --- the node ------------------------------------------------------------------------------ */

int vgpufront_dev_create(struct vgpufront_info *info)
{
	int err;

	if (info->registered)
		return 0;
	info->misc = (struct miscdevice){
		.minor = MISC_DYNAMIC_MINOR,
		.name = info->name,
		.fops = &vgpufront_fops,
		.parent = &info->xbdev->dev,
		.mode = 0660, /* udev gives it to the group gvm */
	};
	err = misc_register(&info->misc);
	if (!err)
		info->registered = true;
	return err;
}

void vgpufront_dev_destroy(struct vgpufront_info *info)
{
	if (info->registered)
		misc_deregister(&info->misc);
	info->registered = false;
}
