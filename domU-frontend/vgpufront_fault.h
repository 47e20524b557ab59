/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * vgpufront_fault.h - named points at which a test stops this driver (tests/xen/test_faults.py).
 * Only the lab's own build has them (make ... VGPUFRONT_FAULTS=y); in any other nothing of this
 * exists.
 */
#ifndef VGPUFRONT_FAULT_H
#define VGPUFRONT_FAULT_H

#ifdef VGPUFRONT_FAULTS
/* Sleeps here, once, if the parameter `fault` names this point, until `fault_go` is written. */
void vgpufront_fault(const char *point);
#else
#define vgpufront_fault(point) ((void)0)
#endif

#endif
