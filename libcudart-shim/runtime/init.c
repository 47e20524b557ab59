/* SPDX-License-Identifier: MIT */
/*
 * init.c - tells the driver library that the runtime is in this process; nothing else happens
 * before the first call.
 */
#include "rt.h"

__attribute__((constructor)) static void loaded(void)
{
    gvm_runtime_loaded();
}
