/* SPDX-License-Identifier: MIT */
/* covers: cuModuleLoadDataEx */
/* A binary that libnvrtc makes for the device at hand. */
#define BINARY 1
#include "module/nvrtc.c"
