/* SPDX-License-Identifier: MIT */
/*
 * saved.c - gvm saved: states of programs in saved domains, of which only the operator knows whether
 * the image that they belong to still exists.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/common/states.h"
#include "tools/gvm/backd.h"
#include "tools/gvm/gvm.h"

static const char usage[] =
    "usage: gvm saved [--state-dir DIR] [--backd SOCKET] [remove UUID|all]\n"
    "Shows what is kept of saved domains until they are restored: the domain's UUID, its vgpu, "
    "how\n"
    "many programs, their size, when they were saved and until when they are kept (state_days of\n"
    "gvm.conf). remove: removes the states of a domain, or all of them; its image can be restored\n"
    "still, but CUDA programs in it get errors. States of a GPU are in workers of gvm-backd, "
    "which\n"
    "is asked; --backd: there. --state-dir: files there instead of gvm.conf's, and no workers.\n";

/* States of one device of a domain follow each other. */
struct walk {
    const char *dir, *remove; /* UUID or "all"; NULL: only shows */
    unsigned days;
    struct state_file now; /* of which there are `n`, of `size` octets; newest time */
    unsigned n, total, removed, failed;
    uint64_t size;
};

static void day(time_t t, char *buf, size_t n, const char *format)
{
    struct tm tm;

    if (!localtime_r(&t, &tm) || !strftime(buf, n, format, &tm))
        snprintf(buf, n, "?");
}

/* What is on no disk: gvm-backd knows. */
static void show_workers(struct walk *w, const struct sample *s)
{
    for (unsigned i = 0; i < s->nsuspended; i++) {
        const struct vgpu_suspended *p = &s->suspended[i];
        char at[32], until[48] = "for ever", used[24];

        human(p->octets, used, sizeof(used));
        day((time_t)p->since, at, sizeof(at), "%Y-%m-%d %H:%M");
        if (w->days)
            day((time_t)p->since + (time_t)w->days * 24 * 3600, until, sizeof(until),
                "until %Y-%m-%d");
        printf("%s vgpu %u: pid %" PRIu64 " in worker %" PRIu64
               ", %s of its GPU, saved %s, kept %s\n",
               p->uuid, p->devid, p->pid, p->worker, used, at, until);
        w->total++;
    }
}

/* The daemon may not run: then it has no workers. */
static void ask_backd(struct walk *w, const char *backd)
{
    char path[128], line[64], *text;
    struct sample *s;
    unsigned n;

    if (!backd_path(backd, path, sizeof(path)))
        return;
    snprintf(line, sizeof(line), w->remove ? "drop %s" : "list", w->remove);
    text = backd_ask(path, line);
    if (!text)
        return;
    s = w->remove ? NULL : sample_parse(text);
    if (s)
        show_workers(w, s);
    else if (w->remove && sscanf(text, "ok: %u", &n) == 1)
        w->removed += n;
    sample_free(s);
    free(text);
}

static void show(struct walk *w)
{
    char at[32], until[48] = "for ever";

    if (!w->n)
        return;
    day(w->now.time, at, sizeof(at), "%Y-%m-%d %H:%M");
    if (w->days)
        day(w->now.time + (time_t)w->days * 24 * 3600, until, sizeof(until), "until %Y-%m-%d");
    printf("%s vgpu %u: %u program%s, %.1f MiB, saved %s, kept %s\n", w->now.uuid, w->now.device,
           w->n, w->n == 1 ? "" : "s", (double)w->size / (1 << 20), at, until);
}

static void on_file(void *arg, const struct state_file *f)
{
    struct walk *w = arg;
    char path[400];

    if (f->entries)
        return;
    if (w->remove) {
        if (strcmp(w->remove, "all") != 0 && strcasecmp(w->remove, f->uuid) != 0)
            return;
        snprintf(path, sizeof(path), "%s/%s", w->dir, f->name);
        if (unlink(path) == 0) {
            w->removed++;
        } else {
            fprintf(stderr, "gvm saved: %s: %s\n", path, strerror(errno));
            w->failed++;
        }
        return;
    }
    if (w->n && (strcmp(w->now.uuid, f->uuid) != 0 || w->now.device != f->device)) {
        show(w);
        w->n = 0;
    }
    if (!w->n || f->time > w->now.time)
        w->now = *f;
    w->size = w->n ? w->size + f->size : f->size;
    w->n++;
    w->total++;
}

int cmd_saved(int argc, char **argv)
{
    static const struct option opts[] = {{"help", 0, NULL, 'h'},
                                         {"state-dir", 1, NULL, 'd'},
                                         {"backd", 1, NULL, 'b'},
                                         {NULL, 0, NULL, 0}};
    static struct gvm_conf conf;
    struct walk w = {.remove = NULL};
    struct state_file f;
    const char *dir = NULL, *backd = NULL;
    int c, err;

    while ((c = getopt_long(argc, argv, "h", opts, NULL)) != -1) {
        if (c == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (c != 'd' && c != 'b') {
            fputs(usage, stderr);
            return 2;
        }
        if (c == 'd')
            dir = optarg;
        else
            backd = optarg;
    }
    if (optind < argc) {
        if (argc - optind != 2 || strcmp(argv[optind], "remove") != 0) {
            fputs(usage, stderr);
            return 2;
        }
        w.remove = argv[optind + 1];
        if (strcmp(w.remove, "all") != 0 && (!states_name(w.remove, &f) || w.remove[36])) {
            fprintf(stderr, "gvm saved: '%s': allowed are a domain's UUID, and all\n", w.remove);
            return 2;
        }
    }
    gvm_conf_load_file(GVM_CONF_FILE, &conf);
    w.dir = dir ? dir : conf.state_dir;
    w.days = conf.state_days;
    err = states_each(w.dir, on_file, &w);
    if (err && err != -ENOENT) {
        fprintf(stderr, "gvm saved: %s: %s\n", w.dir, strerror(-err));
        return 1;
    }
    if (!w.remove)
        show(&w);
    if (!dir || backd)
        ask_backd(&w, backd);
    if (w.remove) {
        printf("%u removed\n", w.removed);
        return w.failed || (!w.removed && strcmp(w.remove, "all") != 0) ? 1 : 0;
    }
    if (!w.total)
        printf("no states of saved domains in %s\n", w.dir);
    return 0;
}
