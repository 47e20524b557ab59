/* SPDX-License-Identifier: MIT */
/*
 * adopt.c - a restarted broker finds the workers of the one before it: their sockets, records and
 * statistics are files in run_dir.
 */
#include "dom0-backend/broker/worker_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/common/clock.h"
#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

#define ADOPT_MS 3000 /* for all of them together */

static bool read_record(struct worker *w)
{
    char path[108];

    worker_path(w, "info", path, sizeof(path));
    w->rec_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (w->rec_fd < 0 ||
        pread(w->rec_fd, &w->rec, sizeof(w->rec), 0) <
            (ssize_t)offsetof(struct worker_record, park) ||
        w->rec.magic != RECORD_MAGIC || w->rec.start == 0)
        return false;
    w->pid = w->rec.pid;
    w->uid = w->rec.uid;
    w->params = w->rec.params;
    w->params.device[sizeof(w->params.device) - 1] = '\0';
    w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
    /* In this order: a pid that is reused after the check has another start time. */
    return w->pidfd >= 0 && worker_start_time(w->pid) == w->rec.start;
}

static bool say_hello(struct worker *w)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct wk_msg m = {.type = WK_HELLO};

    w->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    worker_path(w, "sock", a.sun_path, sizeof(a.sun_path));
    return w->sock >= 0 && connect(w->sock, (struct sockaddr *)&a, sizeof(a)) == 0 &&
           fdmsg_send(w->sock, &m, sizeof(m), NULL, 0) == 0;
}

/* Its answer, at the latest at `until`: a worker may be in the middle of mapping a chunk. */
static bool hear(struct worker *w, int64_t until)
{
    struct pollfd p = {.fd = w->sock, .events = POLLIN};
    int nfds;

    do {
        int64_t left = until - now_ms();

        if (poll(&p, 1, left < 0 ? 0 : (int)left) <= 0)
            return false;
        if (fdmsg_recv(w->sock, &w->ready, sizeof(w->ready), NULL, 0, &nfds, 1) != 1)
            return false;
    } while (w->ready.type != WK_READY); /* a WK_DONE or WK_LOG that was under way */
    return true;
}

static void forget(struct worker *w)
{
    worker_unlink_files(w);
    worker_free(w);
}

/* What takes a worker off its device, or puts it back, is not disturbed in that. */
static void wait_helper(const struct worker *w)
{
    struct pollfd p = {.events = POLLIN};

    if (w->rec.park.state != PARK_REC_MOVING || w->rec.park.helper <= 0)
        return;
    p.fd = (int)syscall(SYS_pidfd_open, w->rec.park.helper, 0);
    if (p.fd < 0)
        return;
    poll(&p, 1, ADOPT_MS);
    close(p.fd);
}

/* A worker that is there and has been asked; NULL: there is none, and its files are gone. */
static struct worker *ask(struct broker *b, uint32_t id)
{
    struct worker_params none = {.device = "0"};
    struct worker *w = worker_new(b, &none);

    if (!w)
        return NULL;
    w->id = id;
    if (!read_record(w)) {
        forget(w);
        return NULL;
    }
    wait_helper(w);
    if (!say_hello(w)) {
        worker_kill(w);
        forget(w);
        return NULL;
    }
    return w;
}

static void adopt_one(struct worker *w, int64_t until,
                      bool (*adopt)(struct broker *, struct worker *))
{
    struct broker *b = w->b;
    char path[108];

    if (!hear(w, until)) {
        log_warn("worker %d of an earlier gvm-backd does not answer: killed", (int)w->pid);
        worker_kill(w);
        forget(w);
        return;
    }
    worker_path(w, "stats", path, sizeof(path));
    w->stats_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    w->state = WORKER_SERVING;
    fault_point("broker.adopt", w->ready.domid);
    worker_link(w);
    if (!adopt(b, w)) {
        w->rec.park.uuid[0] = '\0';
        log_info("worker %d has lost its guest: ended", (int)w->pid);
        worker_end(w);
    }
    if (w->id >= b->next_worker)
        b->next_worker = w->id + 1;
}

void worker_adopt_all(struct broker *b, bool (*adopt)(struct broker *b, struct worker *w))
{
    static struct worker *found[1024];
    DIR *d = opendir(b->cfg.run_dir);
    struct dirent *e;
    unsigned n = 0;
    uint32_t ids[1024];
    int64_t until;

    if (!d)
        return;
    while ((e = readdir(d)) && n < 1024) {
        char tail[8] = "";
        uint32_t id;

        if (sscanf(e->d_name, "worker-%u.%7s", &id, tail) == 2 && strcmp(tail, "sock") == 0)
            ids[n++] = id;
    }
    closedir(d);
    /* All are asked before the first answer is waited for. */
    for (unsigned i = 0; i < n; i++)
        found[i] = ask(b, ids[i]);
    until = now_ms() + ADOPT_MS;
    for (unsigned i = 0; i < n; i++) {
        if (found[i])
            adopt_one(found[i], until, adopt);
    }
}
