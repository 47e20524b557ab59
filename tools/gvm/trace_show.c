/* SPDX-License-Identifier: MIT */
#include "tools/gvm/trace_show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "dom0-backend/common/clock.h"
#include "trace.h"

static void print_head(FILE *f, const struct trace_ring *r, int64_t to_clock, uint64_t t_ns)
{
    uint64_t ns = t_ns + (uint64_t)to_clock;
    time_t s = (time_t)(ns / 1000000000u);
    char text[16] = "?";
    struct tm tm;

    if (localtime_r(&s, &tm))
        strftime(text, sizeof(text), "%H:%M:%S", &tm);
    fprintf(f, "%s.%06u d%u.%u/%u ", text, (unsigned)(ns % 1000000000u / 1000u), r->who.domid,
            r->who.devid, r->who.pid);
}

static uint32_t here(const struct tr_slot *s)
{
    return s->len < TR_DATA ? s->len : TR_DATA;
}

static void print_begin(FILE *f, const struct trace_ring *r, int64_t to_clock,
                        const struct tr_slot *b)
{
    print_head(f, r, to_clock, b->t_ns);
    vgpu_trace(f, b->data, here(b));
}

/* One line for a call that is over. */
static void print_call(FILE *f, struct trace_ring *r, int64_t to_clock, const struct tr_slot *e)
{
    struct trace_pending *p = &r->lane[e->lane % VGPU_LANES];
    bool known = p->open && p->begin.ticket == e->ticket;

    if (known) {
        print_begin(f, r, to_clock, &p->begin);
    } else { /* it had begun before we came, or that is lost */
        print_head(f, r, to_clock, e->t_ns);
        fprintf(f, "#%u lane %u (begun earlier)", e->ticket, e->lane);
    }
    vgpu_trace_result(f, e->op, e->status, e->data, here(e));
    if (known && e->t_ns >= p->begin.t_ns)
        fprintf(f, " <%.1f us>", (double)(e->t_ns - p->begin.t_ns) / 1e3);
    fputc('\n', f);
    p->open = false;
}

static void print_hanging(FILE *f, struct trace_ring *r, int64_t to_clock)
{
    uint64_t now = now_ns();

    for (unsigned i = 0; i < VGPU_LANES; i++) {
        struct trace_pending *p = &r->lane[i];

        if (!p->open || p->shown || (!r->ended && now - p->begin.t_ns < TRACE_HANGING_NS))
            continue;
        print_begin(f, r, to_clock, &p->begin);
        fputs(r->ended ? " (did not end)\n" : " (not over yet)\n", f);
        p->shown = true;
    }
}

/* A copy of the ring's slot: 1; 0: not there yet; -1: overwritten. */
static int take(const struct trace_ring *r, uint64_t n, struct tr_slot *out)
{
    const struct tr_slot *s =
        (const struct tr_slot *)((const uint8_t *)r->map + TR_HEAD) + n % TR_SLOTS;
    uint64_t seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);

    if (seq != n + 1)
        return seq > n + 1 ? -1 : 0;
    memcpy(out, (const void *)s, sizeof(*out));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&s->seq, __ATOMIC_RELAXED) == seq ? 1 : -1;
}

unsigned long trace_show(FILE *f, struct trace_ring *r, int64_t to_clock, unsigned long most)
{
    uint64_t head = __atomic_load_n(&r->map->next, __ATOMIC_ACQUIRE), lost = 0;
    unsigned long shown = 0;
    struct tr_slot s;

    if (head - r->next > TR_SLOTS) { /* also if it has gone backwards, which a worker does not do */
        lost = head - r->next - TR_SLOTS / 2;
        r->next += lost;
    }
    while (r->next != head && shown < most) {
        int got = take(r, r->next, &s);

        if (got == 0)
            break;
        r->next++;
        if (got < 0) {
            lost++;
        } else if (s.kind == TR_BEGIN) {
            r->lane[s.lane % VGPU_LANES] = (struct trace_pending){.begin = s, .open = true};
        } else if (s.kind == TR_END) {
            print_call(f, r, to_clock, &s);
            shown++;
        }
    }
    if (lost)
        fprintf(f, "... %" PRIu64 " entries came faster than they were read, and are lost\n", lost);
    print_hanging(f, r, to_clock);
    return shown;
}
