/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/states.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"

#define DAY (24 * 3600)

/* ".N" at *p, of at most 9 digits; *p goes behind it. */
static bool dotted(const char **p, unsigned *out)
{
    unsigned n = 0;

    if (*(*p)++ != '.')
        return false;
    for (*out = 0; isdigit((unsigned char)**p) && n < 9; n++)
        *out = *out * 10 + (unsigned)(*(*p)++ - '0');
    return n > 0;
}

bool states_name(const char *name, struct state_file *f)
{
    const char *p = name;
    unsigned pid;

    memset(f, 0, sizeof(*f));
    if (strlen(name) >= sizeof(f->name))
        return false;
    for (unsigned i = 0; i < 36; i++, p++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? *p != '-' : !isxdigit((unsigned char)*p))
            return false;
        f->uuid[i] = *p;
    }
    strcpy(f->name, name);
    f->entries = !*p;
    if (f->entries)
        return true;
    if (!dotted(&p, &f->device))
        return false;
    if (!*p) { /* UUID.PID: entries that were being written when their writer was killed */
        pid = f->device;
        f->device = 0;
        f->entries = pid != 0;
        return f->entries;
    }
    return dotted(&p, &f->channel) && !*p;
}

static int is_ours(const struct dirent *e)
{
    struct state_file f;

    return states_name(e->d_name, &f);
}

int states_each(const char *dir, void (*fn)(void *arg, const struct state_file *f), void *arg)
{
    struct dirent **list;
    struct state_file f;
    struct stat st;
    int n = scandir(dir, &list, is_ours, alphasort), fd;

    if (n < 0)
        return -errno;
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < n; i++) {
        if (fd >= 0 && states_name(list[i]->d_name, &f) &&
            fstatat(fd, f.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode)) {
            f.time = st.st_mtime;
            f.size = (uint64_t)st.st_size;
            fn(arg, &f);
        }
        free(list[i]);
    }
    free(list);
    if (fd >= 0)
        close(fd);
    return 0;
}

struct sweep {
    const char *dir, *run_dir;
    time_t before;
    unsigned gone;
    const char *uuid; /* only states of this domain's device, NULL: all */
    unsigned device;
    char last[37]; /* domain that was named in the log */
};

static void drop(struct sweep *s, const struct state_file *f)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", s->dir, f->name);
    if (unlink(path) == 0)
        s->gone++;
    else if (errno != ENOENT)
        log_warn("%s: %m", path);
}

/* The agent marks the domains that it has seen, until they are gone. */
static bool runs(const char *run_dir, const char *uuid)
{
    DIR *d = opendir(run_dir);
    struct dirent *e;
    bool found = false;

    while (d && !found && (e = readdir(d))) {
        size_t n = strlen(e->d_name);

        found =
            strncmp(e->d_name, "known-", 6) == 0 && n > 36 && strcmp(e->d_name + n - 36, uuid) == 0;
    }
    if (d)
        closedir(d);
    return found;
}

static void expire_one(void *arg, const struct state_file *f)
{
    struct sweep *s = arg;

    if (f->time >= s->before || (f->entries && runs(s->run_dir, f->uuid)))
        return;
    if (!f->entries && strcmp(s->last, f->uuid) != 0) {
        strcpy(s->last, f->uuid);
        log_info("%s/%s: a saved domain's state is older than state_days: removed; programs in its "
                 "image will get errors",
                 s->dir, f->name);
    }
    drop(s, f);
}

unsigned states_expire(const char *dir, const char *run_dir, unsigned days, time_t now)
{
    struct sweep s = {.dir = dir, .run_dir = run_dir, .before = now - (time_t)days * DAY};

    states_each(dir, expire_one, &s);
    return s.gone;
}

static void drop_older(void *arg, const struct state_file *f)
{
    struct sweep *s = arg;

    if (!f->entries && f->time < s->before && f->device == s->device &&
        strcmp(f->uuid, s->uuid) == 0)
        drop(s, f);
}

void states_drop_older(const char *dir, const char *uuid, unsigned device, time_t since)
{
    struct sweep s = {.dir = dir, .before = since, .uuid = uuid, .device = device};

    states_each(dir, drop_older, &s);
}
