// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vgpufront_fault.c - see vgpufront_fault.h.  Not part of the driver that is installed.
 */
#include "vgpufront.h"
#include "vgpufront_fault.h"

#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#define LONGEST_MS 100000u /* a test that forgets its point must not hang the guest */
#define LOOK_MS	   5u

static char fault[32];
module_param_string(fault, fault, sizeof(fault), 0600);
static unsigned int fault_go;
module_param(fault_go, uint, 0600);

void vgpufront_fault(const char *point)
{
	unsigned int ms;

	if (strcmp(fault, point))
		return;
	fault[0] = 0;
	WRITE_ONCE(fault_go, 0);
	pr_err("fault point %s\n", point);
	for (ms = 0; ms < LONGEST_MS && !READ_ONCE(fault_go); ms += LOOK_MS)
		msleep(LOOK_MS);
}
