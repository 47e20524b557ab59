/* SPDX-License-Identifier: MIT */
/*
 * device.c - what belongs to the context as a whole: initialisation, errors, limits, reset, and
 * the text that kernels print.
 */
#include "blocks.h"
#include "capture.h"
#include "errors.h"
#include "log.h"
#include "module.h"
#include "mark.h"
#include "objects.h"
#include "pool.h"
#include "stage.h"
#include "stubs.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define OUTPUT_CHUNK (64u << 10)
#define VERSION_MAX  13000 /* what this library implements */

int gvm_init(void)
{
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    return rc ? rc : gvm_chan_sticky(c);
}

int gvm_alive(void)
{
    return gvm_stale();
}

const struct vgpu_device_info *gvm_device(int *err)
{
    struct gvm_chan *c;

    *err = gvm_need_chan(&c);
    return *err ? NULL : &gvm.info;
}

int gvm_usage(struct gvm_usage *u)
{
    struct gvm_chan *c;
    int rc = gvm_need_chan(&c);

    if (rc == 0)
        rc = vgpu_MemInfo(c, 0, &u->mem_free, &u->mem_total);
    if (rc == 0)
        rc = vgpu_Usage(c, 0, &u->mem_own, &u->busy_ns, &u->now_ns);
    return rc;
}

int gvm_sticky(void)
{
    struct gvm_chan *c = gvm_usable();

    return c ? gvm_chan_sticky(c) : 0;
}

int gvm_take_error(void)
{
    struct gvm_chan *c = gvm_usable();
    int rc;

    if (!c)
        return 0;
    rc = gvm_chan_latched(c);
    /* A fault is reported by the calls that come after it, not by asking for errors. */
    return rc == gvm_chan_sticky(c) ? 0 : rc;
}

int gvm_ctx_settle(struct gvm_chan *c)
{
    uint32_t streams = gvm_streams_count();
    uint64_t mark = gvm_work_mark(c);
    int rc;

    gvm_blocks_flush(c);
    rc = gvm_mark_all(c);
    if (rc < 0)
        rc = vgpu_CtxSync(c, 0);
    if (rc == 0) {
        gvm_streams_idle(streams);
        gvm_chan_settled(c);
        gvm_work_synced(c, mark);
    }
    return rc;
}

static int sync_all(struct gvm_chan *c)
{
    return gvm_after_wait(c, gvm_ctx_settle(c));
}

int gvm_ctx_sync(void)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_everything());
    return sync_all(c);
}

int gvm_ctx_wait(void)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    return rc ? rc : sync_all(c);
}

void gvm_ctx_sync_all(void)
{
    struct gvm_chan *c = gvm_usable();

    if (c)
        sync_all(c);
}

int gvm_get_limit(int limit, uint64_t *value)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    return rc ? rc : value ? vgpu_GetLimit(c, 0, limit, value) : 1;
}

int gvm_set_limit(int limit, uint64_t value)
{
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_unsafe());
    return vgpu_SetLimit(c, 0, limit, value);
}

static int version_known;

int gvm_driver_version(void)
{
    int v;

    if (gvm_usable())
        version_known = gvm.info.driver_version;
    v = version_known;
    return v && v < VERSION_MAX ? v : VERSION_MAX;
}

/* ---- output of kernels ------------------------------------------------------------------- */

/* Pieces of u8 fd, u8 0, u16 length, text. Through stdio: host and device text keep their order. */
static void print(const uint8_t *p, size_t n)
{
    while (n >= 4) {
        uint16_t len;
        FILE *f = p[0] == 2 ? stderr : stdout;

        memcpy(&len, p + 2, 2);
        p += 4;
        n -= 4;
        if (len > n)
            len = (uint16_t)n;
        fwrite(p, 1, len, f);
        fflush(f);
        p += len;
        n -= len;
    }
}

static bool printed;

bool gvm_has_printed(void)
{
    return __atomic_load_n(&printed, __ATOMIC_RELAXED);
}

void gvm_output(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    struct gvm_chan *c = gvm_usable();
    struct gvm_pool_ref ref;
    uint64_t size;
    void *p;

    if (!c || __builtin_expect(!VGPU_LOAD(&c->ch.back->output), 1))
        return;
    pthread_mutex_lock(&lock);
    p = gvm_pool_alloc(OUTPUT_CHUNK);
    if (p && gvm_pool_find(p, OUTPUT_CHUNK, &ref)) {
        /* Until the worker has no more; a worker that never ends must not hold the program. */
        for (int i = 0; i < 64 && VGPU_LOAD(&c->ch.back->output); i++) {
            size = 0;
            if (vgpu_OutputFetch(c, GVM_CALL_ANYWAY, ref.chunk, ref.off, ref.len, &size) || !size)
                break;
            print(p, size < OUTPUT_CHUNK ? size : OUTPUT_CHUNK);
            __atomic_store_n(&printed, true, __ATOMIC_RELAXED);
        }
    }
    if (p)
        gvm_pool_free(p, OUTPUT_CHUNK);
    pthread_mutex_unlock(&lock);
}

/* ---- for the runtime --------------------------------------------------------------------- */

void gvm_say(const char *fmt, ...)
{
    char line[900];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    gvm_log("%s", line);
}

int gvm_refused(const char *name, uint32_t *flag)
{
    return gvm_refuse(name, flag);
}

const struct gvm_error *gvm_error_info(int number)
{
    return gvm_error_find(number);
}
