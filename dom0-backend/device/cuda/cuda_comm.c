/* SPDX-License-Identifier: MIT */
/*
 * cuda_comm.c - lets the driver's library name its threads in a worker that cannot write to /proc.
 *
 * When it is initialised it names its threads, by fopen() of /proc/self/task/N/comm. Where that fails
 * cuInit gives up, with CUDA_ERROR_OPERATING_SYSTEM; and it is by these names that the driver's process
 * checkpoint finds the threads that do what it asks for (both seen with 580.159.04). A worker's /proc is
 * read-only, since to write to /proc/self/mem is to write to executable pages. Until it is locked down it
 * has another one that is not, as a descriptor that only this file knows: WK_FD_NAMES. Where there is none,
 * names go to /dev/null.
 *
 * The symbols are exported by the worker's program, so the library finds these before the C library's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/transport/handoff.h"

typedef FILE *(*open_fn)(const char *path, const char *how);

/* What of `path` comes behind /proc/self/task/, if it is the name of a thread; or NULL. */
static const char *name_of_thread(const char *path)
{
    static const char start[] = "/proc/self/task/", end[] = "/comm";
    const char *rest = path + sizeof(start) - 1;
    size_t digits;

    if (strncmp(path, start, sizeof(start) - 1) != 0)
        return NULL;
    digits = strspn(rest, "0123456789");
    return digits && strcmp(rest + digits, end) == 0 ? rest : NULL;
}

static FILE *open_name(open_fn real, const char *rest, const char *how)
{
    int fd = openat(WK_FD_NAMES, rest, O_WRONLY | O_CLOEXEC);
    FILE *f;

    if (fd < 0)
        return real("/dev/null", how);
    f = fdopen(fd, "w");
    if (!f)
        close(fd);
    return f;
}

static FILE *open_with(const char *symbol, const char *path, const char *how)
{
    const char *name;
    open_fn real;
    FILE *f;

    *(void **)&real = dlsym(RTLD_NEXT, symbol);
    if (!real) {
        errno = ENOSYS;
        return NULL;
    }
    f = real(path, how);
    if (f || how[0] != 'w' || (errno != EROFS && errno != EACCES && errno != EPERM))
        return f;
    name = name_of_thread(path);
    return name ? open_name(real, name, how) : NULL;
}

FILE *fopen(const char *path, const char *how)
{
    return open_with("fopen", path, how);
}

FILE *fopen64(const char *path, const char *how)
{
    return open_with("fopen64", path, how);
}
