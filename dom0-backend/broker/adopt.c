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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "dom0-backend/common/fault.h"
#include "dom0-backend/common/fdmsg.h"

static bool read_record(struct worker *w)
{
    char path[108];

    worker_path(w, "info", path, sizeof(path));
    w->rec_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (w->rec_fd < 0 || pread(w->rec_fd, &w->rec, sizeof(w->rec), 0) != (ssize_t)sizeof(w->rec) ||
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

static bool say_hello(struct worker *w, int timeout_ms)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct wk_msg m = {.type = WK_HELLO};
    struct pollfd p;
    int nfds;

    w->sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    worker_path(w, "sock", a.sun_path, sizeof(a.sun_path));
    if (w->sock < 0 || connect(w->sock, (struct sockaddr *)&a, sizeof(a)) < 0 ||
        fdmsg_send(w->sock, &m, sizeof(m), NULL, 0) < 0)
        return false;
    p = (struct pollfd){.fd = w->sock, .events = POLLIN};
    do {
        if (poll(&p, 1, timeout_ms) <= 0)
            return false;
        if (fdmsg_recv(w->sock, &w->ready, sizeof(w->ready), NULL, 0, &nfds, 1) != 1)
            return false;
    } while (w->ready.type != WK_READY); /* a WK_DONE or WK_LOG that was under way */
    return true;
}

static void adopt_one(struct broker *b, uint32_t id, int timeout_ms,
                      bool (*adopt)(struct broker *, struct worker *))
{
    struct worker_params none = {.device = "0"};
    struct worker *w = worker_new(b, &none);
    char path[108];

    if (!w)
        return;
    w->id = id;
    if (!read_record(w))
        goto gone;
    if (!say_hello(w, timeout_ms)) {
        log_warn("worker %d of an earlier gvm-backd does not answer: killed", (int)w->pid);
        worker_kill(w);
        goto gone;
    }
    worker_path(w, "stats", path, sizeof(path));
    w->stats_fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    w->state = WORKER_SERVING;
    fault_point("broker.adopt", w->ready.domid);
    worker_link(w);
    if (!adopt(b, w)) {
        log_info("worker %d has lost its guest: ended", (int)w->pid);
        worker_end(w);
    }
    if (id >= b->next_worker)
        b->next_worker = id + 1;
    return;
gone:
    worker_unlink_files(w);
    worker_free(w);
}

void worker_adopt_all(struct broker *b, bool (*adopt)(struct broker *b, struct worker *w))
{
    DIR *d = opendir(b->cfg.run_dir);
    uint32_t ids[1024];
    struct dirent *e;
    unsigned n = 0;

    if (!d)
        return;
    while ((e = readdir(d)) && n < 1024) {
        char tail[8] = "";
        uint32_t id;

        if (sscanf(e->d_name, "worker-%u.%7s", &id, tail) == 2 && strcmp(tail, "sock") == 0)
            ids[n++] = id;
    }
    closedir(d);
    for (unsigned i = 0; i < n; i++)
        adopt_one(b, ids[i], n > 8 ? 250 : 1000, adopt);
}
