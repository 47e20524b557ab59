/* SPDX-License-Identifier: MIT */
#include "blocks.h"
#include "capture.h"
#include "mark.h"
#include "objects.h"
#include "stubs.h"

struct gvm_idtab gvm_streams = GVM_IDTAB_INIT(1, struct gvm_stream);

int gvm_after_wait(struct gvm_chan *c, int rc)
{
    gvm_output();
    gvm_shadow_pull();
    if (rc == 0)
        rc = gvm_chan_latched(c);
    return rc;
}

int gvm_stream_create(uint32_t flags, int priority, uint64_t *stream)
{
    struct gvm_stream *s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!stream || flags > GVM_STREAM_NON_BLOCKING)
        return 1;
    /* Priorities outside the range are brought into it, as the driver does. */
    if (priority > gvm.info.prio_least)
        priority = gvm.info.prio_least;
    if (priority < gvm.info.prio_greatest)
        priority = gvm.info.prio_greatest;
    s = gvm_id_new(&gvm_streams);
    if (!s)
        return 2;
    s->flags = flags;
    s->priority = priority;
    s->owner = gvm_owner();
    gvm_stream_made(!(flags & GVM_STREAM_NON_BLOCKING));
    rc = vgpu_StreamCreate(c, 0, s->o.id, flags, priority);
    if (rc) {
        gvm_stream_gone();
        gvm_id_free(&gvm_streams, s);
    } else {
        *stream = gvm_handle(&gvm_streams, s);
    }
    return rc;
}

int gvm_stream_destroy(uint64_t stream)
{
    struct gvm_stream *s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    s = gvm_id_get(&gvm_streams, stream);
    if (!s)
        return 400;
    if (gvm_capturing())
        gvm_cap_leave(stream);
    gvm_credit_drop(c, &s->credit);
    gvm_blocks_flush(c);
    /* Posted before the id is free: who mints it again comes later in the ring. */
    rc = vgpu_StreamDestroy(c, 0, s->o.id);
    gvm_stream_gone();
    gvm_id_free(&gvm_streams, s);
    return rc;
}

int gvm_stream_query(uint64_t stream)
{
    struct gvm_sref s;
    struct gvm_chan *c;
    uint64_t mark;
    bool barred;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_ask(stream));
    mark = gvm_work_mark(c);
    barred = gvm_chan_barred(); /* the driver API answers this inside of callbacks */
    if (barred)
        gvm_chan_bar(false);
    rc = vgpu_StreamQuery(c, 0, s.id);
    if (barred)
        gvm_chan_bar(true);
    if (rc == 0)
        gvm_shadow_pull();
    if (rc == 0 && gvm_is_legacy(&s))
        gvm_work_synced(c, mark);
    return rc ? rc : gvm_chan_latched(c);
}

int gvm_stream_wait_idle(struct gvm_chan *c, const struct gvm_sref *s)
{
    uint64_t mark = gvm_work_mark(c);
    int rc = gvm_mark_stream(c, s);

    if (rc < 0)
        rc = vgpu_StreamSync(c, 0, s->id);

    if (rc == 0 && gvm_is_legacy(s))
        gvm_work_synced(c, mark);
    return rc;
}

int gvm_stream_sync(uint64_t stream)
{
    struct gvm_sref s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    GVM_CAPTURE(gvm_cap_ask(stream));
    gvm_blocks_flush(c);
    return gvm_after_wait(c, gvm_stream_wait_idle(c, &s));
}

int gvm_stream_wait(uint64_t stream, uint64_t event)
{
    const struct gvm_event *e;
    struct gvm_sref s;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc == 0)
        rc = gvm_stream_ref(stream, &s);
    if (rc)
        return rc;
    e = gvm_id_get(&gvm_events, event);
    if (!e)
        return 400;
    if (e->cap || gvm_capturing()) {
        rc = gvm_cap_wait(stream, event, e, false);
        if (rc >= 0)
            return rc;
    }
    /* What an event of several processes is waited for is decided now, not when the worker comes to
     * it: another process may record it anew meanwhile. */
    return vgpu_StreamWaitEvent(c, e->flags & GVM_EVENT_INTERPROCESS ? VGPU_REC_REPLY : 0, s.id,
                                e->o.id);
}

static int look_up(uint64_t stream, struct gvm_stream *out)
{
    const struct gvm_stream *o;
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    *out = (struct gvm_stream){.o.id = (uint32_t)stream};
    if (stream <= GVM_STREAM_PER_THREAD)
        return 0;
    o = gvm_id_get(&gvm_streams, stream);
    if (!o)
        return 400;
    *out = *o;
    return 0;
}

int gvm_stream_flags(uint64_t stream, uint32_t *flags)
{
    struct gvm_stream s;
    int rc = look_up(stream, &s);

    if (rc == 0)
        *flags = s.flags;
    return rc;
}

int gvm_stream_get_flags(uint64_t stream, uint32_t *flags)
{
    GVM_CAPTURE(gvm_cap_refuse(stream));
    return gvm_stream_flags(stream, flags);
}

int gvm_stream_priority(uint64_t stream, int *priority)
{
    struct gvm_stream s;
    int rc = look_up(stream, &s);

    if (rc == 0)
        *priority = s.priority;
    return rc;
}

int gvm_stream_id(uint64_t stream, uint64_t *id)
{
    struct gvm_stream s;
    int rc = look_up(stream, &s);

    if (rc == 0)
        *id = stream <= GVM_STREAM_PER_THREAD ? (stream ? stream : GVM_STREAM_LEGACY) : stream;
    return rc;
}
