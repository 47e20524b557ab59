/* SPDX-License-Identifier: MIT */
/*
 * doctor_back.c - the domain that has the device: Xen's interfaces, the daemon, and the budgets that
 * all guests share.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/agent/wanted.h"
#include "dom0-backend/common/states.h"
#include "dom0-backend/common/xs.h"
#include "gvm_version.h"
#include "tools/gvm/doctor.h"
#include "tools/gvm/vgpus.h"

#define MAPTRACK_FRAMES  1024u /* Xen's default of gnttab_max_maptrack_frames */
#define MAPTRACK_ENTRIES 256u  /* in a frame */
#define STATES_OLD_DAYS  7u    /* after which a state's image may have been forgotten */
#define GRANT_FRAMES     64u   /* default of gnttab_max_frames; 512 entries each */

static void check_xen(struct doctor *d)
{
    char major[16] = "?", minor[16] = "?";

    doc_read(d, "/sys/hypervisor/version/major", major, sizeof(major));
    doc_read(d, "/sys/hypervisor/version/minor", minor, sizeof(minor));
    if (atoi(major) * 100 + atoi(minor) >= 411)
        doc_good(d, "Xen", "%s.%s", major, minor);
    else
        doc_bad(d, "Xen", NULL, "version %s.%s; needed is 4.11 or newer (grant table version 1)",
                major, minor);
    if (!doc_exists(d, "/proc/xen/capabilities"))
        doc_bad(d, "xenfs", "mount -t xenfs xenfs /proc/xen", "is not mounted on /proc/xen");
}

static void check_nodes(struct doctor *d)
{
    static const struct {
        const char *path, *module, *what;
    } nodes[] = {
        {"/dev/xen/gntdev", "xen-gntdev", "guests' memory cannot be mapped"},
        {"/dev/xen/evtchn", "xen-evtchn", "guests cannot be woken"},
    };
    char mend[64];

    for (unsigned i = 0; i < 2; i++) {
        if (doc_exists(d, nodes[i].path)) {
            doc_good(d, nodes[i].module, "%s", nodes[i].path);
            continue;
        }
        snprintf(mend, sizeof(mend), "modprobe %s", nodes[i].module);
        doc_bad(d, nodes[i].module, mend, "%s is not there: %s", nodes[i].path, nodes[i].what);
    }
}

/* The value of NAME=N on Xen's command line; `otherwise` if it is not there. */
static unsigned xen_option(const char *cmdline, const char *name, unsigned otherwise)
{
    const char *at = cmdline;
    size_t n = strlen(name);

    while ((at = strstr(at, name))) {
        if ((at == cmdline || at[-1] == ' ') && at[n] == '=')
            return (unsigned)strtoul(at + n + 1, NULL, 0);
        at += n;
    }
    return otherwise;
}

/* Xen's command line, as the toolstack tells it; "" if it does not. */
static void xen_cmdline(const struct doctor *d, char *buf, size_t n)
{
    char text[1024];
    FILE *f;

    buf[0] = '\0';
    if (!doc_live(d)) { /* what `xl info` printed */
        doc_read(d, "/xl-info", buf, n);
        return;
    }
    f = d->role == DOC_DOM0 ? popen("xl info 2>/dev/null", "re") : NULL;
    while (f && fgets(text, sizeof(text), f))
        if (strncmp(text, "xen_commandline", 15) == 0)
            snprintf(buf, n, "%s", text);
    if (f)
        pclose(f);
}

/* Pages that can be mapped from guests: each takes an entry of Xen's maptrack, in a PV domain two. */
static void check_budget(struct doctor *d, const struct gvm_conf *conf, const struct sample *s)
{
    char cmdline[2048];
    uint64_t entries, pages;
    unsigned grants;

    xen_cmdline(d, cmdline, sizeof(cmdline));
    entries = (uint64_t)xen_option(cmdline, "gnttab_max_maptrack_frames", MAPTRACK_FRAMES) *
              MAPTRACK_ENTRIES;
    grants = xen_option(cmdline, "gnttab_max_frames", GRANT_FRAMES) * 512;
    pages = d->pv ? entries / 2 : entries;
    if (conf->max_host_pages > pages)
        doc_bad(d, "maptrack",
                "set max_host_pages in /etc/gvm/gvm.conf, or gnttab_max_maptrack_frames=4096 in "
                "GRUB_CMDLINE_XEN, update-grub, reboot",
                "max_host_pages is %" PRIu64 ", but Xen can map only %" PRIu64
                " pages here (%" PRIu64 " entries%s), disks and network cards included",
                conf->max_host_pages, pages, entries, d->pv ? ", two for a page" : "");
    else
        doc_good(d, "maptrack", "%" PRIu64 " of the %" PRIu64 " pages that Xen can map are for GVM",
                 conf->max_host_pages, pages);
    doc_good(d, "grants", "a guest has %u grants at most (%u MiB)%s", grants, grants / 256,
             cmdline[0] ? "" : ", if Xen was started without other values");
    if (!s)
        return;
    if (s->pages > s->max_pages / 10 * 8)
        doc_warn(d, "mapped pages", "raise max_host_pages in /etc/gvm/gvm.conf",
                 "%" PRIu64 " of %" PRIu64 " are in use: further programs will be refused",
                 s->pages, s->max_pages);
    else
        doc_good(d, "mapped pages", "%" PRIu64 " of %" PRIu64 " are in use", s->pages,
                 s->max_pages);
}

static void check_memory(struct doctor *d, const struct gvm_conf *conf)
{
    uint64_t kb, swap = 0;

    if (!doc_field(d, "/proc/meminfo", "MemAvailable:", &kb))
        return;
    doc_field(d, "/proc/meminfo", "SwapTotal:", &swap);
    if (kb < 512 * 1024)
        doc_warn(
            d, "memory",
            "xl mem-set 0 SIZE, or dom0_mem=SIZE,max:SIZE in GRUB_CMDLINE_XEN, update-grub, reboot",
            "%" PRIu64 " MiB are available here; a worker with a GPU takes about 500", kb / 1024);
    else
        doc_good(d, "memory",
                 "%" PRIu64 " MiB available here; %u workers are kept warm for a device", kb / 1024,
                 conf->warm_workers);
}

static void complain(void *arg, unsigned no, const char *text)
{
    doc_bad(arg, "gvm.conf", "edit " GVM_CONF_FILE, "line %u: %s", no, text);
}

static void check_conf(struct doctor *d, struct gvm_conf *conf)
{
    char text[65536];

    gvm_conf_default(conf);
    if (!doc_read(d, GVM_CONF_FILE, text, sizeof(text)))
        doc_good(d, "gvm.conf", "there is none: all defaults");
    else if (gvm_conf_parse(text, strlen(text), conf, complain, d) == 0)
        doc_good(d, "gvm.conf", "understood");
}

static void check_worker(struct doctor *d)
{
    static const char *const paths[] = {"/usr/lib/gvm/gvm-worker", "/usr/sbin/gvm-worker",
                                        "/usr/local/lib/gvm/gvm-worker",
                                        "/usr/local/sbin/gvm-worker", NULL};
    static const char *const jits[] = {"/usr/lib/gvm/gvm-ptx-jit.so", "/usr/sbin/gvm-ptx-jit.so",
                                       "/usr/local/lib/gvm/gvm-ptx-jit.so",
                                       "/usr/local/sbin/gvm-ptx-jit.so", NULL};
    const char *p = doc_first(d, paths);
    char beside[4096];
    ssize_t n;

    /* As gvm-backd looks: beside itself, where this program may be too. */
    n = !p && doc_live(d) ? readlink("/proc/self/exe", beside, sizeof(beside) - 16) : -1;
    if (n > 0) {
        beside[n] = '\0';
        strcpy(strrchr(beside, '/'), "/gvm-worker");
        if (access(beside, X_OK) == 0)
            p = beside;
    }
    if (p)
        doc_good(d, "gvm-worker", "%s%s", p,
                 doc_first(d, jits) ? "; the software device can compile kernels"
                                    : "; no gvm-ptx-jit.so: the software device interprets");
    else
        doc_bad(d, "gvm-worker", "apt install gvm-backd",
                "is in none of /usr/lib/gvm, /usr/sbin, /usr/local/lib/gvm, /usr/local/sbin");
}

/* Will it be there after a reboot? */
static void check_boot(struct doctor *d)
{
    if (doc_exists(d, "/usr/lib/systemd/system/gvm-backd.service") &&
        !doc_exists(d, "/etc/systemd/system/multi-user.target.wants/gvm-backd.service"))
        doc_warn(d, "service", "systemctl enable --now gvm-backd",
                 "gvm-backd is installed, but not started at boot");
}

struct kept {
    unsigned n;
    uint64_t size;
    time_t oldest;
};

static void count_state(void *arg, const struct state_file *f)
{
    struct kept *k = arg;

    if (f->entries)
        return;
    k->oldest = !k->n || f->time < k->oldest ? f->time : k->oldest;
    k->size += f->size;
    k->n++;
}

/* What is kept for images that, perhaps, nobody will restore. */
static void check_states(struct doctor *d, const struct gvm_conf *conf)
{
    struct kept k = {0};
    char dir[4096], until[64] = "for ever: state_days is 0";
    unsigned days;

    if ((size_t)snprintf(dir, sizeof(dir), "%s%s", d->root, conf->state_dir) >= sizeof(dir) ||
        states_each(dir, count_state, &k) || !k.n)
        return;
    days = (unsigned)(time(NULL) > k.oldest ? (time(NULL) - k.oldest) / (24 * 3600) : 0);
    if (conf->state_days)
        snprintf(until, sizeof(until), "for %u days", conf->state_days);
    if (days < STATES_OLD_DAYS)
        doc_good(d, "saved domains", "%u programs' states in %s, %" PRIu64 " MiB, kept %s", k.n,
                 conf->state_dir, k.size >> 20, until);
    else
        doc_warn(d, "saved domains", "gvm saved   (gvm saved remove UUID, if that image is gone)",
                 "%u programs' states in %s, %" PRIu64 " MiB, the oldest for %u days; kept %s", k.n,
                 conf->state_dir, k.size >> 20, days, until);
}

/* Ids of workers that are somebody's. */
static void check_uids(struct doctor *d, const struct gvm_conf *conf)
{
    char text[65536], *at;

    if (!conf->uid_base || !doc_read(d, "/etc/passwd", text, sizeof(text)))
        return;
    for (at = text; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        unsigned uid;
        char name[64];

        if (sscanf(at, "%63[^:]:%*[^:]:%u:", name, &uid) == 2 && uid >= conf->uid_base &&
            uid - conf->uid_base < 1000) {
            doc_warn(d, "uid_base", "set uid_base in /etc/gvm/gvm.conf to a range that is free",
                     "user %s has id %u, as a worker may (%u..%u)", name, uid, conf->uid_base,
                     conf->uid_base + 999);
            return;
        }
    }
}

static void check_vgpu(struct doctor *d, const struct vgpu *v)
{
    char what[32], mend[120];

    snprintf(what, sizeof(what), "vgpu d%u.%u", v->front, v->devid);
    if (v->bstate == XB_CONNECTED && v->fstate == XB_CONNECTED) {
        doc_good(d, what, "%s: connected", v->name);
    } else if (v->error[0]) {
        doc_bad(d, what, NULL, "%s: %s: %s", v->name, vgpu_state_name(v), v->error);
    } else if (v->bstate <= XB_INITIALISING) {
        snprintf(mend, sizeof(mend), "systemctl start gvm-backd   (in domain %u)", v->back);
        doc_bad(d, what, mend, "%s: no backend has taken it", v->name);
    } else {
        doc_warn(d, what, "modprobe xen-vgpufront   (in the guest; gvm doctor there says more)",
                 "%s: %s: the guest's driver has not connected", v->name, vgpu_state_name(v));
    }
}

struct waiting {
    struct doctor *d;
    struct xs_handle *xs;
};

/* A device whose backend's domain is not there. */
static void check_waiting(void *arg, uint32_t front, uint32_t devid, const char *entry)
{
    struct waiting *w = arg;
    struct vgpu_spec spec;
    char what[32], mend[120], why[256];

    if (nodes_has_back(w->xs, front, devid) || vgpu_spec_parse(entry, &spec, why, sizeof(why)))
        return;
    snprintf(what, sizeof(what), "vgpu d%u.%u", front, devid);
    snprintf(mend, sizeof(mend), "xl create /etc/xen/%s.cfg", spec.backend);
    doc_bad(w->d, what, mend, "waits for its backend domain %s, which is not there", spec.backend);
}

/* Live things only. Returns what gvm-backd says, NULL if it does not. */
static struct vgpus *check_daemon(struct doctor *d)
{
    struct xs_handle *xs = NULL;
    struct vgpus *l;

    if (geteuid() != 0) {
        doc_warn(d, "root", "sudo gvm doctor",
                 "without it XenStore and gvm-backd are not looked at");
        return NULL;
    }
    xs = xs_open(0);
    if (xs)
        doc_good(d, "XenStore", "answers");
    else
        doc_bad(d, "XenStore", "systemctl start xen", "does not answer: %s", strerror(errno));
    l = vgpus_get(xs, NULL);
    if (l && l->s && strcmp(l->s->version, GVM_VERSION) != 0)
        doc_warn(d, "version", "systemctl restart gvm-backd   (guests' work goes on)",
                 "gvm-backd is of version %s, this gvm of %s",
                 l->s->version[0] ? l->s->version : "unknown", GVM_VERSION);
    if (l && l->s)
        doc_good(d, "gvm-backd", "answers (pid %" PRIu64 "), %" PRIu64 " workers, %u vgpus",
                 l->s->pid, l->s->workers, l->n);
    else if (l)
        doc_bad(d, "gvm-backd", "systemctl start gvm-backd   (its log: journalctl -u gvm-backd)",
                "does not answer on %s: %s", l->path, strerror(l->err));
    for (unsigned i = 0; l && i < l->n; i++)
        check_vgpu(d, &l->v[i]);
    if (xs && d->role == DOC_DOM0)
        wanted_each(xs, check_waiting, &(struct waiting){d, xs});
    if (xs)
        xs_close(xs);
    return l;
}

void doctor_back(struct doctor *d)
{
    struct vgpus *l = NULL;
    struct gvm_conf conf;

    check_xen(d);
    check_nodes(d);
    check_conf(d, &conf);
    check_worker(d);
    check_boot(d);
    check_uids(d, &conf);
    check_states(d, &conf);
    if (doc_live(d))
        l = check_daemon(d);
    check_budget(d, &conf, l ? l->s : NULL);
    check_memory(d, &conf);
    vgpus_free(l);
}
