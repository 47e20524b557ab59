/* SPDX-License-Identifier: MIT */
/*
 * parkgpu.c - a worker's state stays in the worker: a helper process (gvm-worker --park, --unpark)
 * has the driver take it off its GPU, into this domain's memory, and put it back. What it will need
 * of the GPU's memory then is kept from others meanwhile.
 */
#include "dom0-backend/broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dom0-backend/broker/cgroup.h"
#include "dom0-backend/broker/limits.h"

extern char **environ;

/* gvm-worker --park or --unpark, under way. */
struct helper {
    struct chan *ch; /* NULL: gone meanwhile */
    int out;         /* its output */
    pid_t pid;
    bool park;
    ev_io io;
    void (*done)(void *arg, struct chan *ch, int err, const char *why);
    void *arg;
    char text[200];
    size_t n;
};

uint64_t park_bytes(const struct worker *w)
{
    struct wk_stats s = {0};

    worker_stats(w, &s);
    return s.mem_used + ((uint64_t)w->ready.context_mib << 20);
}

int park_room(uint64_t bytes, const char **why)
{
    static char text[160];
    unsigned long long kib = 0;
    uint64_t room, cgroup = cgroup_room();
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];

    while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemAvailable: %llu", &kib) != 1)
        ;
    if (f)
        fclose(f);
    room = kib * 1024 < cgroup ? kib * 1024 : cgroup;
    if (bytes <= room)
        return 0;
    snprintf(text, sizeof(text),
             "this domain has %" PRIu64
             " MiB of memory left, and what is on the GPU needs %" PRIu64,
             room >> 20, bytes >> 20);
    *why = text;
    return -ENOMEM;
}

/* ---- what the GPU's other users must leave */

uint64_t park_reserved(const struct broker *b, const char *gpu)
{
    uint64_t sum = 0;

    for (const struct worker *w = b->workers; w; w = w->next)
        if (park_is_off(w) && strcmp(w->ready.text, gpu) == 0)
            sum += w->rec.park.bytes;
    return sum;
}

uint64_t park_reserved_on(const struct broker *b, const char *device)
{
    uint64_t sum = 0;

    for (const struct worker *w = b->workers; w; w = w->next)
        if (park_is_off(w) && strcmp(w->params.device, device) == 0)
            sum += w->rec.park.bytes;
    return sum;
}

void park_account(struct broker *b)
{
    for (struct tenant *t = b->tenants; t; t = t->next) {
        const char *gpu = NULL;

        for (unsigned i = 0; i < TENANT_SLOTS && !gpu; i++)
            if (t->slot[i])
                gpu = t->slot[i]->ready.text;
        atomic_store(&t->page->reserved, gpu ? park_reserved(b, gpu) : 0);
    }
}

static void note(struct worker *w, unsigned state, pid_t helper)
{
    w->rec.park.state = state;
    w->rec.park.helper = helper;
    if (state == PARK_REC_NONE)
        memset(&w->rec.park, 0, sizeof(w->rec.park));
    worker_save(w);
    park_account(w->b);
}

/* ---- the helper */

static void helped(struct helper *x, bool ok)
{
    struct chan *ch = x->ch;
    struct worker *w = ch ? ch->w : NULL;
    const char *why = x->text[0] ? x->text : "gvm-worker has failed";

    if (ch)
        ch->park.helper = NULL;
    if (!w)
        ch = NULL; /* nobody is left to be told about */
    else if (x->park)
        note(w, ok ? PARK_REC_OFF : PARK_REC_NONE, 0);
    else if (ok)
        note(w, PARK_REC_NONE, 0);
    if (w && !park_is_off(w))
        limits_park(w, 0);
    if (w && !x->park && !ok) {
        log_warn("%s channel %u (guest pid %u): it does not come back to the device: %s",
                 ch->host->name, ch->id, ch->pid, why);
        worker_kill(w);
    }
    if (x->done)
        x->done(x->arg, ch, !ch ? -ESRCH : ok ? 0 : -EIO, why);
    if (ch && x->park && ch->park.wake)
        park_wake(ch);
}

static void on_helper(struct ev_loop *loop, ev_io *io, int revents)
{
    struct helper *x = io->data;
    ssize_t k = read(x->out, x->text + x->n, sizeof(x->text) - 1 - x->n);
    int status = 1;

    if (k > 0) {
        x->n += (size_t)k;
        if (x->n < sizeof(x->text) - 1)
            return;
    } else if (k < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    ev_io_stop(loop, io);
    close(x->out);
    /* It closes its output by ending. */
    while (waitpid(x->pid, &status, 0) < 0 && errno == EINTR)
        ;
    x->text[strcspn(x->text, "\n")] = '\0';
    helped(x, status == 0);
    free(x);
}

static int start_helper(struct chan *ch, bool park, uint32_t ms,
                        void (*done)(void *arg, struct chan *ch, int err, const char *why),
                        void *arg)
{
    struct broker *b = ch->host->b;
    struct helper *x = calloc(1, sizeof(*x));
    char pid[16], limit[16];
    char *argv[] = {
        "gvm-worker", park ? "--park" : "--unpark", pid, "--timeout-ms", limit, NULL, NULL, NULL};
    posix_spawn_file_actions_t fa;
    int p[2], err;

    if (!x)
        return -ENOMEM;
    if (b->cfg.kind) {
        argv[5] = "--kind";
        argv[6] = (char *)(uintptr_t)b->cfg.kind;
    }
    snprintf(pid, sizeof(pid), "%d", (int)ch->w->pid);
    snprintf(limit, sizeof(limit), "%u", ms);
    if (pipe2(p, O_CLOEXEC) < 0) {
        free(x);
        return -errno;
    }
    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_adddup2(&fa, p[1], STDOUT_FILENO);
    err = -posix_spawn(&x->pid, b->cfg.worker_path, &fa, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&fa);
    close(p[1]);
    if (err) {
        close(p[0]);
        free(x);
        return err;
    }
    x->out = p[0];
    x->ch = ch;
    x->park = park;
    x->done = done;
    x->arg = arg;
    ch->park.helper = x;
    if (park) {
        ch->w->rec.park.bytes = park_bytes(ch->w);
        ch->w->rec.park.since = (uint64_t)time(NULL);
        note(ch->w, PARK_REC_MOVING, x->pid);
    } else { /* whoever finds it half way puts it back */
        ch->w->rec.park.helper = x->pid;
        worker_save(ch->w);
    }
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    ev_io_init(&x->io, on_helper, p[0], EV_READ);
    x->io.data = x;
    ev_io_start(b->loop, &x->io);
    return 0;
}

void park_gone(struct chan *ch)
{
    struct helper *x = ch->park.helper;

    if (!x)
        return;
    ch->park.helper = NULL;
    x->ch = NULL; /* it ends by itself; whoever waits is told now, as it may not be there then */
    if (x->done)
        x->done(x->arg, NULL, -ESRCH, "the process has ended");
    x->done = NULL;
}

int park_off(struct chan *ch, uint32_t ms,
             void (*done)(void *arg, struct chan *ch, int err, const char *why), void *arg)
{
    int err;

    if (ch->park.state != PARK_STILL || ch->park.helper || !ch->w || park_is_off(ch->w))
        return -EINVAL;
    ch->park.wake = false;
    limits_park(ch->w, park_bytes(ch->w));
    err = start_helper(ch, true, ms, done, arg);
    if (err)
        limits_park(ch->w, 0);
    return err;
}

int park_on(struct chan *ch, void (*done)(void *arg, struct chan *ch, int err, const char *why),
            void *arg)
{
    if (ch->park.helper || !ch->w || !park_is_off(ch->w))
        return -EINVAL;
    return start_helper(ch, false, 0, done, arg);
}

static void woken(void *arg, struct chan *ch, int err, const char *why)
{
    if (ch && !err)
        park_go_on(ch);
}

void park_wake(struct chan *ch)
{
    int err;

    if (ch->park.state != PARK_STILL || !ch->w)
        return;
    if (ch->park.helper) {
        ch->park.wake = true; /* if it is on its way back already, that does no harm */
        return;
    }
    ch->park.wake = false;
    if (!park_is_off(ch->w)) {
        park_go_on(ch);
        return;
    }
    err = park_on(ch, woken, NULL);
    if (err) {
        log_warn("%s channel %u (guest pid %u): it cannot be put back: %s", ch->host->name, ch->id,
                 ch->pid, strerror(-err));
        worker_kill(ch->w);
    }
}
