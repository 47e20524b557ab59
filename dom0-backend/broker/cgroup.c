/* SPDX-License-Identifier: MIT */
/*
 * cgroup.c - a cgroup for each worker below <mount>/gvm: beside gvm-backd's own, so that workers stay
 * where they are while it is restarted. The limits are there before the worker's first instruction.
 * A guest's processor time is divided among its workers, so that many processes get no more than one.
 */
#include "dom0-backend/broker/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"

static char base[272]; /* "": no limits */

/* Where cgroup v2 is mounted. */
static bool find_mount(char *out, size_t n)
{
    char line[1024], at[256], type[64];
    FILE *f = fopen("/proc/self/mounts", "re");
    bool found = false;

    while (f && !found && fgets(line, sizeof(line), f)) {
        found = sscanf(line, "%*s %255s %63s", at, type) == 2 && strcmp(type, "cgroup2") == 0;
        if (found)
            snprintf(out, n, "%s", at);
    }
    if (f)
        fclose(f);
    return found;
}

static int put(const char *dir, const char *file, const char *text)
{
    char path[400];
    int fd, err = 0;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        err = -errno;
    if (fd >= 0)
        close(fd);
    return err;
}

/* Workers of an earlier broker that are gone; rmdir() spares the others. */
static void sweep(void)
{
    struct dirent *e;
    DIR *d = opendir(base);

    while (d && (e = readdir(d))) {
        char path[sizeof(base) + sizeof(e->d_name) + 1];

        if (e->d_name[0] != 'w')
            continue;
        snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
        rmdir(path);
    }
    if (d)
        closedir(d);
}

void cgroup_start(const char *mount)
{
    static const char *const controllers[] = {"+memory", "+pids", "+cpu"};
    char at[256], missing[64] = "";
    const char *what = "no cgroup2 file system is mounted";
    int err = 0;

    if (mount)
        snprintf(at, sizeof(at), "%s", mount);
    else if (!find_mount(at, sizeof(at)))
        goto none;
    snprintf(base, sizeof(base), "%s/gvm", at);
    what = base;
    if (mkdir(base, 0755) < 0 && errno != EEXIST) {
        err = errno;
        goto none;
    }
    for (size_t i = 0; i < sizeof(controllers) / sizeof(controllers[0]); i++) {
        put(at, "cgroup.subtree_control", controllers[i]); /* mostly there already */
        if (put(base, "cgroup.subtree_control", controllers[i]))
            snprintf(missing + strlen(missing), sizeof(missing) - strlen(missing), " %s",
                     controllers[i] + 1);
    }
    sweep();
    if (missing[0])
        log_warn("cgroup %s: workers have no limits of:%s (the controllers cannot be enabled)",
                 base, missing);
    return;
none:
    base[0] = '\0';
    log_warn("workers have no cgroup, so no limits of memory, threads and processor time: %s%s%s",
             err ? at : what, err ? "/gvm: " : "", err ? strerror(err) : "");
}

static void path_of(uint32_t id, char *buf, size_t n)
{
    snprintf(buf, n, "%s/w%u", base, id);
}

int cgroup_make(uint32_t id, uint64_t memory)
{
    char dir[320], text[24];
    int fd;

    if (!base[0])
        return -1;
    path_of(id, dir, sizeof(dir));
    if (mkdir(dir, 0755) < 0 && errno != EEXIST) {
        log_warn("%s: %m: a worker has no limits", dir);
        return -1;
    }
    /* Missing controllers have been named once. */
    if (memory) {
        snprintf(text, sizeof(text), "%llu", (unsigned long long)memory);
        put(dir, "memory.max", text);
        put(dir, "memory.swap.max", "0");
        put(dir, "memory.oom.group", "1");
    }
    snprintf(text, sizeof(text), "%u", CGROUP_PIDS);
    put(dir, "pids.max", text);
    snprintf(dir + strlen(dir), sizeof(dir) - strlen(dir), "/cgroup.procs");
    fd = open(dir, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        log_warn("%s: %m: a worker has no limits", dir);
    return fd;
}

/* A number in a file; UINT64_MAX: "max", or there is none. */
static uint64_t get(const char *dir, const char *file)
{
    unsigned long long v = UINT64_MAX;
    char path[400];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    f = fopen(path, "re");
    if (f && fscanf(f, "%llu", &v) != 1)
        v = UINT64_MAX;
    if (f)
        fclose(f);
    return v;
}

void cgroup_limit(uint32_t id, uint64_t memory)
{
    char dir[320], text[24];
    uint64_t now;

    if (!base[0])
        return;
    path_of(id, dir, sizeof(dir));
    now = get(dir, "memory.current");
    if (now != UINT64_MAX && now > memory)
        memory = now;
    snprintf(text, sizeof(text), "%llu", (unsigned long long)memory);
    put(dir, "memory.max", text);
}

uint64_t cgroup_room(void)
{
    char dir[sizeof(base)], *slash;
    uint64_t room = UINT64_MAX;

    snprintf(dir, sizeof(dir), "%s", base);
    while (dir[0]) {
        uint64_t max = get(dir, "memory.max"), now = get(dir, "memory.current");

        if (max != UINT64_MAX && now != UINT64_MAX)
            room = max <= now ? 0 : max - now < room ? max - now : room;
        slash = strrchr(dir, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return room;
}

void cgroup_weigh(uint32_t id, unsigned n)
{
    char dir[320], text[16];

    if (!base[0])
        return;
    path_of(id, dir, sizeof(dir));
    snprintf(text, sizeof(text), "%u", n && n < CGROUP_WEIGHT ? CGROUP_WEIGHT / n : 1);
    put(dir, "cpu.weight", text);
}

void cgroup_remove(uint32_t id)
{
    char dir[320];

    if (!base[0])
        return;
    path_of(id, dir, sizeof(dir));
    rmdir(dir);
}
