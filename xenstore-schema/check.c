/* SPDX-License-Identifier: MIT */
#include "xenstore-schema/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vgpu_schema.h"

#define MAX_NODES 8192 /* more than 400 devices */

struct ids {
    uint32_t b, f, d; /* numbers in a path; NO_ID: not in this pattern */
};
#define NO_ID UINT32_MAX

struct node {
    char *path, *value, *perms;
};

struct check {
    struct node *nodes;
    size_t n, cap;
};

/* Matches the start of `path` with a pattern; the rest of the path, or NULL. */
static const char *match(const char *pattern, const char *path, struct ids *ids)
{
    *ids = (struct ids){NO_ID, NO_ID, NO_ID};
    while (*pattern) {
        if (*pattern == '{') {
            uint64_t v = 0;
            const char *start = path;

            for (; *path >= '0' && *path <= '9' && v < NO_ID; path++)
                v = v * 10 + (uint64_t)(*path - '0');
            if (path == start || v >= NO_ID)
                return NULL;
            *(pattern[1] == 'B' ? &ids->b : pattern[1] == 'F' ? &ids->f : &ids->d) = (uint32_t)v;
            pattern += 3;
        } else if (*pattern++ != *path++) {
            return NULL;
        }
    }
    return *path == '\0' || *path == '/' ? path : NULL;
}

static const struct schema_dir *find_dir(const char *path, struct ids *ids, const char **rest)
{
    for (unsigned i = 0; i < vgpu_schema_n; i++) {
        *rest = match(vgpu_schema[i].pattern, path, ids);
        if (*rest)
            return &vgpu_schema[i];
    }
    return NULL;
}

struct check *check_new(void)
{
    return calloc(1, sizeof(struct check));
}

void check_free(struct check *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->n; i++) {
        free(c->nodes[i].path);
        free(c->nodes[i].value);
        free(c->nodes[i].perms);
    }
    free(c->nodes);
    free(c);
}

static int add(struct check *c, char *path, char *value, char *perms)
{
    struct ids ids;
    const char *rest;

    if (!path || !value)
        goto no_memory;
    if (!find_dir(path, &ids, &rest) || c->n >= MAX_NODES) {
        free(path);
        free(value);
        free(perms);
        return c->n >= MAX_NODES ? -E2BIG : 0;
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;
        struct node *p = realloc(c->nodes, cap * sizeof(*p));

        if (!p)
            goto no_memory;
        c->nodes = p;
        c->cap = cap;
    }
    c->nodes[c->n++] = (struct node){path, value, perms};
    return 0;
no_memory:
    free(path);
    free(value);
    free(perms);
    return -ENOMEM;
}

int check_add(struct check *c, const char *path, const char *value, const char *perms)
{
    return add(c, strdup(path), strdup(value), perms ? strdup(perms) : NULL);
}

/* path = "value"   (perms) */
static bool split_line(const char *line, size_t len, struct node *out)
{
    const char *eq = memmem(line, len, " = \"", 4), *end = line + len, *q, *p;

    if (!eq || line[0] != '/')
        return false;
    for (q = end - 1; q > eq + 3 && *q != '"'; q--)
        ;
    if (q <= eq + 3)
        return false;
    for (p = q + 1; p < end && *p == ' '; p++)
        ;
    out->path = strndup(line, (size_t)(eq - line));
    out->value = strndup(eq + 4, (size_t)(q - eq - 4));
    out->perms =
        p < end && *p == '(' && end[-1] == ')' ? strndup(p + 1, (size_t)(end - p - 2)) : NULL;
    return true;
}

int check_add_text(struct check *c, const char *text, size_t len, unsigned *other)
{
    const char *end = text + len, *nl;
    int err = 0;

    *other = 0;
    for (; text < end && !err; text = nl + 1) {
        struct node n;
        size_t k;

        nl = memchr(text, '\n', (size_t)(end - text));
        if (!nl)
            nl = end;
        k = (size_t)(nl - text);
        if (k && text[k - 1] == '\r')
            k--;
        if (split_line(text, k, &n))
            err = add(c, n.path, n.value, n.perms);
        else
            *other += k > 0;
        if (nl == end)
            break;
    }
    return err;
}

static bool is_uint(const char *s, uint64_t min, uint64_t max)
{
    uint64_t v = 0;

    if (!*s || (s[0] == '0' && s[1]))
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    return v >= min && v <= max;
}

static bool is_uuid(const char *s)
{
    if (strlen(s) != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return true;
}

static bool is_versions(const char *s)
{
    bool digit = false;

    for (; *s; s++) {
        if (*s == ',') {
            if (!digit)
                return false;
            digit = false;
        } else if (*s >= '0' && *s <= '9') {
            digit = true;
        } else {
            return false;
        }
    }
    return digit;
}

static bool is_text(const char *s, uint64_t max)
{
    if (strlen(s) > max)
        return false;
    for (; *s; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    }
    return true;
}

/* A path to a directory named `dir` whose numbers do not contradict those of this path. */
static bool is_path(const char *s, const char *dir, const struct ids *ids)
{
    for (unsigned i = 0; i < vgpu_schema_n; i++) {
        struct ids o;
        const char *rest = match(vgpu_schema[i].pattern, s, &o);

        if (strcmp(vgpu_schema[i].name, dir) != 0 || !rest || *rest)
            continue;
        return o.d == ids->d && (o.f == NO_ID || ids->f == NO_ID || o.f == ids->f) &&
               (o.b == NO_ID || ids->b == NO_ID || o.b == ids->b);
    }
    return false;
}

static bool value_ok(const struct schema_key *k, const char *v, const struct ids *ids)
{
    switch (k->type) {
    case SCHEMA_UINT:
        return is_uint(v, k->min, k->max);
    case SCHEMA_ENUM:
        for (unsigned i = 0; k->values[i]; i++) {
            if (strcmp(v, k->values[i]) == 0)
                return true;
        }
        return false;
    case SCHEMA_PATH:
        return is_path(v, k->dir, ids);
    case SCHEMA_DOMID: {
        uint32_t want = k->other == 'B' ? ids->b : ids->f;

        return is_uint(v, 0, 32751) && (want == NO_ID || strtoul(v, NULL, 10) == want);
    }
    case SCHEMA_UUID:
        return is_uuid(v);
    case SCHEMA_DEVICE:
        return is_uint(v, 0, 63) || (strncmp(v, "GPU-", 4) == 0 && is_uuid(v + 4));
    case SCHEMA_VERSIONS:
        return is_versions(v);
    case SCHEMA_TEXT:
        return is_text(v, k->max);
    }
    return false;
}

static const struct node *find_node(const struct check *c, const char *dir, size_t n,
                                    const char *key)
{
    for (size_t i = 0; i < c->n; i++) {
        const char *p = c->nodes[i].path;

        if (strncmp(p, dir, n) == 0 && p[n] == '/' && strcmp(p + n + 1, key) == 0)
            return &c->nodes[i];
    }
    return NULL;
}

struct run {
    const struct check *c;
    check_report *report;
    void *arg;
    unsigned found;
};

static void tell(struct run *r, const char *path, const char *value, const char *allowed)
{
    r->found++;
    r->report(r->arg, path, value, allowed);
}

static void check_perms(struct run *r, const struct schema_dir *d, const struct ids *ids,
                        const struct node *n, uint32_t other)
{
    char want[64];
    uint32_t owner = d->owner == 'B' ? ids->b : ids->f, reader = d->reader == 'B' ? ids->b : ids->f;

    if (!n->perms || d->owner == '-')
        return;
    if (owner == NO_ID)
        owner = other;
    if (reader == NO_ID)
        reader = other;
    if (owner == NO_ID || reader == NO_ID)
        return;
    snprintf(want, sizeof(want), "n%u,r%u", owner, reader);
    if (strcmp(n->perms, want) != 0) {
        char allowed[128];

        snprintf(allowed, sizeof(allowed), "permissions %s, not %s", want, n->perms);
        tell(r, n->path, n->value, allowed);
    }
}

static const struct schema_key *find_key(const struct schema_dir *d, const char *name)
{
    for (unsigned i = 0; i < d->nkeys; i++) {
        if (strcmp(d->keys[i].name, name) == 0)
            return &d->keys[i];
    }
    return NULL;
}

static void unknown_key(struct run *r, const struct schema_dir *d, const struct node *n)
{
    char list[512] = "one of";
    size_t used = strlen(list);

    for (unsigned i = 0; i < d->nkeys && used < sizeof(list) - 40; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, " %s", d->keys[i].name);
    tell(r, n->path, n->value, list);
}

/* What must be there in the state that the directory is in. */
static void check_required(struct run *r, const struct schema_dir *d, const char *dir)
{
    size_t len = strlen(dir);
    const struct node *state = find_node(r->c, dir, len, "state");
    unsigned long s = state && is_uint(state->value, 1, 8) ? strtoul(state->value, NULL, 10) : 1;

    for (unsigned i = 0; i < d->nkeys; i++) {
        char path[512], allowed[256];

        if (!(d->keys[i].states & 1u << s) || find_node(r->c, dir, len, d->keys[i].name))
            continue;
        snprintf(path, sizeof(path), "%s/%s", dir, d->keys[i].name);
        snprintf(allowed, sizeof(allowed), "present in state %lu: %s", s, d->keys[i].allowed);
        tell(r, path, "", allowed);
    }
}

/* Is this the first node of its directory? */
static bool first_of_dir(const struct check *c, size_t i, size_t len)
{
    for (size_t k = 0; k < i; k++) {
        if (strncmp(c->nodes[k].path, c->nodes[i].path, len) == 0 &&
            (c->nodes[k].path[len] == '/' || c->nodes[k].path[len] == '\0'))
            return false;
    }
    return true;
}

/* The other end's domain, from the key that names it, for patterns that do not. */
static uint32_t other_domain(const struct check *c, const char *dir, size_t len)
{
    const struct node *n = find_node(c, dir, len, "backend-id");

    return n && is_uint(n->value, 0, 32751) ? (uint32_t)strtoul(n->value, NULL, 10) : NO_ID;
}

unsigned check_run(struct check *c, check_report *report, void *arg)
{
    struct run r = {c, report, arg, 0};

    for (size_t i = 0; i < c->n; i++) {
        const struct node *n = &c->nodes[i];
        const struct schema_key *k;
        const struct schema_dir *d;
        const char *rest;
        struct ids ids;
        size_t len;

        d = find_dir(n->path, &ids, &rest);
        if (!d)
            continue;
        len = (size_t)(rest - n->path);
        if (d->owner != '-' && first_of_dir(c, i, len)) {
            char dir[256];

            snprintf(dir, sizeof(dir), "%.*s", (int)len, n->path);
            check_required(&r, d, dir);
        }
        check_perms(&r, d, &ids, n, other_domain(c, n->path, len));
        if (!*rest)
            continue;
        k = find_key(d, rest + 1);
        if (ids.b == NO_ID && k && k->type == SCHEMA_PATH)
            ids.b = other_domain(c, n->path, len); /* both keys must name the same domain */
        if (!k)
            unknown_key(&r, d, n);
        else if (!value_ok(k, n->value, &ids))
            tell(&r, n->path, n->value, k->allowed);
    }
    return r.found;
}

unsigned check_dirs(const struct check *c)
{
    unsigned count = 0;

    for (size_t i = 0; i < c->n; i++) {
        const char *rest;
        struct ids ids;
        const struct schema_dir *d = find_dir(c->nodes[i].path, &ids, &rest);

        if (d && d->owner != '-')
            count += first_of_dir(c, i, (size_t)(rest - c->nodes[i].path));
    }
    return count;
}
