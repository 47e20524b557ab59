/* SPDX-License-Identifier: MIT */
/*
 * ring.h - the one place where channel memory is read and written: indices, barriers, the copy of
 * records, the notification rule. Used by the shim (producer) and the worker (consumer); the
 * kernel driver only grants and maps these pages.
 *
 * Every accessor reads a shared word exactly once. Callers work on what was returned, never on the
 * shared word again. VGPU_RING_HOOK() lets a fuzzer change shared memory between reads.
 */
#ifndef VGPU_RING_H
#define VGPU_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vgpuif.h"

#ifndef VGPU_RING_HOOK
#define VGPU_RING_HOOK() ((void)0)
#endif

#define VGPU_LOAD(p)                                                                               \
    (__extension__({                                                                               \
        VGPU_RING_HOOK();                                                                          \
        __atomic_load_n((p), __ATOMIC_RELAXED);                                                    \
    }))
#define VGPU_LOAD_ACQUIRE(p)                                                                       \
    (__extension__({                                                                               \
        VGPU_RING_HOOK();                                                                          \
        __atomic_load_n((p), __ATOMIC_ACQUIRE);                                                    \
    }))
#define VGPU_STORE(p, v)         __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define VGPU_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define VGPU_FENCE()             __atomic_thread_fence(__ATOMIC_SEQ_CST)

/* A mapped channel, seen from either end. */
struct vgpu_channel {
    struct vgpu_ch_front *front;
    struct vgpu_ch_back *back;
    struct vgpu_reply *replies; /* VGPU_LANES */
    uint32_t *counters;         /* VGPU_COUNTERS */
    uint8_t *ring;
    uint32_t ring_size; /* octets, a power of two; private, not read from the page */
};

/* base: VGPU_CH_PAGES(order) mapped pages; order: checked by the caller, not the one in the page. */
static inline void vgpu_channel_init(struct vgpu_channel *c, void *base, uint32_t order)
{
    uint8_t *b = base;

    c->front = (void *)(b + VGPU_CH_FRONT_PAGE * VGPU_PAGE_SIZE);
    c->back = (void *)(b + VGPU_CH_BACK_PAGE * VGPU_PAGE_SIZE);
    c->replies = (void *)(b + VGPU_CH_REPLY_PAGE * VGPU_PAGE_SIZE);
    c->counters = (void *)(b + VGPU_CH_COUNT_PAGE * VGPU_PAGE_SIZE);
    c->ring = b + VGPU_CH_RING_PAGE * VGPU_PAGE_SIZE;
    c->ring_size = VGPU_PAGE_SIZE << order;
}

/* ---- producer: the guest process, under its ring lock ------------------------------------- */

struct vgpu_producer {
    struct vgpu_channel *ch;
    uint64_t prod;   /* published */
    uint64_t cons;   /* last value seen of back->cmd_cons */
    uint64_t next;   /* prod after the record being built */
    uint32_t ticket; /* of the last record */
    /* What vgpu_prod_short() goes by: where prod is in the ring, and how many octets from there on
     * are free and in one piece, as far as is known. */
    uint32_t left;
    uint8_t *at;
};

/*
 * Makes room for a record of `len` octets (header included, multiple of VGPU_REC_ALIGN, <= VGPU_REC_MAX) and
 * returns where it goes, header filled; NULL: the ring is full, wait for space and call again.
 * If the peer lies about cmd_cons only the guest process itself suffers.
 */
static inline void *vgpu_prod_begin(struct vgpu_producer *p, uint16_t op, uint16_t lane,
                                    uint32_t len, uint32_t flags)
{
    struct vgpu_channel *c = p->ch;
    uint32_t at = (uint32_t)(p->prod & (c->ring_size - 1));
    uint32_t pad = c->ring_size - at < len ? c->ring_size - at : 0;
    struct vgpu_rec *r;

    if (p->prod + pad + len - p->cons > c->ring_size) {
        p->cons = VGPU_LOAD_ACQUIRE(&c->back->cmd_cons);
        if (p->prod + pad + len - p->cons > c->ring_size)
            return NULL;
    }
    if (pad) {
        r = (void *)(c->ring + at);
        *r = (struct vgpu_rec){.len = pad, .op = VGPU_OP_PAD, .lane = 0, .ticket = p->ticket + 1};
        at = 0;
    }
    r = (void *)(c->ring + at);
    *r = (struct vgpu_rec){
        .len = len, .op = op, .lane = lane, .ticket = p->ticket + 1, .flags = flags};
    p->next = p->prod + pad + len;
    return r + 1;
}

/* Publishes a record. */
static inline bool vgpu_prod_put(struct vgpu_channel *c, uint64_t prod)
{
    VGPU_STORE_RELEASE(&c->front->cmd_prod, prod);
    VGPU_FENCE();
    return VGPU_LOAD(&c->back->sleeping) != 0;
}

/*
 * A short way for records that are much alike: where a whole record of `len` octets goes, header
 * included; NULL: only vgpu_prod_begin() can tell. head: len and op as in memory. The caller writes
 * what follows the header and ends with vgpu_prod_short_put().
 */
static inline uint8_t *vgpu_prod_short(struct vgpu_producer *p, uint64_t head, uint32_t len)
{
    const uint64_t second = p->ticket + 1; /* and no flags */
    uint8_t *at = p->at;

    if (__builtin_expect(p->left < len, 0))
        return NULL;
    p->ticket = (uint32_t)second;
    memcpy(at, &head, sizeof(head));
    memcpy(at + 8, &second, sizeof(second));
    return at;
}

static inline bool vgpu_prod_short_put(struct vgpu_producer *p, struct vgpu_channel *c,
                                       uint32_t len)
{
    p->at += len;
    p->left -= len;
    p->prod += len;
    return vgpu_prod_put(c, p->prod);
}

/* Publishes the record. Returns true if the worker sleeps and the doorbell must be rung. */
static inline bool vgpu_prod_publish(struct vgpu_producer *p)
{
    struct vgpu_channel *c = p->ch;
    uint32_t at, end;
    uint64_t free;

    p->ticket++;
    p->prod = p->next;
    at = (uint32_t)p->prod & (c->ring_size - 1);
    end = c->ring_size - at;
    free = c->ring_size - (p->prod - p->cons);
    p->at = c->ring + at;
    p->left = free < end ? (uint32_t)free : end;
    return vgpu_prod_put(c, p->prod);
}

/* ---- consumer: the worker ------------------------------------------------------------------ */

struct vgpu_consumer {
    struct vgpu_channel *ch;
    uint64_t cons;   /* private truth; the page's cmd_cons is write-only for us */
    uint64_t prod;   /* last checked cmd_prod */
    uint32_t ticket; /* of the last record taken */
};

enum vgpu_take {
    VGPU_TAKE_EMPTY = 0,
    VGPU_TAKE_RECORD = 1,
    VGPU_TAKE_BAD = -1, /* protocol violation: kill the channel; *why says what */
};

/*
 * Takes the next record into buf (VGPU_REC_MAX octets, 16-aligned), a private copy whose header is
 * already checked: 16 <= len <= VGPU_REC_MAX, aligned, within what was produced, not wrapping,
 * ticket in order, lane < VGPU_LANES. op and payload are the decoder's business.
 */
static inline enum vgpu_take vgpu_cons_take(struct vgpu_consumer *c, void *buf, const char **why)
{
    struct vgpu_channel *ch = c->ch;
    struct vgpu_rec h;
    uint32_t at, room;

    for (;;) {
        if (c->cons == c->prod) {
            c->prod = VGPU_LOAD_ACQUIRE(&ch->front->cmd_prod);
            if (c->cons == c->prod)
                return VGPU_TAKE_EMPTY;
            if (c->prod - c->cons > ch->ring_size || c->prod % VGPU_REC_ALIGN) {
                *why = "cmd_prod out of range";
                return VGPU_TAKE_BAD;
            }
        }
        at = (uint32_t)(c->cons & (ch->ring_size - 1));
        room = ch->ring_size - at;
        if (room > c->prod - c->cons)
            room = (uint32_t)(c->prod - c->cons);
        /* cmd_prod, cons and the ring size are multiples of the header size: it is all there. */
        VGPU_RING_HOOK();
        memcpy(&h, ch->ring + at, sizeof(h));
        __asm__ __volatile__("" ::: "memory");
        if (h.len < sizeof(h) || h.len > room || h.len % VGPU_REC_ALIGN) {
            *why = "record length out of range";
            return VGPU_TAKE_BAD;
        }
        if (h.op == VGPU_OP_PAD) {
            if (at + h.len != ch->ring_size) {
                *why = "pad record not at the ring's end";
                return VGPU_TAKE_BAD;
            }
            c->cons += h.len;
            VGPU_STORE_RELEASE(&ch->back->cmd_cons, c->cons);
            continue;
        }
        if (h.len > VGPU_REC_MAX) {
            *why = "record length out of range";
            return VGPU_TAKE_BAD;
        }
        if (h.ticket != c->ticket + 1) {
            *why = "ticket out of order";
            return VGPU_TAKE_BAD;
        }
        if (h.lane >= VGPU_LANES) {
            *why = "lane out of range";
            return VGPU_TAKE_BAD;
        }
        VGPU_RING_HOOK();
        memcpy((uint8_t *)buf + sizeof(h), ch->ring + at + sizeof(h), h.len - sizeof(h));
        memcpy(buf, &h, sizeof(h)); /* the checked header, not what is in the ring by now */
        c->ticket = h.ticket;
        c->cons += h.len;
        VGPU_STORE_RELEASE(&ch->back->cmd_cons, c->cons);
        return VGPU_TAKE_RECORD;
    }
}

/* True if the guest waits for ring space; ask after taking records, then signal it. */
static inline bool vgpu_cons_wants_space(struct vgpu_consumer *c)
{
    VGPU_FENCE();
    return VGPU_LOAD(&c->ch->front->wait_space) != 0;
}

/* Sleeping: set(true), look for records once more, sleep only if there are none, set(false). */
static inline void vgpu_cons_sleeping(struct vgpu_consumer *c, bool on)
{
    VGPU_STORE(&c->ch->back->sleeping, on ? 1u : 0u);
    VGPU_FENCE();
}

static inline bool vgpu_cons_idle(struct vgpu_consumer *c)
{
    return c->cons == c->prod && VGPU_LOAD_ACQUIRE(&c->ch->front->cmd_prod) == c->cons;
}

/* ---- replies ------------------------------------------------------------------------------- */

/* Worker: answers `ticket` on `lane`. Returns true if the lane sleeps and must be signalled. */
static inline bool vgpu_reply_publish(struct vgpu_channel *c, uint32_t lane, uint32_t ticket,
                                      int32_t status, const void *payload, uint32_t len)
{
    struct vgpu_reply *r = &c->replies[lane];

    r->ticket = ticket;
    r->status = status;
    r->len = len;
    r->reserved = 0;
    if (len)
        memcpy(r->payload, payload, len);
    VGPU_STORE_RELEASE(&c->back->reply_ticket[lane], ticket);
    VGPU_FENCE();
    return VGPU_LOAD(&c->front->waiting[lane]) != 0;
}

/* Worker: where the device puts what CopyLand asks for; VGPU_REPLY_MAX octets. */
static inline void *vgpu_reply_landing(struct vgpu_channel *c, uint32_t lane)
{
    return c->replies[lane].payload;
}

/* Guest: copies it out, once its counter has been seen. n: at most VGPU_REPLY_MAX. */
static inline void vgpu_reply_landed(struct vgpu_channel *c, uint32_t lane, void *out, uint32_t n)
{
    memcpy(out, c->replies[lane].payload, n);
}

static inline bool vgpu_reply_ready(struct vgpu_channel *c, uint32_t lane, uint32_t ticket)
{
    return VGPU_LOAD_ACQUIRE(&c->back->reply_ticket[lane]) == ticket;
}

/* Guest: copies the reply out (the worker is not trusted either: len is bounded by `max`). */
static inline int32_t vgpu_reply_take(struct vgpu_channel *c, uint32_t lane, void *out,
                                      uint32_t max, uint32_t *got)
{
    struct vgpu_reply *r = &c->replies[lane];
    uint32_t len = VGPU_LOAD(&r->len);

    if (len > VGPU_REPLY_MAX)
        len = VGPU_REPLY_MAX;
    if (len > max)
        len = max;
    if (len)
        memcpy(out, r->payload, len);
    *got = len;
    return VGPU_LOAD(&r->status);
}

/* Alive and no sticky error, in one look; false: ask vgpu_alive() and the page. */
static inline bool vgpu_well(struct vgpu_channel *c)
{
    typedef uint64_t __attribute__((may_alias)) word;

    return VGPU_LOAD((word *)(void *)c->back) == 1;
}

static inline bool vgpu_alive(struct vgpu_channel *c)
{
    return VGPU_LOAD(&c->back->alive) != 0;
}

#endif
