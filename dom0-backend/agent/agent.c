/* SPDX-License-Identifier: MIT */
/*
 * agent.c - follows domains as they come and go.
 *
 * Every hit of @introduceDomain or @releaseDomain means: enumerate all domains and compare. Which
 * vgpus a new domain gets:
 *   - it has some already (gvm attach, or an earlier agent): nothing to do;
 *   - it is rebooted, restored or received by a migration: what is kept for its UUID;
 *   - otherwise what the one configuration file with its name says.
 */
#include "dom0-backend/agent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "dom0-backend/agent/find.h"
#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/agent/saved.h"
#include "dom0-backend/agent/wanted.h"
#include "dom0-backend/common/log.h"
#include "dom0-backend/common/states.h"
#include "dom0-backend/common/xs.h"
#include "dom0-backend/common/xslife.h"
#include "vgpu_keys.h"

#define REBOOT_S 60. /* between the end of a domain and its next life */

struct domain {
    struct domain *next;
    uint32_t id;
    char uuid[37];
    bool seen;
    ev_tstamp died; /* 0: alive */
};

static struct {
    struct xs_handle *xs;
    const struct gvm_conf *conf;
    struct domain *domains;
    ev_io io, hangup;
    int hangup_fd;
} agent;

static struct domain *find_domain(uint32_t id)
{
    for (struct domain *d = agent.domains; d; d = d->next) {
        if (d->id == id && !d->died)
            return d;
    }
    return NULL;
}

/* Was there a domain of this UUID until just now? */
static bool rebooted(const char *uuid)
{
    for (struct domain *d = agent.domains; d; d = d->next) {
        if (d->died && strcmp(d->uuid, uuid) == 0)
            return true;
    }
    return false;
}

/* Is this domain named by its number, which the next one that is started will not have? */
static bool is_number(const char *backend)
{
    uint64_t v;

    return xs_parse_uint(backend, 0, XS_MAX_DOMID, &v);
}

/* One entry. True if the domain has the device now, or as soon as its backend's domain is there. */
static bool give(uint32_t id, const char *name, uint32_t devid, const char *text)
{
    struct vgpu_spec spec;
    char why[256];
    int err;

    if (gvm_conf_spec(agent.conf, text, &spec, why, sizeof(why))) {
        log_warn("domain %u '%s': vgpu entry '%s' is not used: %s", id, name, text, why);
        return false;
    }
    err = nodes_create(agent.xs, id, &devid, &spec);
    if (err == -EEXIST)
        return true;
    if (err == -ENOENT && !is_number(spec.backend) &&
        wanted_put(agent.xs, XBT_NULL, id, devid, &spec) == 0) {
        log_info("domain %u '%s': vgpu %u: waits for backend domain %s", id, name, devid,
                 spec.backend);
        return true;
    }
    if (err) {
        log_warn("domain %u '%s': vgpu entry '%s': %s%s", id, name, text,
                 err == -ENOENT ? "no such backend domain: " : "",
                 err == -ENOENT ? spec.backend : strerror(-err));
        return false;
    }
    log_info("domain %u '%s': vgpu %u: backend %s, device %s, mem %llu, weight %u, cap %u", id,
             name, devid, spec.backend, spec.device, (unsigned long long)spec.mem, spec.weight,
             spec.cap);
    return true;
}

static void give_saved(uint32_t id, const char *name, const struct saved *s)
{
    for (uint32_t d = 0; d < VGPU_MAX_DEVICES; d++) {
        if (s->has[d])
            give(id, name, d, s->spec[d]);
    }
}

static void give_config(uint32_t id, const char *name, const char *uuid, const struct xlcfg *cfg)
{
    static struct saved s;
    uint32_t d = 0;

    memset(&s, 0, sizeof(s));
    for (unsigned i = 0; i < cfg->nvgpu; i++) {
        if (!give(id, name, d, cfg->vgpu[i]))
            continue;
        s.has[d] = true;
        snprintf(s.spec[d], sizeof(s.spec[d]), "%s", cfg->vgpu[i]);
        d++;
    }
    if (cfg->vgpu_lost)
        log_warn(
            "domain %u '%s': %u vgpu entries are not used: allowed are %d of at most %d octets", id,
            name, cfg->vgpu_lost, XLCFG_MAX_VGPU, VGPU_SPEC_MAX);
    saved_store(agent.conf->state_dir, uuid, &s);
}

static bool has_devices(uint32_t id)
{
    char path[64];
    unsigned n;
    uint32_t *list;

    snprintf(path, sizeof(path), "/local/domain/%u/device/vgpu", id);
    list = xs_numbers(agent.xs, path, VGPU_MAX_DEVICES - 1, &n);
    free(list);
    return n > 0;
}

static void list_dirs(char *buf, size_t n)
{
    size_t used = 0;

    buf[0] = '\0';
    for (unsigned i = 0; i < agent.conf->nconfig_dirs && used < n; i++)
        used += (size_t)snprintf(buf + used, n - used, "%s%s", i ? ", " : "",
                                 agent.conf->config_dirs[i]);
}

/*
 * A domain is given its vgpus once: one that was detached from a running domain must not come back
 * because the daemon was restarted. run_dir does not outlive the host's boot, as domains do not.
 */
static void known_path(uint32_t id, const char *uuid, char *buf, size_t n)
{
    snprintf(buf, n, "%s/known-%u-%s", agent.conf->run_dir, id, uuid);
}

static bool is_known(uint32_t id, const char *uuid)
{
    char path[160];

    known_path(id, uuid, path, sizeof(path));
    return access(path, F_OK) == 0;
}

static void set_known(uint32_t id, const char *uuid, bool known)
{
    char path[160];
    int fd;

    known_path(id, uuid, path, sizeof(path));
    if (!known) {
        unlink(path);
        return;
    }
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        log_warn("%s: %m", path);
    else
        close(fd);
}

struct count {
    const char *uuid;
    unsigned programs;
};

static void count_programs(void *arg, const struct state_file *f)
{
    struct count *c = arg;

    c->programs += !f->entries && strcmp(f->uuid, c->uuid) == 0;
}

/*
 * Is it the domain for which entries are kept, in its next life? xl create makes up a new UUID, so
 * that an old one comes with a reboot or a restore only, of which nothing else tells us: neither
 * Xen nor xl mark a restored domain, and the agent may have been started since the save. But a file
 * may give the UUID. Then the domain is taken for a new one, unless it ended just now or programs
 * that were saved with it wait for it.
 */
static bool was_here(const char *uuid, const char *uuid_of_file)
{
    struct count c = {.uuid = uuid};

    if (strcasecmp(uuid, uuid_of_file) != 0 || rebooted(uuid))
        return true;
    states_each(agent.conf->state_dir, count_programs, &c);
    return c.programs > 0;
}

static void new_domain(uint32_t id, const char *uuid)
{
    static struct saved s;
    static struct xlcfg cfg;
    char dir[64], name[128] = "", files[1024];
    bool have, incoming = false;
    unsigned n;

    if (has_devices(id) || is_known(id, uuid))
        return;
    snprintf(dir, sizeof(dir), "/local/domain/%u", id);
    if (xs_get(agent.xs, XBT_NULL, dir, "name", name, sizeof(name))) {
        log_warn("domain %u has no usable name: its configuration file cannot be found", id);
        return;
    }
    if (strlen(name) > 10 && strcmp(name + strlen(name) - 10, "--incoming") == 0) {
        name[strlen(name) - 10] = '\0'; /* by xl migrate, which renames it when it is complete */
        incoming = true;
    }
    have = saved_load(agent.conf->state_dir, uuid, &s) == 0;
    n = find_config(agent.conf, name, &cfg, files, sizeof(files));
    if (have && (incoming || was_here(uuid, n == 1 ? cfg.uuid : ""))) {
        log_info("domain %u '%s': was here before: has the vgpus that it had", id, name);
        give_saved(id, name, &s);
    } else if (n == 1) {
        give_config(id, name, uuid, &cfg);
    } else if (n > 1) {
        log_warn("domain %u '%s': no vgpu: %u files have this name: %s", id, name, n, files);
    } else {
        list_dirs(files, sizeof(files));
        log_info("domain %u '%s': no vgpu: no file in %s has this name (gvm attach %s SPEC gives "
                 "it one)",
                 id, name, files, name);
    }
}

static void lost_domain(struct domain *d)
{
    log_debug("domain %u is gone", d->id);
    nodes_remove_domain(agent.xs, d->id);
    set_known(d->id, d->uuid, false);
    d->died = ev_time();
}

static void forget_old(void)
{
    struct domain **p = &agent.domains, *d;

    while ((d = *p)) {
        if (d->died && (ev_time() - d->died > REBOOT_S || d->died > ev_time())) {
            *p = d->next;
            free(d);
        } else {
            p = &d->next;
        }
    }
}

/* A domain that xenstored no longer knows is gone even while its directory is being removed. */
static bool is_there(uint32_t id)
{
    return xs_is_domain_introduced(agent.xs, id);
}

/*
 * A device whose backend is another domain. If that has ended, nobody but us can take the other half
 * away, by which the guest's driver sees that the device is gone; and nobody but us knows what to
 * make it of when the domain is there again.
 */
static void look_after(void *arg, uint32_t front, uint32_t devid, const char *entry)
{
    struct vgpu_spec spec;
    char why[256];
    int err;

    if (nodes_has_back(agent.xs, front, devid) || xs_lost(agent.xs))
        return;
    if (!is_there(front) || vgpu_spec_parse(entry, &spec, why, sizeof(why))) {
        wanted_forget(agent.xs, front, devid);
        return;
    }
    if (nodes_remove_front(agent.xs, front, devid) == 0)
        log_warn("domain %u: vgpu %u: backend domain %s is gone: the device is taken away%s", front,
                 devid, spec.backend,
                 is_number(spec.backend) ? "" : " until a domain of this name is there");
    if (is_number(spec.backend)) {
        wanted_forget(agent.xs, front, devid);
        return;
    }
    err = nodes_create(agent.xs, front, &devid, &spec);
    if (!err)
        log_info("domain %u: vgpu %u: backend domain %s is there: device %s, mem %llu, weight %u, "
                 "cap %u",
                 front, devid, spec.backend, spec.device, (unsigned long long)spec.mem, spec.weight,
                 spec.cap);
    else if (err != -ENOENT)
        log_warn("domain %u: vgpu %u: '%s': %s", front, devid, entry, strerror(-err));
}

static void enumerate(void)
{
    struct domain *d;
    unsigned n;
    uint32_t *ids = xs_numbers(agent.xs, "/local/domain", XS_MAX_DOMID, &n);

    for (d = agent.domains; d; d = d->next)
        d->seen = false;
    for (unsigned i = 0; ids && i < n; i++) {
        char uuid[37];

        if (ids[i] == 0 || !is_there(ids[i]))
            continue;
        d = find_domain(ids[i]);
        if (d) {
            d->seen = true;
            continue;
        }
        if (nodes_domain_uuid(agent.xs, ids[i], uuid))
            continue; /* not made by a toolstack (yet) */
        d = calloc(1, sizeof(*d));
        if (!d)
            break;
        d->id = ids[i];
        d->seen = true;
        strcpy(d->uuid, uuid);
        new_domain(d->id, uuid);
        set_known(d->id, uuid, true);
        d->next = agent.domains;
        agent.domains = d;
    }
    free(ids);
    if (xs_lost(agent.xs)) /* who was not seen may be there */
        return;
    for (d = agent.domains; d; d = d->next) {
        if (!d->seen && !d->died)
            lost_domain(d);
    }
    wanted_each(agent.xs, look_after, NULL);
    forget_old();
}

/* Directories of domains that died while no agent ran. */
static void remove_stale(void *arg, uint32_t back, uint32_t front, uint32_t devid)
{
    if (!is_there(front)) {
        log_info("domain %u is gone: its vgpu %u is removed", front, devid);
        nodes_remove(agent.xs, front, back, devid);
    }
}

/* Marks of domains that died while no agent ran. */
static void forget_stale(void)
{
    DIR *d = opendir(agent.conf->run_dir);
    struct dirent *e;

    while (d && (e = readdir(d))) {
        unsigned id;
        char uuid[37], now[37];

        if (sscanf(e->d_name, "known-%u-%36s", &id, uuid) != 2)
            continue;
        if (!is_there(id) || nodes_domain_uuid(agent.xs, id, now) || strcmp(uuid, now) != 0)
            set_known(id, uuid, false);
    }
    if (d)
        closedir(d);
}

static void on_watch(struct ev_loop *loop, ev_io *io, int revents)
{
    bool hit = false;
    char **ev;

    errno = 0;
    while ((ev = xs_check_watch(agent.xs))) {
        hit = true;
        free(ev);
        errno = 0;
    }
    if (errno != EAGAIN && errno != 0) {
        ev_io_stop(loop, &agent.io);
        return;
    }
    if (hit)
        enumerate();
}

static void on_hangup(struct ev_loop *loop, ev_io *io, int revents)
{
    ev_io_stop(loop, io);
    log_error("the agent's connection to XenStore is gone: ended, to be started again");
    ev_break(loop, EVBREAK_ALL);
}

int agent_start(struct ev_loop *loop, const struct gvm_conf *conf)
{
    agent.conf = conf;
    agent.xs = xs_open_watched(&agent.hangup_fd);
    if (!agent.xs) {
        log_error("no connection to XenStore: %m");
        return -1;
    }
    if (!xs_watch(agent.xs, "@introduceDomain", "domlist") ||
        !xs_watch(agent.xs, "@releaseDomain", "domlist")) {
        log_error("XenStore watches: %m");
        return -1;
    }
    nodes_each_back(agent.xs, remove_stale, NULL);
    forget_stale();
    ev_io_init(&agent.io, on_watch, xs_fileno(agent.xs), EV_READ);
    if (agent.hangup_fd >= 0) {
        ev_io_init(&agent.hangup, on_hangup, agent.hangup_fd, EV_READ);
        ev_io_start(loop, &agent.hangup);
    }
    ev_io_start(loop, &agent.io); /* both watches fire at once: enumerate() follows */
    return 0;
}

void agent_stop(struct ev_loop *loop)
{
    struct domain *d;

    if (!agent.xs)
        return;
    ev_io_stop(loop, &agent.io);
    ev_io_stop(loop, &agent.hangup);
    xs_close(agent.xs);
    agent.xs = NULL;
    while ((d = agent.domains)) {
        agent.domains = d->next;
        free(d);
    }
}

static void conf_complain(void *arg, unsigned line, const char *text)
{
    log_warn("%s line %u: %s", (const char *)arg, line, text);
}

void conf_load(const char *path, struct gvm_conf *c)
{
    FILE *f = fopen(path, "re");
    char text[65536];
    size_t n;

    if (!f) {
        log_info("%s: %m: defaults are used", path);
        return;
    }
    n = fread(text, 1, sizeof(text), f);
    if (!feof(f))
        log_warn("%s: only the first %zu octets are read", path, sizeof(text));
    fclose(f);
    gvm_conf_parse(text, n, c, conf_complain, (void *)path);
}
