/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/saved.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dom0-backend/common/log.h"

#define SAVED_MAX (VGPU_MAX_DEVICES * (VGPU_SPEC_MAX + 8))

void saved_parse(const char *text, unsigned len, struct saved *s)
{
    const char *end = text + len;

    memset(s, 0, sizeof(*s));
    while (text < end) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((nl ? nl : end) - text), k = 0;
        unsigned d = 0;

        for (; k < n && k < 3 && text[k] >= '0' && text[k] <= '9'; k++)
            d = d * 10 + (unsigned)(text[k] - '0');
        if (k && k < n && text[k] == ' ' && d < VGPU_MAX_DEVICES && n - k - 1 <= VGPU_SPEC_MAX &&
            !memchr(text, '\0', n)) {
            memcpy(s->spec[d], text + k + 1, n - k - 1);
            s->spec[d][n - k - 1] = '\0';
            s->has[d] = true;
        }
        text += n + 1;
    }
}

int saved_load(const char *dir, const char *uuid, struct saved *s)
{
    char path[256], *text;
    ssize_t n;
    int fd, err = 0;

    memset(s, 0, sizeof(*s));
    snprintf(path, sizeof(path), "%s/%s", dir, uuid);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        err = -errno;
        if (err != -ENOENT)
            log_warn("%s: %m", path);
        return err;
    }
    text = malloc(SAVED_MAX);
    n = text ? read(fd, text, SAVED_MAX) : -1;
    if (n < 0) {
        err = -EIO;
        log_warn("%s: cannot be read", path);
    } else {
        saved_parse(text, (unsigned)n, s);
    }
    free(text);
    close(fd);
    return err;
}

int saved_store(const char *dir, const char *uuid, const struct saved *s)
{
    char path[256], tmp[280];
    bool any = false;
    FILE *f;
    int err;

    snprintf(path, sizeof(path), "%s/%s", dir, uuid);
    snprintf(tmp, sizeof(tmp), "%s.%d", path, (int)getpid());
    for (unsigned d = 0; d < VGPU_MAX_DEVICES; d++)
        any |= s->has[d];
    if (!any)
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
    mkdir(dir, 0700);
    f = fopen(tmp, "we");
    if (!f)
        goto fail;
    for (unsigned d = 0; d < VGPU_MAX_DEVICES; d++) {
        if (s->has[d])
            fprintf(f, "%u %s\n", d, s->spec[d]);
    }
    if (fclose(f) || rename(tmp, path) < 0)
        goto fail;
    return 0;
fail:
    err = -errno;
    log_warn("%s: %m: the domain's vgpus are not kept for its next boot", path);
    unlink(tmp);
    return err;
}
