/* SPDX-License-Identifier: MIT */
/*
 * mps.h - workers as clients of NVIDIA's Multi-Process Service, for kernels of several guests at the
 * same time. Off unless the operator says where the control daemon is, which the operator starts:
 * guests then share one server process on the GPU, so that a fault of one ends the work of all, and
 * no guest can be suspended.
 */
#ifndef GVM_BROKER_MPS_H
#define GVM_BROKER_MPS_H

#include <stdbool.h>
#include <stddef.h>

/* Tells the driver's library in a worker where the control daemon is. */
#define MPS_VARIABLE "CUDA_MPS_PIPE_DIRECTORY"
/* The driver checkpoints no client of MPS. */
#define MPS_NO_SUSPEND "mps_pipe_directory is set, and the driver saves no client of MPS"
#define MPS_PATH_MAX   100u /* octets of the directory's path: a socket's address has 108 */

/* Whether a control daemon listens in `dir`. False: one line in `why`. */
bool mps_found(const char *dir, char *why, size_t n);

#endif
