/* SPDX-License-Identifier: MIT */
/* array.h - descriptions of elements, between the runtime's and the driver's. */
#ifndef GVM_RT_ARRAY_H
#define GVM_RT_ARRAY_H

#include "../driver/array.h"
#include "rt.h"

/* 0, or 20: not the description of an element. */
int rt_format(const struct cudaChannelFormatDesc *d, CUarray_format *format, unsigned *channels);
struct cudaChannelFormatDesc rt_channel_desc(unsigned format, unsigned channels);

#endif
