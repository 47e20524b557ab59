/* SPDX-License-Identifier: MIT */
/*
 * fdmsg.h - fixed-size structs with descriptors over SOCK_SEQPACKET Unix sockets.
 */
#ifndef GVM_FDMSG_H
#define GVM_FDMSG_H

#include <stddef.h>

#define FDMSG_MAX_FDS 4

/*
 * Sends `len` octets and `nfds` (0..FDMSG_MAX_FDS) descriptors as one message; the caller keeps
 * its descriptors. Returns 0 or -errno (-EAGAIN: would block, only on a non-blocking socket;
 * -EPIPE: the peer is gone, no SIGPIPE is raised).
 */
int fdmsg_send(int sock, const void *msg, size_t len, const int *fds, int nfds);

/*
 * Receives one message of exactly `len` octets. fds[0..max_fds) receive the descriptors that came
 * with it (CLOEXEC; unused entries are -1) and *nfds their number. Returns 1; 0 at end of file;
 * -EAGAIN when `nonblock` is set and nothing is there; -EMSGSIZE for a message of another size and
 * -E2BIG for more than max_fds descriptors (the message is consumed, all its descriptors are
 * closed); or another -errno.
 */
int fdmsg_recv(int sock, void *msg, size_t len, int *fds, int max_fds, int *nfds, int nonblock);

/* Closes and sets to -1 those of fds[0..n) that are >= 0. */
void fdmsg_close(int *fds, int n);

#endif
