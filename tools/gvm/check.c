/* SPDX-License-Identifier: MIT */
/*
 * check.c - gvm check: nodes from XenStore, from a file or from standard input.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/xs.h"
#include "tools/gvm/gvm.h"
#include "tools/gvm/xen.h"
#include "xenstore-schema/check.h"

#define MAX_TEXT  (64u << 20)
#define MAX_DEPTH 8

static void report(void *arg, const char *path, const char *value, const char *allowed)
{
    printf("%s = \"%s\": allowed: %s\n", path, value, allowed);
}

static char *read_all(FILE *f, size_t *len)
{
    char *text = NULL;
    size_t n = 0, got;

    for (;;) {
        char *more = realloc(text, n + 65536);

        if (!more || n > MAX_TEXT) {
            free(more ? more : text);
            return NULL;
        }
        text = more;
        got = fread(text + n, 1, 65536, f);
        n += got;
        if (got == 0)
            break;
    }
    *len = n;
    return text;
}

static int add_file(struct check *c, const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    unsigned other = 0;
    char *text;
    size_t len;
    int err;

    if (!f)
        return -errno;
    text = read_all(f, &len);
    if (f != stdin)
        fclose(f);
    if (!text)
        return -EFBIG;
    err = check_add_text(c, text, len, &other);
    free(text);
    if (other)
        fprintf(stderr, "gvm check: %s: %u lines are not of the form of xenstore-ls -f\n", path,
                other);
    return err;
}

/* "n0,r5" */
static void perms_text(struct xs_handle *xs, const char *path, char *buf, size_t n)
{
    unsigned count = 0;
    size_t used = 0;
    struct xs_permissions *p = xs_get_permissions(xs, XBT_NULL, path, &count);

    buf[0] = '\0';
    for (unsigned i = 0; p && i < count && used < n; i++) {
        char c = p[i].perms == XS_PERM_NONE                     ? 'n'
                 : p[i].perms == XS_PERM_READ                   ? 'r'
                 : p[i].perms == XS_PERM_WRITE                  ? 'w'
                 : p[i].perms == (XS_PERM_READ | XS_PERM_WRITE) ? 'b'
                                                                : '?';

        used += (size_t)snprintf(buf + used, n - used, "%s%c%u", i ? "," : "", c, p[i].id);
    }
    free(p);
}

static int add_tree(struct check *c, struct xs_handle *xs, const char *path, unsigned depth)
{
    char perms[128], child[XS_PATH_MAX], *v;
    unsigned n = 0, len;
    char **list;
    int err = 0;

    v = xs_read(xs, XBT_NULL, path, &len);
    if (v) {
        perms_text(xs, path, perms, sizeof(perms));
        err = check_add(c, path, v, perms);
        free(v);
    }
    list = depth < MAX_DEPTH ? xs_directory(xs, XBT_NULL, path, &n) : NULL;
    for (unsigned i = 0; list && i < n && !err; i++) {
        if (xs_path(child, sizeof(child), path, list[i]))
            err = add_tree(c, xs, child, depth + 1);
    }
    free(list);
    return err;
}

/* Only the subtrees that the schema speaks of. */
static int add_live(struct check *c, struct xs_handle *xs)
{
    static const char *const subtrees[] = {"backend/vgpu", "device/vgpu", "error/device/vgpu"};
    char path[XS_PATH_MAX];
    unsigned n;
    uint32_t *ids = xs_numbers(xs, "/local/domain", XS_MAX_DOMID, &n);
    int err = 0;

    for (unsigned i = 0; ids && i < n; i++) {
        for (unsigned k = 0; k < 3 && !err; k++) {
            snprintf(path, sizeof(path), "/local/domain/%u/%s", ids[i], subtrees[k]);
            err = add_tree(c, xs, path, 0);
        }
    }
    free(ids);
    return err;
}

int cmd_check(int argc, char **argv)
{
    static const char usage[] = "usage: gvm check [FILE|-]\n"
                                "Compares XenStore (or saved output of xenstore-ls -f, or -fp for "
                                "permissions) with the vgpu\n"
                                "schema; prints each violation. Exit status 0: none, 1: some.\n";
    struct check *c;
    unsigned bad, dirs;
    int err, status = only_help(argc, argv, usage, 0, 1);

    if (status >= 0)
        return status;
    c = check_new();
    if (!c)
        return 1;
    if (argc > optind) {
        err = add_file(c, argv[optind]);
    } else {
        struct xs_handle *xs = open_xenstore("check");

        if (!xs) {
            check_free(c);
            return 1;
        }
        err = add_live(c, xs);
        xs_close(xs);
    }
    if (err) {
        fprintf(stderr, "gvm check: %s: %s\n", argc > optind ? argv[optind] : "XenStore",
                strerror(-err));
        check_free(c);
        return 1;
    }
    bad = check_run(c, report, NULL);
    dirs = check_dirs(c);
    printf("%u vgpu directories, %u violations\n", dirs, bad);
    check_free(c);
    return bad ? 1 : 0;
}
