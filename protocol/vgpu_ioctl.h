/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * vgpu_ioctl.h - /dev/vgpuN: what a guest process asks of xen-vgpufront.
 *
 * One open file is at most one channel. The file's mmap offsets: 0 is the channel
 * (VGPU_CH_PAGES(order) pages), VGPU_MMAP_CHUNK(id) is pool chunk `id`. Mappings are shared,
 * whole, and made once; they cannot be split, moved or inherited.
 */
#ifndef VGPU_IOCTL_H
#define VGPU_IOCTL_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VGPU_MMAP_CHUNK(id) (((__u64)(id) + 1) << 32)

/* Creates the channel. EBUSY: this file has one; ENOSPC: a cap (per open, per uid, total) is
 * reached; ENODEV: the device is gone; ETIMEDOUT: the backend did not answer in 30 s. */
struct vgpu_ioc_connect {
    __u32 version;    /* in: VGPU_PROTOCOL_VERSION */
    __u32 ring_order; /* in */
    __u32 window_try; /* in: see struct vgpu_ctl_req */
    __u32 channel;    /* out */
    __u64 pool_base;  /* out: windows offered by the worker */
    __u64 pool_size;
    __u64 dev_base;
    __u64 dev_size;
};

struct vgpu_ioc_pool {
    __u32 npages; /* in (ADD): 1..VGPU_MAX_CHUNK_PAGES */
    __u32 chunk;  /* out (ADD), in (DROP) */
    __u64 addr;   /* out: where the worker has it */
};

/* Waits until the channel's event count differs from `seen`. ETIMEDOUT after timeout_ms (0: only
 * look); EPIPE: the backend or the device is gone; EINTR. The wait is freezable and killable. */
struct vgpu_ioc_wait {
    __u32 seen; /* in: count seen last; out: count now */
    __u32 timeout_ms;
};

#define VGPU_IOC_CONNECT   _IOWR('V', 0x01, struct vgpu_ioc_connect)
#define VGPU_IOC_POOL_ADD  _IOWR('V', 0x02, struct vgpu_ioc_pool)
#define VGPU_IOC_POOL_DROP _IOW('V', 0x03, struct vgpu_ioc_pool)
#define VGPU_IOC_NOTIFY    _IO('V', 0x04)
#define VGPU_IOC_WAIT      _IOWR('V', 0x05, struct vgpu_ioc_wait)

#endif
