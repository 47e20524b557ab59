/* SPDX-License-Identifier: MIT */
#include "tools/gvm/backd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/agent/conf.h"

#define ANSWER_MAX (16u << 20)

/* clang-format off */
const struct stat_field stat_fields[] = {
#define F(name, grows, what) {#name, offsetof(struct counters, name), grows, what}
    F(calls, true, "CUDA calls that the worker has executed"),
    F(launches, true, "kernel and graph launches"),
    F(doorbells_in, true, "times the guest woke its worker"),
    F(doorbells_out, true, "times a worker woke its guest"),
    F(bytes_in, true, "octets copied to the device"),
    F(bytes_out, true, "octets copied from the device"),
    F(busy_ns, true, "nanoseconds for which the device had the process's kernels"),
    F(wait_ns, true, "nanoseconds that calls took which guest threads waited for"),
    F(mem_used, false, "octets of device memory in use"),
    F(waiting, false, "guest threads that wait for a call now"),
    F(sticky, false, "CUDA error that ended the context, 0: none"),
#undef F
};
/* clang-format on */
_Static_assert(sizeof(stat_fields) / sizeof(stat_fields[0]) == NSTAT_FIELDS, "count the fields");

bool backd_path(const char *named, char *buf, size_t n)
{
    struct gvm_conf conf;

    if (!named)
        named = getenv("GVM_BACKD");
    if (named && *named)
        return (size_t)snprintf(buf, n, "%s.query", named) < n;
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    return (size_t)snprintf(buf, n, "%s/backd.sock", conf.run_dir) < n;
}

int backd_request(const char *path, const char *request)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    char line[256];
    int fd, n = snprintf(line, sizeof(line), "%s\n", request), err;

    if (strlen(path) >= sizeof(a.sun_path) || n >= (int)sizeof(line)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(a.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
        send(fd, line, (size_t)n, MSG_NOSIGNAL) == n)
        return fd;
    err = errno;
    close(fd);
    errno = err;
    return -1;
}

char *backd_ask(const char *path, const char *request)
{
    int fd = backd_request(path, request), err = 0;
    char *text = NULL;
    size_t n = 0;

    if (fd < 0)
        return NULL;
    for (;;) {
        char *more = n < ANSWER_MAX ? realloc(text, n + 65536 + 1) : NULL;
        ssize_t r;

        if (!more) {
            err = ENOMEM;
            break;
        }
        text = more;
        r = read(fd, text + n, 65536);
        if (r < 0)
            err = errno;
        if (r <= 0)
            break;
        n += (size_t)r;
    }
    close(fd);
    if (err || !text) {
        free(text);
        errno = err ? err : ENODATA;
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* Where the value of " key=" in a line begins; NULL if there is none. */
static const char *value(const char *line, const char *key)
{
    size_t n = strlen(key);
    const char *end = line + strcspn(line, "\n");

    for (const char *p = line; (p = strchr(p, ' ')) && p < end;) {
        p++;
        if (strncmp(p, key, n) == 0 && p[n] == '=')
            return p + n + 1;
    }
    return NULL;
}

static uint64_t number(const char *line, const char *key)
{
    const char *v = value(line, key);

    return v ? strtoull(v, NULL, 10) : 0;
}

static void read_counters(const char *line, struct counters *c)
{
    for (unsigned i = 0; i < NSTAT_FIELDS; i++) {
        uint64_t v = number(line, stat_fields[i].name);

        memcpy((char *)c + stat_fields[i].off, &v, sizeof(v));
    }
}

static bool add_device(struct sample *s, const char *line)
{
    struct vgpu_device *d = reallocarray(s->devices, s->ndevices + 1, sizeof(*d));
    const char *name = value(line, "device");

    if (!d)
        return false;
    s->devices = d;
    d += s->ndevices++;
    memset(d, 0, sizeof(*d));
    d->domid = (uint32_t)number(line, "domid");
    d->devid = (uint32_t)number(line, "devid");
    d->state = number(line, "state");
    d->mem = number(line, "mem");
    d->weight = number(line, "weight");
    d->channels = number(line, "channels");
    d->pages = number(line, "pages");
    d->max_pages = number(line, "max_pages");
    if (name)
        snprintf(d->device, sizeof(d->device), "%.*s", (int)strcspn(name, " \n"), name);
    read_counters(line, &d->c);
    return true;
}

static bool add_process(struct sample *s, const char *line)
{
    struct vgpu_process *p = reallocarray(s->processes, s->nprocesses + 1, sizeof(*p));

    if (!p)
        return false;
    s->processes = p;
    p += s->nprocesses++;
    memset(p, 0, sizeof(*p));
    p->domid = (uint32_t)number(line, "domid");
    p->devid = (uint32_t)number(line, "devid");
    p->channel = (uint32_t)number(line, "channel");
    p->pid = number(line, "pid");
    p->uid = number(line, "uid");
    p->worker = number(line, "worker");
    p->pages = number(line, "pages");
    read_counters(line, &p->c);
    return true;
}

static bool add_suspended(struct sample *s, const char *line)
{
    struct vgpu_suspended *p = reallocarray(s->suspended, s->nsuspended + 1, sizeof(*p));
    const char *uuid = value(line, "uuid");

    if (!p)
        return false;
    s->suspended = p;
    p += s->nsuspended++;
    memset(p, 0, sizeof(*p));
    if (uuid)
        snprintf(p->uuid, sizeof(p->uuid), "%.*s", (int)strcspn(uuid, " \n"), uuid);
    p->devid = (uint32_t)number(line, "devid");
    p->channel = (uint32_t)number(line, "channel");
    p->pid = number(line, "pid");
    p->worker = number(line, "worker");
    p->octets = number(line, "octets");
    p->since = number(line, "since");
    return true;
}

struct sample *sample_parse(const char *text)
{
    struct sample *s = calloc(1, sizeof(*s));
    bool good = s != NULL;

    for (const char *p = text; good && *p; p += strcspn(p, "\n"), p += *p == '\n') {
        if (strncmp(p, "backd ", 6) == 0) {
            const char *mode = value(p, "mode"), *version = value(p, "version");

            if (version)
                snprintf(s->version, sizeof(s->version), "%.*s", (int)strcspn(version, " \n"),
                         version);

            s->local = mode && strncmp(mode, "local", 5) == 0;
            s->now_ns = number(p, "now_ns");
            s->pid = number(p, "pid");
            s->pages = number(p, "pages");
            s->max_pages = number(p, "max_pages");
            s->workers = number(p, "workers");
            s->warm = number(p, "warm");
        } else if (strncmp(p, "device ", 7) == 0) {
            good = add_device(s, p);
        } else if (strncmp(p, "process ", 8) == 0) {
            good = add_process(s, p);
        } else if (strncmp(p, "suspended ", 10) == 0) {
            good = add_suspended(s, p);
        }
    }
    if (!good) {
        sample_free(s);
        return NULL;
    }
    return s;
}

void sample_free(struct sample *s)
{
    if (!s)
        return;
    free(s->devices);
    free(s->processes);
    free(s->suspended);
    free(s);
}

const struct vgpu_device *sample_device(const struct sample *s, uint32_t domid, uint32_t devid)
{
    for (unsigned i = 0; s && i < s->ndevices; i++) {
        if (s->devices[i].domid == domid && s->devices[i].devid == devid)
            return &s->devices[i];
    }
    return NULL;
}

const struct vgpu_process *sample_process(const struct sample *s, const struct vgpu_process *like)
{
    for (unsigned i = 0; s && i < s->nprocesses; i++) {
        const struct vgpu_process *p = &s->processes[i];

        if (p->domid == like->domid && p->devid == like->devid && p->channel == like->channel &&
            p->pid == like->pid && p->worker == like->worker)
            return p;
    }
    return NULL;
}

void human(uint64_t bytes, char *buf, size_t n)
{
    static const char units[] = "BKMGTPE";
    unsigned u = 0;
    uint64_t whole = bytes, rest = 0;

    while (whole >= 1024 && u < 6) {
        rest = whole % 1024;
        whole /= 1024;
        u++;
    }
    if (u && whole < 10 && rest)
        snprintf(buf, n, "%" PRIu64 ".%" PRIu64 "%c", whole, rest * 10 / 1024, units[u]);
    else
        snprintf(buf, n, "%" PRIu64 "%c", whole, units[u]);
}

void json_str(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f) /* names are ASCII; whatever else there is stays valid */
            fprintf(f, "\\u%04x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

void json_counters(FILE *f, const struct counters *c)
{
    for (unsigned i = 0; i < NSTAT_FIELDS; i++)
        fprintf(f, ",\"%s\":%" PRIu64, stat_fields[i].name, stat_get(c, i));
}

/* ---- options ------------------------------------------------------------------------------ */

bool opt_count(const char *who, const char *text, unsigned long *count)
{
    char *end;

    errno = 0;
    *count = strtoul(text, &end, 10);
    if (!*end && text[0] >= '0' && text[0] <= '9' && !errno && *count)
        return true;
    fprintf(stderr, "%s: --count %s: not a number from 1\n", who, text);
    return false;
}

bool opt_interval(const char *who, const char *text, double least, double *seconds)
{
    char *end;

    *seconds = strtod(text, &end);
    if (!*end && *seconds >= least && *seconds <= 3600)
        return true;
    fprintf(stderr, "%s: --interval %s: allowed are %g..3600 seconds\n", who, text, least);
    return false;
}
