/* SPDX-License-Identifier: MIT */
/*
 * ipc.h - memory and events of other processes of this guest.
 *
 * What the worker hands out are handles of GVM_SHARE octets. Those that CUDA passes as structures
 * (cudaIpcMemHandle_t and others, 64 octets) hold one, and those that it passes as descriptors are
 * sockets with one in their queue.
 */
#ifndef GVM_IPC_H
#define GVM_IPC_H

#include "core.h"

#define GVM_SHARE      32
#define GVM_IPC_HANDLE 64

/* cuIpc*; a handle is GVM_IPC_HANDLE octets. Memory that is open already: opened once more, or 208 if
 * not `again`. */
GVM_API int gvm_ipc_get_mem(uint64_t dptr, void *handle);
GVM_API int gvm_ipc_open_mem(const void *handle, unsigned flags, bool again, uint64_t *dptr);
GVM_API int gvm_ipc_close_mem(uint64_t dptr);
GVM_API int gvm_ipc_get_event(uint64_t event, void *handle);
GVM_API int gvm_ipc_open_event(const void *handle, uint64_t *event);
/* An opened range goes with its context; it has been taken out of the map. */
void gvm_ipc_drop(uint64_t dptr);

/* A descriptor that stands for a handle: it can be duplicated, passed on and inherited; when the last
 * copy is closed, the handle is forgotten. 2: no descriptor. */
int gvm_fd_make(const uint8_t share[GVM_SHARE], int *fd);
/* The handle that a descriptor stands for; 1: none. */
int gvm_fd_read(int fd, uint8_t share[GVM_SHARE]);
/* Forgets the handles of descriptors that have been closed. */
void gvm_fd_sweep(void);

void gvm_fd_reset(void);

/* The connection has been made or is about to end. */
void gvm_ipc_reset(void);

#endif
