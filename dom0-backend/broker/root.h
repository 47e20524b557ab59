/* SPDX-License-Identifier: MIT */
/* root.h - the file system of a confined worker. */
#ifndef GVM_BROKER_ROOT_H
#define GVM_BROKER_ROOT_H

#include <stdbool.h>

/* Makes the mount point, once per worker, in the broker. */
void root_prepare(void);
/* Minor number of the GPU that `device` (an index or GPU-UUID) names, from the driver's directory
 * (/proc/driver/nvidia/gpus); -1: not known, as with an index where there are several. */
int root_gpu_minor(const char *dir, const char *device);
/* In a mount namespace of the caller's own: replaces the root. driver: with the nodes of GPUs, of
 * `gpu_minor` only unless it is -1. mps: the directory of an MPS control daemon, or NULL. What fails before the root is changed leaves the old one.
 * A descriptor of /proc/self/task in which names of threads can be written, close-on-exec; or -1:
 * there is none, or no need of one. */
int root_make(bool driver, int gpu_minor, const char *mps);
/* One line on the broker's standard error, with errno. */
void root_complain(const char *what);

#endif
