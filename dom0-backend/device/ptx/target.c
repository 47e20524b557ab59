/* SPDX-License-Identifier: MIT */
/* target.c - the compute capability that the software device says it has. */
#include "ptx.h"

static unsigned target = PTX_TARGET;

void ptx_target_set(unsigned sm)
{
    target = sm;
}

unsigned ptx_target(void)
{
    return target;
}
