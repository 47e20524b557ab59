/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"

#define MAX_FOUND 16

struct find {
    const char *name;
    struct xlcfg *cfg, *tmp;
    struct {
        dev_t dev;
        ino_t ino;
    } seen[MAX_FOUND];
    unsigned n;
    char *path;
    unsigned path_n;
};

static char *read_file(int fd, size_t size)
{
    char *text = malloc(size + 1);
    size_t got = 0;
    ssize_t n;

    if (!text)
        return NULL;
    while (got < size && (n = read(fd, text + got, size - got)) > 0)
        got += (size_t)n;
    if (got != size) {
        free(text);
        return NULL;
    }
    return text;
}

static void look(struct find *f, const char *dir, const char *file)
{
    char path[600], why[128];
    struct stat st;
    char *text;
    size_t used;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
        st.st_size > XLCFG_MAX_SIZE) {
        close(fd);
        return;
    }
    text = read_file(fd, (size_t)st.st_size);
    close(fd);
    if (!text)
        return;
    /* Files in other formats live there too: what does not parse cannot be this domain's. But one
     * whose name was read before the error is worth a word. */
    if (xlcfg_parse(text, (size_t)st.st_size, f->tmp, why, sizeof(why))) {
        if (strcmp(f->tmp->name, f->name) == 0)
            log_warn("%s: %s: not used for domain %s", path, why, f->name);
        free(text);
        return;
    }
    free(text);
    if (strcmp(f->tmp->name, f->name) != 0)
        return;
    for (unsigned i = 0; i < f->n; i++) {
        if (f->seen[i].dev == st.st_dev && f->seen[i].ino == st.st_ino)
            return;
    }
    if (f->n == MAX_FOUND)
        return;
    f->seen[f->n].dev = st.st_dev;
    f->seen[f->n++].ino = st.st_ino;
    *f->cfg = *f->tmp;
    used = strlen(f->path);
    snprintf(f->path + used, f->path_n - used, "%s%s", used ? ", " : "", path);
}

unsigned find_config(const struct gvm_conf *conf, const char *name, struct xlcfg *cfg, char *path,
                     unsigned path_n)
{
    struct find f = {.name = name, .cfg = cfg, .path = path, .path_n = path_n};

    path[0] = '\0';
    f.tmp = malloc(sizeof(*f.tmp));
    for (unsigned i = 0; f.tmp && i < conf->nconfig_dirs; i++) {
        DIR *d = opendir(conf->config_dirs[i]);
        struct dirent *e;

        while (d && (e = readdir(d))) {
            if (e->d_name[0] != '.')
                look(&f, conf->config_dirs[i], e->d_name);
        }
        if (d)
            closedir(d);
    }
    free(f.tmp);
    return f.n;
}
