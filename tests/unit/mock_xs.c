/* SPDX-License-Identifier: MIT */
#include "tests/unit/mock_xs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "dom0-backend/common/xslife.h"

#define MAX_NODES 256
#define MAX_PERMS 4

struct node {
    char path[200], value[300];
    struct xs_permissions perms[MAX_PERMS];
    unsigned nperms;
};

static struct node nodes[MAX_NODES];
static unsigned count;
static uint32_t me;
static int fired = -1; /* an eventfd once somebody waits for watches */

void mock_xs_reset(uint32_t domid)
{
    count = 0;
    me = domid;
}

void mock_xs_ask(uint32_t domid)
{
    me = domid;
}

static struct node *find(const char *path)
{
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(nodes[i].path, path) == 0)
            return &nodes[i];
    }
    return NULL;
}

/* Relative paths are the caller's own. */
static void absolute(char *buf, size_t n, const char *path)
{
    if (*path == '/')
        snprintf(buf, n, "%s", path);
    else
        snprintf(buf, n, "/local/domain/%u/%s", me, path);
}

static bool readable(const struct node *n)
{
    if (me == 0 || (n->nperms && n->perms[0].id == me))
        return true;
    for (unsigned i = 1; i < n->nperms; i++) {
        if (n->perms[i].id == me && n->perms[i].perms & XS_PERM_READ)
            return true;
    }
    return false;
}

/* Makes a node and its parents; permissions are the parent's. */
static struct node *make(const char *path)
{
    struct node *n = find(path), *parent = NULL;
    char up[200];

    if (n)
        return n;
    snprintf(up, sizeof(up), "%s", path);
    *strrchr(up, '/') = '\0';
    if (*up)
        parent = make(up);
    if (count == MAX_NODES)
        abort();
    n = &nodes[count++];
    memset(n, 0, sizeof(*n));
    snprintf(n->path, sizeof(n->path), "%s", path);
    if (parent) {
        memcpy(n->perms, parent->perms, sizeof(n->perms));
        n->nperms = parent->nperms;
    } else {
        n->perms[0] = (struct xs_permissions){.id = 0, .perms = XS_PERM_NONE};
        n->nperms = 1;
    }
    return n;
}

void mock_xs_put(const char *path, const char *value)
{
    snprintf(make(path)->value, sizeof(nodes[0].value), "%s", value);
}

const char *mock_xs_value(const char *path)
{
    struct node *n = find(path);

    return n ? n->value : NULL;
}

const char *mock_xs_perms(const char *path)
{
    static char text[100];
    struct node *n = find(path);
    size_t used = 0;

    text[0] = '\0';
    for (unsigned i = 0; n && i < n->nperms; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c%u", i ? "," : "",
                                 n->perms[i].perms & XS_PERM_READ ? 'r' : 'n', n->perms[i].id);
    return text;
}

static struct node *look(const char *path)
{
    char full[200];
    struct node *n;

    absolute(full, sizeof(full), path);
    n = find(full);
    errno = !n ? ENOENT : EACCES;
    return n && readable(n) ? n : NULL;
}

void *xs_read(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *len)
{
    struct node *n = look(path);
    char *v = n ? strdup(n->value) : NULL;

    if (v)
        *len = (unsigned)strlen(v);
    return v;
}

bool xs_write(struct xs_handle *h, xs_transaction_t t, const char *path, const void *data,
              unsigned int len)
{
    char text[300];

    snprintf(text, sizeof(text), "%.*s", (int)len, (const char *)data);
    mock_xs_put(path, text);
    return true;
}

bool xs_mkdir(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    make(path);
    return true;
}

bool xs_rm(struct xs_handle *h, xs_transaction_t t, const char *path)
{
    size_t len = strlen(path);
    unsigned kept = 0;

    for (unsigned i = 0; i < count; i++) {
        if (strncmp(nodes[i].path, path, len) == 0 &&
            (nodes[i].path[len] == '\0' || nodes[i].path[len] == '/'))
            continue;
        nodes[kept++] = nodes[i];
    }
    count = kept;
    return true;
}

char **xs_directory(struct xs_handle *h, xs_transaction_t t, const char *path, unsigned int *num)
{
    char full[200], **list, *text;
    size_t len;

    if (!look(path))
        return NULL;
    absolute(full, sizeof(full), path);
    len = strlen(full);
    /* As the library's: one allocation for the pointers and what they point to. */
    list = calloc(1, MAX_NODES * sizeof(*list) + MAX_NODES * 32);
    text = (char *)(list + MAX_NODES);
    *num = 0;
    for (unsigned i = 0; i < count; i++) {
        if (strncmp(nodes[i].path, full, len) == 0 && nodes[i].path[len] == '/' &&
            !strchr(nodes[i].path + len + 1, '/')) {
            list[(*num)++] = text;
            text += snprintf(text, 32, "%s", nodes[i].path + len + 1) + 1;
        }
    }
    return list;
}

struct xs_permissions *xs_get_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
                                          unsigned int *num)
{
    struct node *n = look(path);
    struct xs_permissions *p = n ? calloc(MAX_PERMS, sizeof(*p)) : NULL;

    if (p) {
        memcpy(p, n->perms, sizeof(n->perms));
        *num = n->nperms;
    }
    return p;
}

bool xs_set_permissions(struct xs_handle *h, xs_transaction_t t, const char *path,
                        struct xs_permissions *perms, unsigned int num)
{
    struct node *n = find(path);

    if (!n || num > MAX_PERMS)
        return false;
    memcpy(n->perms, perms, num * sizeof(*perms));
    n->nperms = num;
    return true;
}

xs_transaction_t xs_transaction_start(struct xs_handle *h)
{
    return 1;
}

bool xs_transaction_end(struct xs_handle *h, xs_transaction_t t, bool abort)
{
    return true;
}

int xs_fileno(struct xs_handle *h)
{
    return fired;
}

bool xs_watch(struct xs_handle *h, const char *path, const char *token)
{
    return true;
}

bool xs_unwatch(struct xs_handle *h, const char *path, const char *token)
{
    return true;
}

void mock_xs_fire(void)
{
    if (eventfd_write(fired, 1) < 0)
        abort();
}

char **xs_check_watch(struct xs_handle *h)
{
    eventfd_t n;

    errno = EAGAIN;
    if (fired < 0 || eventfd_read(fired, &n) < 0)
        return NULL;
    return calloc(2, sizeof(char *));
}

bool xs_is_domain_introduced(struct xs_handle *h, unsigned int domid)
{
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    return find(path) != NULL;
}

void xs_close(struct xs_handle *h)
{
    if (fired >= 0)
        close(fired);
    fired = -1;
}

/* In xslife.c's place. */
struct xs_handle *xs_open_watched(int *hangup)
{
    *hangup = -1;
    fired = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fired < 0 ? NULL : (struct xs_handle *)nodes; /* nobody looks into it */
}

bool xs_lost(struct xs_handle *xs)
{
    return false;
}
