/* SPDX-License-Identifier: MIT */
/*
 * What comes out of XenStore and out of `vgpu=` entries. The first octet chooses the reader, the
 * rest is its text. XenStore itself is played by this file: values of any octets, a NUL among them,
 * and lists of names.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/agent/spec.h"
#include "dom0-backend/common/xs.h"
#include "xenstore-schema/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;

static void must(bool ok)
{
    if (!ok)
        abort();
}

/* ---- XenStore, played */

/* The input up to the next 0xff is a value; 0xfe at its start: there is no such node. */
void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
    const uint8_t *end = memchr(input, 0xff, left);
    size_t n = end ? (size_t)(end - input) : left;
    char *v;

    if (left == 0 || input[0] == 0xfe) {
        if (left) {
            input++;
            left--;
        }
        errno = ENOENT;
        return NULL;
    }
    v = malloc(n + 1); /* libxenstore ends a value by a NUL that it does not count */
    must(v != NULL);
    memcpy(v, input, n);
    v[n] = '\0';
    *len = (unsigned)n;
    input += n + (end != NULL);
    left -= n + (end != NULL);
    return v;
}

/* The next value, cut into names at each space. */
char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
    unsigned len, n = 0;
    char *v = xs_read(h, t, path, &len);
    char **list, *text;

    if (!v)
        return NULL;
    list = malloc((len + 1) * sizeof(*list) + len + 1); /* one block, as libxenstore has it */
    must(list != NULL);
    text = (char *)(list + len + 1);
    memcpy(text, v, len + 1);
    free(v);
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " "))
        list[n++] = p;
    *num = n;
    return list;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *d,
              unsigned int n)
{
    return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort_it)
{
    return true;
}

/* ---- readers */

static void values(void)
{
    char small[8], big[64];
    uint64_t v = 0;
    unsigned n = 0;
    uint32_t id, *ids;
    int r;

    r = xs_get(NULL, XBT_NULL, "/a", "b", small, sizeof(small));
    must(r == 0 || r == -ENOENT || r == -EINVAL);
    if (r == 0)
        must(memchr(small, '\0', sizeof(small)) != NULL);
    r = xs_get(NULL, XBT_NULL, "/a", "b", big, sizeof(big));
    if (r == 0)
        must(memchr(big, '\0', sizeof(big)) != NULL);
    r = xs_get_uint(NULL, XBT_NULL, "/a", "b", 1, 65535, &v);
    must(r == 0 ? v >= 1 && v <= 65535 : v == 0);
    r = xs_get_uint(NULL, XBT_NULL, "/a", "b", 0, UINT64_MAX, &v);
    must(r == 0 || r == -ENOENT || r == -EINVAL);
    ids = xs_numbers(NULL, "/a", XS_MAX_DOMID, &n);
    must((ids == NULL) == (n == 0));
    for (unsigned i = 0; i < n; i++)
        must(ids[i] <= XS_MAX_DOMID);
    free(ids);
    if (xs_find_domain(NULL, "guest", &id) == 0)
        must(id <= XS_MAX_DOMID);
    must(xs_own_domid(NULL) <= XS_MAX_DOMID);
}

static void entry(const char *text)
{
    struct vgpu_spec s;
    char why[160];
    int r;

    memset(why, 'x', sizeof(why));
    r = vgpu_spec_parse(text, &s, why, sizeof(why));
    if (r) {
        must(r == -EINVAL && memchr(why, '\0', sizeof(why)) && *why && !strchr(why, '\n'));
        return;
    }
    must(s.weight >= 1 && s.weight <= 65535);
    must(s.mem <= INT64_MAX);
    must(memchr(s.backend, '\0', sizeof(s.backend)) && s.backend[0]);
    must(memchr(s.device, '\0', sizeof(s.device)) && s.device[0]);
    /* These become part of paths and of other programs' arguments. */
    must(!strpbrk(s.backend, "/ \n'\"") && !strpbrk(s.device, "/ \n'\""));
}

static void report(void *arg, const char *path, const char *value, const char *allowed)
{
    must(path && value && allowed && *allowed);
    ++*(unsigned *)arg;
}

static void tree(const char *text, size_t n)
{
    struct check *c = check_new();
    unsigned other = 0, told = 0;

    must(c != NULL);
    if (check_add_text(c, text, n, &other) == 0)
        must(check_run(c, report, &told) == told);
    check_dirs(c);
    check_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t bytes = 1;
    char *text;

    if (!size)
        return 0;
    text = malloc(size); /* exactly, so that a sanitizer sees an octet read beyond it */
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    switch (data[0]) {
    case 'v':
        input = data + 1;
        left = size - 1;
        values();
        break;
    case 't':
        tree(text, size - 1);
        break;
    case 's':
        if (vgpu_size_parse(text, &bytes) == 0)
            must(bytes <= INT64_MAX);
        else
            must(bytes == 1);
        break;
    default:
        entry(text);
    }
    free(text);
    return 0;
}
