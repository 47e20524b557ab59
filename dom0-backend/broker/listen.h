/* SPDX-License-Identifier: MIT */
/*
 * listen.h - a listening Unix socket whose path exists only once it can be connected to.
 */
#ifndef GVM_LISTEN_H
#define GVM_LISTEN_H

#define LISTEN_PATH_MAX 107u /* octets of a Unix socket's path (sockaddr_un) */
#define LISTEN_DIR_MAX  99u /* of its folder with the last slash, where another name is made first */

/*
 * A socket of `type` (SOCK_STREAM or SOCK_SEQPACKET, with SOCK_NONBLOCK if wanted; CLOEXEC is
 * added) that listens at `path` with the mode that the umask leaves, for up to `backlog` who wait.
 * Who finds the path there is never refused for want of a listener. Returns the descriptor;
 * -ENAMETOOLONG when the path is longer than LISTEN_PATH_MAX or its folder than LISTEN_DIR_MAX; -EADDRINUSE when something is
 * there already, a socket that nobody serves included; or another -errno.
 */
int listen_at(const char *path, int type, int backlog);

#endif
