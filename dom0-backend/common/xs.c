/* SPDX-License-Identifier: MIT */
#include "dom0-backend/common/xs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool xs_path(char *buf, size_t n, const char *dir, const char *key)
{
    int len = snprintf(buf, n, "%s/%s", dir, key);

    return len > 0 && (size_t)len < n;
}

int xs_get(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key, char *buf,
           size_t n)
{
    char path[XS_PATH_MAX];
    unsigned len = 0;
    char *v;
    int err = 0;

    if (!xs_path(path, sizeof(path), dir, key))
        return -EINVAL;
    v = xs_read(xs, t, path, &len);
    if (!v)
        return errno == ENOENT ? -ENOENT : errno == 0 ? -EIO : -errno;
    if (len >= n || memchr(v, '\0', len)) {
        err = -EINVAL;
    } else {
        memcpy(buf, v, len);
        buf[len] = '\0';
    }
    free(v);
    return err;
}

bool xs_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    if (v < min || v > max)
        return false;
    *out = v;
    return true;
}

int xs_get_uint(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key,
                uint64_t min, uint64_t max, uint64_t *out)
{
    char buf[24];
    int err = xs_get(xs, t, dir, key, buf, sizeof(buf));

    if (err)
        return err;
    return xs_parse_uint(buf, min, max, out) ? 0 : -EINVAL;
}

void xs_printable(char *s)
{
    for (; *s; s++) {
        if (*s < ' ' || *s > '~')
            *s = '?';
    }
}

int xs_put(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key,
           const char *fmt, ...)
{
    char path[XS_PATH_MAX], value[1024];
    va_list ap;
    int len;

    va_start(ap, fmt);
    len = vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    if (len < 0 || (size_t)len >= sizeof(value) || !xs_path(path, sizeof(path), dir, key))
        return -EINVAL;
    return xs_write(xs, t, path, value, (unsigned)len) ? 0 : -errno;
}

bool xs_exists(struct xs_handle *xs, xs_transaction_t t, const char *path)
{
    unsigned len;
    void *v = xs_read(xs, t, path, &len);

    free(v);
    return v != NULL;
}

int xs_transact(struct xs_handle *xs,
                int (*fn)(struct xs_handle *xs, xs_transaction_t t, void *arg), void *arg)
{
    for (int tries = 0; tries < 20; tries++) {
        xs_transaction_t t = xs_transaction_start(xs);
        int err;

        if (t == XBT_NULL)
            return -errno;
        err = fn(xs, t, arg);
        if (err) {
            xs_transaction_end(xs, t, true);
            return err;
        }
        if (xs_transaction_end(xs, t, false))
            return 0;
        if (errno != EAGAIN)
            return -errno;
    }
    return -EAGAIN;
}

uint32_t *xs_numbers(struct xs_handle *xs, const char *dir, uint32_t max, unsigned *n)
{
    unsigned count = 0;
    char **list = xs_directory(xs, XBT_NULL, dir, &count);
    uint32_t *out;

    *n = 0;
    if (!list)
        return NULL;
    out = calloc(count ? count : 1, sizeof(*out));
    for (unsigned i = 0; out && i < count; i++) {
        uint64_t v;

        if (xs_parse_uint(list[i], 0, max, &v))
            out[(*n)++] = (uint32_t)v;
    }
    free(list);
    if (*n == 0) {
        free(out);
        return NULL;
    }
    return out;
}

uint32_t xs_own_domid(struct xs_handle *xs)
{
    unsigned len = 0;
    char *v = xs_read(xs, XBT_NULL, "domid", &len);
    uint64_t id = 0;

    if (v && !xs_parse_uint(v, 0, XS_MAX_DOMID, &id))
        id = 0;
    free(v);
    return (uint32_t)id;
}

int xs_find_domain(struct xs_handle *xs, const char *name, uint32_t *domid)
{
    char dir[64], got[256];
    unsigned n, found = 0;
    uint32_t *ids;
    uint64_t v;

    if (xs_parse_uint(name, 0, XS_MAX_DOMID, &v)) {
        snprintf(dir, sizeof(dir), "/local/domain/%u", (unsigned)v);
        if (!xs_exists(xs, XBT_NULL, dir))
            return -ENOENT;
        *domid = (uint32_t)v;
        return 0;
    }
    ids = xs_numbers(xs, "/local/domain", XS_MAX_DOMID, &n);
    for (unsigned i = 0; ids && i < n; i++) {
        snprintf(dir, sizeof(dir), "/local/domain/%u", ids[i]);
        if (xs_get(xs, XBT_NULL, dir, "name", got, sizeof(got)) == 0 && strcmp(got, name) == 0) {
            *domid = ids[i];
            found++;
        }
    }
    free(ids);
    return found == 1 ? 0 : found ? -EEXIST : -ENOENT;
}
