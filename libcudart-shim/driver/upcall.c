/* SPDX-License-Identifier: MIT */
#include "upcall.h"
#include "capture.h"
#include "log.h"
#include "objects.h"
#include "stubs.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MAX (1u << 20)

static struct {
    pthread_mutex_t lock;
    struct gvm_upcall *v; /* by number - 1 */
    uint32_t *free;       /* numbers given back */
    uint32_t n, cap, nfree;
    struct gvm_chan *chan; /* of the thread; NULL: none */
    pthread_t thread;
} up = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool take(uint32_t id, struct gvm_upcall *u)
{
    bool ok;

    pthread_mutex_lock(&up.lock);
    ok = id - 1 < up.n && up.v[id - 1].fn;
    if (ok) {
        *u = up.v[id - 1];
        if (!u->kept) {
            up.v[id - 1].fn = NULL;
            up.free[up.nfree++] = id;
        }
    }
    pthread_mutex_unlock(&up.lock);
    return ok;
}

static void *run(void *arg)
{
    struct gvm_chan *c = arg;
    struct gvm_upcall u;
    uint32_t id, done = 0;
    int32_t status;
    int rc;

    for (;;) {
        id = 0;
        status = 0;
        rc = vgpu_UpcallWait(c, GVM_CALL_ANYWAY, done, &id, &status);
        if (rc)
            break; /* stopped, or the worker is gone */
        done = 1;
        if (!take(id, &u)) {
            gvm_log("the worker asks for function %u, which there is not", id);
            continue;
        }
        if (u.program)
            gvm_chan_bar(true);
        u.fn(u.arg, status);
        if (u.program)
            gvm_chan_bar(false);
    }
    return NULL;
}

static int start(struct gvm_chan *c)
{
    sigset_t all, old;
    int rc;

    if (up.chan)
        return 0;
    /* The program's signals are for its own threads. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&up.thread, NULL, run, c);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc)
        return 2;
    up.chan = c;
    return 0;
}

static int grow(void)
{
    uint32_t cap = up.cap ? 2 * up.cap : 64;
    void *v, *f;

    if (cap > SLOTS_MAX)
        return 2;
    v = realloc(up.v, cap * sizeof(*up.v));
    if (!v)
        return 2;
    up.v = v;
    f = realloc(up.free, cap * sizeof(*up.free));
    if (!f)
        return 2;
    up.free = f;
    up.cap = cap;
    return 0;
}

int gvm_upcall_new(struct gvm_chan *c, const struct gvm_upcall *u, uint32_t *id)
{
    int rc;

    pthread_mutex_lock(&up.lock);
    rc = start(c);
    if (rc == 0 && !up.nfree && up.n == up.cap)
        rc = grow();
    if (rc == 0) {
        *id = up.nfree ? up.free[--up.nfree] : ++up.n;
        up.v[*id - 1] = *u;
    }
    pthread_mutex_unlock(&up.lock);
    return rc;
}

void gvm_upcall_free(uint32_t id)
{
    pthread_mutex_lock(&up.lock);
    if (id - 1 < up.n && up.v[id - 1].fn) {
        up.v[id - 1].fn = NULL;
        up.free[up.nfree++] = id;
    }
    pthread_mutex_unlock(&up.lock);
}

void gvm_upcall_stop(struct gvm_chan *c)
{
    bool running;

    pthread_mutex_lock(&up.lock);
    running = up.chan == c;
    up.chan = NULL;
    pthread_mutex_unlock(&up.lock);
    if (running) {
        vgpu_UpcallStop(c, GVM_CALL_ANYWAY);
        pthread_join(up.thread, NULL);
    }
    pthread_mutex_lock(&up.lock);
    up.n = up.nfree = 0;
    pthread_mutex_unlock(&up.lock);
}

/* ---- host functions and callbacks -------------------------------------------------------- */

struct host_call {
    void (*fn)(void *arg);
    void (*callback)(void *stream, int status, void *arg);
    void *stream, *arg;
};

static void run_host(void *arg, int status)
{
    struct host_call h = *(struct host_call *)arg;

    free(arg);
    if (h.callback)
        h.callback(h.stream, status, h.arg);
    else
        h.fn(h.arg);
}

static int issue(uint64_t stream, const struct host_call *what)
{
    struct gvm_upcall u = {.fn = run_host, .program = true};
    struct host_call *h;
    struct gvm_sref s;
    struct gvm_chan *c;
    uint32_t id;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc == 0)
        rc = gvm_chan_check(c);
    if (rc)
        return rc;
    if (what->callback)
        GVM_CAPTURE(gvm_cap_refuse(stream));
    else
        GVM_CAPTURE(gvm_cap_host(stream, what->fn, what->arg));
    h = malloc(sizeof(*h));
    if (!h)
        return 2;
    *h = *what;
    u.arg = h;
    rc = gvm_upcall_new(c, &u, &id);
    if (rc) {
        free(h);
        return rc;
    }
    gvm_work_issue(c, &s);
    rc = vgpu_HostFunc(c, 0, s.id, id, h->callback ? 1 : 0);
    if (rc) {
        gvm_upcall_free(id);
        free(h);
    }
    return rc;
}

bool gvm_barred(void)
{
    return gvm_chan_barred();
}

int gvm_launch_host(uint64_t stream, void (*fn)(void *arg), void *arg)
{
    struct host_call h = {.fn = fn, .arg = arg};

    if (!fn)
        return 1;
    return issue(stream, &h);
}

int gvm_add_callback(uint64_t stream, uint64_t told,
                     void (*fn)(void *stream, int status, void *arg), void *arg, unsigned flags)
{
    struct host_call h = {.callback = fn, .stream = (void *)(uintptr_t)told, .arg = arg};

    if (!fn || flags)
        return 1;
    return issue(stream, &h);
}
