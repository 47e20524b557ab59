// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_main.c - the device's way through the xenbus states.
 *
 * Initialising -(backend InitWait)-> Initialised -(backend Connected)-> Connected. A backend that
 * closes takes its channels with it: their processes get errors, the device goes to Closed, and
 * back to Initialising as soon as the backend may come again. Without a backend nothing waits but
 * the one log line of vgpufront_absent().
 */
#include "vgpufront.h"
#include "compat.h"
#include "vgpu_keys.h"
#include "vgpufront_fault.h"

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/slab.h>

#include <xen/platform_pci.h>
#include <xen/xen.h>

#define REGISTER_DELAY	 (5 * HZ)
#define ABSENT_DELAY	 (10 * HZ)
#define CLOSE_DELAY_MS	 5000u
#define CLOSE_POLL_MS	 10u
#define MAX_ATTEMPTS	 5u
#define MAX_TRANSACTIONS 100u

struct workqueue_struct *vgpufront_wq;

static void info_release(struct kref *ref)
{
	struct vgpufront_info *info = container_of(ref, struct vgpufront_info, ref);

	mutex_destroy(&info->lock);
	mutex_destroy(&info->state_lock);
	kfree(info);
}

void vgpufront_info_put(struct vgpufront_info *info)
{
	kref_put(&info->ref, info_release);
}

/* --- connecting ---------------------------------------------------------------------------- */

/* True if `list`, comma separated, has the number `version` as one of its items. */
static bool version_offered(const char *list, unsigned int version)
{
	unsigned int v;
	char item[12];
	size_t len;

	for (;;) {
		len = strcspn(list, ",");
		if (len && len < sizeof(item)) {
			memcpy(item, list, len);
			item[len] = 0;
			if (!kstrtouint(strim(item), 10, &v) && v == version)
				return true;
		}
		if (!list[len])
			return false;
		list += len + 1;
	}
}

static int check_versions(struct xenbus_device *dev)
{
	char *list = xenbus_read(XBT_NIL, dev->otherend, VGPU_XS_VERSIONS, NULL);
	int err = 0;

	if (XENBUS_IS_ERR_READ(list)) {
		err = PTR_ERR(list);
		xenbus_dev_fatal(dev, err, "reading %s/%s", dev->otherend, VGPU_XS_VERSIONS);
		return err;
	}
	if (!version_offered(list, VGPU_PROTOCOL_VERSION)) {
		err = -EPROTO;
		xenbus_dev_fatal(dev, err, "the backend speaks versions \"%.64s\", this driver %u",
				 list, VGPU_PROTOCOL_VERSION);
	}
	kfree(list);
	return err;
}

/* Writes what the backend needs, all of it or nothing. */
static int publish(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;
	struct xenbus_transaction xbt;
	unsigned int tries = 0;
	int err;

	do {
		err = xenbus_transaction_start(&xbt);
		if (err)
			break;
		err = xenbus_printf(xbt, dev->nodename, VGPU_XS_VERSION, "%u",
				    VGPU_PROTOCOL_VERSION);
		if (!err)
			err = xenbus_printf(xbt, dev->nodename, VGPU_XS_RING_REF, "%u",
					    info->ctl.ref);
		if (!err)
			err = xenbus_printf(xbt, dev->nodename, VGPU_XS_EVENT_CHANNEL, "%u",
					    info->ctl.port);
		if (err) {
			xenbus_transaction_end(xbt, 1);
			break;
		}
		err = xenbus_transaction_end(xbt, 0);
	} while (err == -EAGAIN && ++tries < MAX_TRANSACTIONS);
	if (err)
		xenbus_dev_fatal(dev, err, "writing the connection's keys to %s", dev->nodename);
	return err;
}

/* The backend is in InitWait, we are in Initialising. */
static void connect_begin(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;
	unsigned int channels, pages;

	if (info->attempts >= MAX_ATTEMPTS) {
		if (info->attempts++ == MAX_ATTEMPTS)
			pr_err("%s: gave up after %u attempts to connect; reload the module to try "
			       "again\n",
			       info->name, MAX_ATTEMPTS);
		return;
	}
	info->attempts++;
	if (check_versions(dev))
		return;
	channels = xenbus_read_unsigned(dev->otherend, VGPU_XS_MAX_CHANNELS, 1);
	pages = xenbus_read_unsigned(dev->otherend, VGPU_XS_MAX_PAGES,
				     VGPU_CH_PAGES(VGPU_RING_ORDER_MAX));
	mutex_lock(&info->lock);
	info->otherend = dev->otherend_id;
	info->max_channels = clamp(channels, 1u, (unsigned int)VGPU_MAX_CHANNELS);
	info->max_pages = pages;
	mutex_unlock(&info->lock);
	if (vgpufront_ctl_create(info))
		return;
	vgpufront_fault("publish");
	if (publish(info)) {
		vgpufront_ctl_fail(info);
		vgpufront_ctl_destroy(info);
		return;
	}
	vgpufront_fault("published");
	xenbus_switch_state(dev, XenbusStateInitialised);
}

/* The backend is in Connected, we are in Initialised. */
static void connect_end(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;
	int err;

	mutex_lock(&info->lock);
	info->up = true;
	mutex_unlock(&info->lock);
	vgpufront_fault("connect");
	err = vgpufront_dev_create(info);
	if (err) {
		xenbus_dev_fatal(dev, err, "creating /dev/%s", info->name);
		return;
	}
	info->attempts = 0;
	if (info->parked) {
		info->parked = false;
		vgpufront_unpark(info);
	}
	xenbus_switch_state(dev, XenbusStateConnected);
	vgpufront_fault("connected");
	pr_info("%s: connected to domain %u, version %u, max-channels %u, max-pages %u\n",
		info->name, info->otherend, VGPU_PROTOCOL_VERSION, info->max_channels,
		info->max_pages);
}

/* --- losing the backend -------------------------------------------------------------------- */

/* No new channels from here on; those that exist end with errors. Returns how many there were. */
static unsigned int fail_channels(struct vgpufront_info *info)
{
	struct vgpufront_channel *ch;
	unsigned int n = 0;
	u32 id;

	mutex_lock(&info->lock);
	info->up = false;
	mutex_unlock(&info->lock);
	/* First the requests, so that no waiting thread is kept by a channel's lock. */
	vgpufront_ctl_fail(info);
	for (id = 1; id <= VGPU_MAX_CHANNELS; id++) {
		mutex_lock(&info->lock);
		ch = info->chan[id];
		info->chan[id] = NULL;
		mutex_unlock(&info->lock);
		if (!ch)
			continue;
		vgpufront_channel_fail(ch);
		vgpufront_channel_put(ch);
		n++;
	}
	return n;
}

/*
 * Drops everything that belongs to the present connection. Open files and mappings stay, and
 * report errors. Idempotent; called with state_lock held.
 */
static void disconnect(struct vgpufront_info *info, const char *why)
{
	bool was_up = info->up;
	unsigned int n = fail_channels(info);

	if (n)
		pr_warn("%s: %s; %u CUDA %s ended\n", info->name, why, n,
			n == 1 ? "process's channel has" : "processes' channels have");
	else if (was_up)
		pr_info("%s: %s\n", info->name, why);
	/* All finish() of this connection, before there can be another. */
	flush_workqueue(vgpufront_wq);
	vgpufront_ctl_destroy(info);
}

/* We and the backend are Closed: offer ourselves again if it may come back. */
static void offer_again(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;

	if (xenbus_read_unsigned(dev->otherend, VGPU_XS_ONLINE, 0) != 1)
		return;
	/* Neither side may keep the other busy for ever with a connection that cannot work. */
	if (info->attempts >= MAX_ATTEMPTS) {
		if (info->attempts++ == MAX_ATTEMPTS)
			pr_err("%s: gave up after %u attempts to connect; reload the module to try "
			       "again\n",
			       info->name, MAX_ATTEMPTS);
		return;
	}
	xenbus_switch_state(dev, XenbusStateInitialising);
}

static void vgpufront_otherend_changed(struct xenbus_device *dev, enum xenbus_state backend_state)
{
	struct vgpufront_info *info = dev_get_drvdata(&dev->dev);

	mutex_lock(&info->state_lock);
	switch (backend_state) {
	case XenbusStateInitialising:
	case XenbusStateInitialised:
	case XenbusStateReconfiguring:
	case XenbusStateReconfigured:
		break;

	case XenbusStateInitWait:
		/* A backend that starts over without having closed: the old connection is lost. */
		if (dev->state == XenbusStateConnected) {
			disconnect(info, "the backend has started over");
			vgpufront_dev_destroy(info);
			xenbus_switch_state(dev, XenbusStateInitialising);
		}
		if (dev->state == XenbusStateClosed)
			xenbus_switch_state(dev, XenbusStateInitialising);
		if (dev->state == XenbusStateInitialising)
			connect_begin(info);
		break;

	case XenbusStateConnected:
		if (dev->state == XenbusStateInitialised)
			connect_end(info);
		else if (dev->state == XenbusStateConnected)
			vgpufront_ctl_kick(info); /* a restarted backend says so */
		break;

	case XenbusStateUnknown: /* its directory is gone, and so is the backend */
		if (dev->state != XenbusStateInitialised && dev->state != XenbusStateConnected)
			break;
		fallthrough;
	case XenbusStateClosed:
		/* We have offered ourselves, and it has not seen that yet. */
		if (dev->state == XenbusStateInitialising)
			break;
		fallthrough;
	case XenbusStateClosing:
		if (dev->state != XenbusStateClosed) {
			vgpufront_fault("lost");
			disconnect(info, "the backend has closed the device");
			vgpufront_dev_destroy(info);
			xenbus_frontend_closed(dev);
		}
		if (backend_state == XenbusStateClosed)
			offer_again(info);
		break;
	}
	mutex_unlock(&info->state_lock);
}

/* --- probe and remove ---------------------------------------------------------------------- */

/* Says once what is missing when a device does not come up. */
static void vgpufront_absent(struct work_struct *work)
{
	struct vgpufront_info *info = container_of(work, struct vgpufront_info, absent.work);
	struct xenbus_device *dev = info->xbdev;

	if (READ_ONCE(dev->state) == XenbusStateConnected)
		return;
	pr_warn("%s: no backend after %u s: %s is in state %s; is gvm-backd running in domain %d? "
		"Waiting for it\n",
		info->name, ABSENT_DELAY / HZ, dev->otherend,
		xenbus_strstate(vgpufront_peer_state(dev)), dev->otherend_id);
}

static void vgpufront_resume_check(struct work_struct *work);

static int vgpufront_probe(struct xenbus_device *dev, const struct xenbus_device_id *id)
{
	const char *number = strrchr(dev->nodename, '/');
	struct vgpufront_info *info;
	unsigned int n;

	if (!number || kstrtouint(number + 1, 10, &n)) {
		xenbus_dev_fatal(dev, -EINVAL, "%s does not end in a device number", dev->nodename);
		return -EINVAL;
	}
	info = kzalloc(sizeof(*info), GFP_KERNEL);
	if (!info) {
		xenbus_dev_fatal(dev, -ENOMEM, "allocating the device");
		return -ENOMEM;
	}
	kref_init(&info->ref);
	info->xbdev = dev;
	snprintf(info->name, sizeof(info->name), "vgpu%u", n);
	mutex_init(&info->state_lock);
	mutex_init(&info->lock);
	init_completion(&info->checkpoint_done);
	INIT_DELAYED_WORK(&info->absent, vgpufront_absent);
	INIT_WORK(&info->resume_check, vgpufront_resume_check);
	vgpufront_ctl_init(info);
	dev_set_drvdata(&dev->dev, info);
	vgpufront_guard_start(info);
	vgpufront_fault("probe");
	/* After an earlier driver the node says Closed; the backend waits for 1 to start again. */
	xenbus_switch_state(dev, XenbusStateInitialising);
	schedule_delayed_work(&info->absent, ABSENT_DELAY);
	return 0;
}

/*
 * Asks the backend to close and gives it a little time, so that it unmaps before we take the
 * memory back. The bus no longer watches it for us; the directories may be gone.
 */
static void close_backend(struct vgpufront_info *info)
{
	struct xenbus_device *dev = info->xbdev;
	enum xenbus_state state;
	unsigned int ms;

	xenbus_switch_state(dev, XenbusStateClosing);
	vgpufront_fault("remove");
	for (ms = 0; ms < CLOSE_DELAY_MS; ms += CLOSE_POLL_MS) {
		state = vgpufront_peer_state(dev);
		if (state != XenbusStateConnected && state != XenbusStateInitialised)
			return;
		msleep(CLOSE_POLL_MS);
	}
	pr_warn("%s: the backend has not closed within %u s\n", info->name, CLOSE_DELAY_MS / 1000);
}

static VGPUFRONT_REMOVE_TYPE vgpufront_remove(struct xenbus_device *dev)
{
	struct vgpufront_info *info = dev_get_drvdata(&dev->dev);

	vgpufront_guard_stop(info);
	cancel_delayed_work_sync(&info->absent);
	cancel_work_sync(&info->resume_check);
	mutex_lock(&info->state_lock);
	if (dev->state == XenbusStateInitialised || dev->state == XenbusStateConnected)
		close_backend(info);
	disconnect(info, "the device has been removed");
	vgpufront_fault("removed");
	vgpufront_dev_destroy(info);
	xenbus_frontend_closed(dev);
	mutex_unlock(&info->state_lock);
	dev_set_drvdata(&dev->dev, NULL);
	vgpufront_info_put(info);
	VGPUFRONT_REMOVE_RETURN;
}

/* --- suspend and resume -------------------------------------------------------------------- */

/* vgpufront_suspend.c has asked the backend; here nothing can stop a suspend any more. */
static int vgpufront_suspend(struct xenbus_device *dev)
{
	struct vgpufront_info *info = dev_get_drvdata(&dev->dev);

	cancel_delayed_work_sync(&info->absent); /* its view of the backend ends here */
	if (!info->parked) {
		mutex_lock(&info->state_lock);
		info->resumed = false;
		mutex_unlock(&info->state_lock);
		queue_work(system_freezable_wq, &info->resume_check); /* frozen until it is over */
	}
	return 0;
}

/*
 * After a restore or a migration. Grants and ports of before are void; the node /dev/vgpuN stays
 * and answers ENODEV until the backend of this host is there. A cancelled suspend does not come
 * here.
 */
static int vgpufront_resume(struct xenbus_device *dev)
{
	struct vgpufront_info *info = dev_get_drvdata(&dev->dev);

	mutex_lock(&info->state_lock);
	info->resumed = true;
	if (info->parked)
		vgpufront_park(info);
	else
		disconnect(info, "the domain has been restored, its GPU state has not");
	info->attempts = 0;
	mutex_unlock(&info->state_lock);
	return 0;
}

static void lost(struct vgpufront_info *info, const char *why)
{
	info->parked = false;
	disconnect(info, why);
	vgpufront_dev_destroy(info);
	xenbus_frontend_closed(info->xbdev);
}

/* The device did not come with a restored domain: its processes must not wait for ever. */
void vgpufront_lost(struct vgpufront_info *info, const char *why)
{
	mutex_lock(&info->state_lock);
	if (info->parked)
		lost(info, why);
	mutex_unlock(&info->state_lock);
}

/*
 * The bus resumes no device whose directories the toolstack has not made for the restored domain,
 * but its processes must not wait for ever. Runs when the freezer has let go again.
 */
static void vgpufront_resume_check(struct work_struct *work)
{
	struct vgpufront_info *info = container_of(work, struct vgpufront_info, resume_check);
	struct xenbus_device *dev = info->xbdev;
	int state;

	mutex_lock(&info->state_lock);
	/* A cancelled suspend has left our node as we wrote it. */
	if (!info->resumed && info->up &&
	    (xenbus_scanf(XBT_NIL, dev->nodename, VGPU_XS_STATE, "%d", &state) != 1 ||
	     state != XenbusStateConnected))
		lost(info, "the domain has been restored without this device; reload the module "
			   "when it is attached");
	mutex_unlock(&info->state_lock);
}

/* --- module -------------------------------------------------------------------------------- */

static const struct xenbus_device_id vgpufront_ids[] = {{"vgpu"}, {""}};

static struct xenbus_driver vgpufront_driver = {
	.name = "vgpu",
	.ids = vgpufront_ids,
	.not_essential = true,
	.probe = vgpufront_probe,
	.remove = vgpufront_remove,
	.otherend_changed = vgpufront_otherend_changed,
	.suspend = vgpufront_suspend,
	.resume = vgpufront_resume,
};

/*
 * Registering waits up to 30 s for devices to connect, and loading the module must not hold up a
 * guest that boots before its backend. So a work item registers, and loading waits for it only as
 * long as a present backend may need.
 */
static void vgpufront_register(struct work_struct *work);
static DECLARE_WORK(register_work, vgpufront_register);
static DECLARE_COMPLETION(register_done);
static int register_err;

static void vgpufront_register(struct work_struct *work)
{
	/*
	 * Without an owner, so that a bound device does not count as a user of the module: rmmod
	 * then takes the driver off its devices. Open files and mappings do pin it (fops.owner).
	 */
	register_err = __xenbus_register_frontend(&vgpufront_driver, NULL, KBUILD_MODNAME);
	if (register_err)
		pr_err("registering the driver: error %d\n", register_err);
	complete(&register_done);
}

static int __init vgpufront_init(void)
{
	if (!xen_domain())
		return -ENODEV;
	if (xen_hvm_domain() && !xen_has_pv_devices())
		return -ENODEV;
	vgpufront_wq = alloc_workqueue("xen-vgpufront", WQ_UNBOUND, 0);
	if (!vgpufront_wq)
		return -ENOMEM;
	queue_work(system_unbound_wq, &register_work);
	if (!wait_for_completion_timeout(&register_done, REGISTER_DELAY) || !register_err)
		return 0;
	destroy_workqueue(vgpufront_wq);
	return register_err;
}

static void __exit vgpufront_exit(void)
{
	flush_work(&register_work);
	if (!register_err)
		xenbus_unregister_driver(&vgpufront_driver);
	/* Every channel is gone with its device, since no file is open. */
	vgpufront_area_exit();
	destroy_workqueue(vgpufront_wq);
}

module_init(vgpufront_init);
module_exit(vgpufront_exit);

MODULE_DESCRIPTION("Xen virtual GPU frontend: CUDA through a backend domain");
MODULE_AUTHOR("The GVM authors");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_ALIAS("xen:vgpu");
