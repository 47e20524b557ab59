/* SPDX-License-Identifier: MIT */
/*
 * child.h - for transcripts: runs something in a child that was forked before CUDA was used, so
 * that what ends a process natively (a freed handle may) is a line and not the end of the program.
 */
#ifndef GVM_TEST_CHILD_H
#define GVM_TEST_CHILD_H

#include <sys/wait.h>
#include <unistd.h>

#include "transcript.h"

T_INLINE void t_child(const char *name, void (*fn)(void))
{
    int status = -1;
    pid_t pid;

    printf("-- %s\n", name);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        fn();
        fflush(stdout);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        printf("%s = signal %d\n", name, WTERMSIG(status));
    else
        printf("%s = exit %d\n", name, WEXITSTATUS(status));
    fflush(stdout);
}

#endif
