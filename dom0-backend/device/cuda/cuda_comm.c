/* SPDX-License-Identifier: MIT */
/*
 * cuda_comm.c - lets the driver's library come up in a worker that cannot write to /proc.
 *
 * When it is initialised it names its threads, by fopen() of /proc/self/task/N/comm. Where that fails
 * cuInit gives up, with CUDA_ERROR_OPERATING_SYSTEM (seen with 580.159.04). A worker's /proc is read-only,
 * since to write to /proc/self/mem is to write to executable pages; and the files of a process that does
 * not let others look into it belong to root, whoever runs it. Names are of no use to anybody there: they
 * go to /dev/null.
 *
 * The symbols are exported by the worker's program, so the library finds these before the C library's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef FILE *(*open_fn)(const char *path, const char *how);

static bool is_name_of_thread(const char *path)
{
    static const char start[] = "/proc/self/task/", end[] = "/comm";
    size_t n = strlen(path);

    return n > sizeof(start) + sizeof(end) - 2 && strncmp(path, start, sizeof(start) - 1) == 0 &&
           strcmp(path + n - (sizeof(end) - 1), end) == 0;
}

static FILE *open_with(const char *symbol, const char *path, const char *how)
{
    open_fn real;
    FILE *f;

    *(void **)&real = dlsym(RTLD_NEXT, symbol);
    if (!real) {
        errno = ENOSYS;
        return NULL;
    }
    f = real(path, how);
    if (!f && (errno == EROFS || errno == EACCES || errno == EPERM) && how[0] == 'w' &&
        is_name_of_thread(path))
        f = real("/dev/null", how);
    return f;
}

FILE *fopen(const char *path, const char *how)
{
    return open_with("fopen", path, how);
}

FILE *fopen64(const char *path, const char *how)
{
    return open_with("fopen64", path, how);
}
