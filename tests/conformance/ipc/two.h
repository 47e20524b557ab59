/* SPDX-License-Identifier: MIT */
/*
 * two.h - for transcripts of two processes: a child, forked before CUDA is used, and a socket between
 * the two. Only one of them prints at a time: the other one waits in take().
 */
#ifndef GVM_TEST_TWO_H
#define GVM_TEST_TWO_H

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transcript.h"

/* Sends n octets, and a descriptor unless it is -1. */
T_INLINE void give(int s, const void *p, size_t n, int fd)
{
    struct iovec v = {(void *)p, n};
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } c;
    struct msghdr m;

    memset(&m, 0, sizeof(m));
    memset(&c, 0, sizeof(c));
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    if (fd >= 0) {
        struct cmsghdr *h = &c.align;

        m.msg_control = c.buf;
        m.msg_controllen = sizeof(c.buf);
        h->cmsg_level = SOL_SOCKET;
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(h), &fd, sizeof(fd));
    }
    fflush(stdout);
    if (sendmsg(s, &m, MSG_NOSIGNAL) != (ssize_t)n)
        printf("the other process is gone\n");
}

/* Waits for n octets; the descriptor that came with them, or -1. */
T_INLINE int take(int s, void *p, size_t n)
{
    struct iovec v = {p, n};
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } c;
    struct msghdr m;
    int fd = -1;

    memset(&m, 0, sizeof(m));
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    m.msg_control = c.buf;
    m.msg_controllen = sizeof(c.buf);
    if (recvmsg(s, &m, 0) != (ssize_t)n) {
        printf("the other process is gone\n");
        exit(4);
    }
    if (CMSG_FIRSTHDR(&m))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

/* The other one may go on, until it says so likewise. */
T_INLINE void turn(int s)
{
    char c = 't';

    give(s, &c, 1, -1);
    take(s, &c, 1);
}

/* Starts fn(socket) in another process; the parent's end. */
T_INLINE int start(void (*fn)(int s), pid_t *pid)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair))
        exit(4);
    fflush(stdout);
    *pid = fork();
    if (*pid == 0) {
        close(pair[0]);
        fn(pair[1]);
        fflush(stdout);
        _exit(0);
    }
    close(pair[1]);
    return pair[0];
}

T_INLINE void finish(pid_t pid)
{
    int status = -1;

    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("child = signal %d\n", WTERMSIG(status));
    else
        printf("child = exit %d\n", WEXITSTATUS(status));
}

#endif
