/* SPDX-License-Identifier: MIT */
#include "pipe.h"
#include "crew.h"
#include "pool.h"
#include "settle.h"
#include "stage.h"
#include "stubs.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define FLIGHTS GVM_CREW_GROUPS /* buffers of one copy at a time */
#define AHEAD   3u              /* of those, waiting to be filled */
#define PIECE   (128u << 10)    /* of a buffer, the least that is worth sharing out */
#define PIECES  GVM_CREW_GROUP  /* of a buffer at most */
#define ALONE   (1u << 20)      /* up to here a copy is not worth waking anybody, */
#define NEARBY  (512u << 10) /* but from here on, if others were near, those that are awake help */
#define MEDIUM  (8u << 20)   /* up to here large buffers would leave too little to overlap */
#define PAST    (16u << 20)  /* from here on a copy goes past the caches */
#define POLL_NS 200000u      /* what a wait for the device polls at first */

struct gvm_pipe_stats gvm_pipe_stats;

/* A box of pageable memory and the same octets packed in a buffer. */
struct pack {
    uint8_t *host, *buffer;
    uint64_t pitch, slice; /* of the host's side */
    uint64_t width, height, octets;
    bool dense, put, past;
};

struct flight {
    struct gvm_stage *b;
    struct gvm_box box; /* what the device moves */
    struct pack pack;
    uint32_t done; /* atomic: pieces copied */
};

struct pipe {
    struct gvm_chan *c;
    const struct gvm_sref *s;
    const struct gvm_box *b;
    bool put, past;
    uint32_t pieces;
    struct {
        uint64_t x, y, z;
    } at; /* where the next flight starts */
    uint64_t left;
    uint64_t room; /* octets of a flight */
    struct flight f[FLIGHTS];
    /* [head, opened): at the crew; [opened, tail): on their way from the device. */
    uint32_t head, opened, tail;
    struct gvm_job job;
    pthread_t owner;
};

/* ---- what goes into a buffer -------------------------------------------------------------- */

static void advance(struct gvm_end *e, uint64_t x, uint64_t y, uint64_t z)
{
    e->x += x;
    e->y += y;
    e->z += z;
    if (!e->array) {
        e->addr += e->z * e->height * e->pitch + e->y * e->pitch + e->x;
        e->x = e->y = e->z = 0;
    }
}

/* The largest box of at most `room` octets from where the last one ended: part of a row, rows, or
 * slices. */
static void cut(struct pipe *p, uint64_t room, struct gvm_box *out)
{
    const struct gvm_box *b = p->b;

    *out = *b;
    advance(&out->dst, p->at.x, p->at.y, p->at.z);
    advance(&out->src, p->at.x, p->at.y, p->at.z);
    out->height = out->depth = 1;
    if (p->at.x || b->width > room) {
        out->width = b->width - p->at.x < room ? b->width - p->at.x : room;
        p->at.x += out->width;
        if (p->at.x == b->width) {
            p->at.x = 0;
            p->at.y++;
        }
    } else if (p->at.y || b->height > room / b->width) {
        out->height = room / b->width;
        if (out->height > b->height - p->at.y)
            out->height = b->height - p->at.y;
        p->at.y += out->height;
    } else {
        out->height = b->height;
        out->depth = room / (b->width * b->height);
        if (out->depth > b->depth - p->at.z)
            out->depth = b->depth - p->at.z;
        p->at.z += out->depth;
    }
    if (p->at.y == b->height) {
        p->at.y = 0;
        p->at.z++;
    }
}

/* Takes the next box into a buffer. */
static void load(struct pipe *p, struct gvm_stage *b)
{
    struct flight *f = &p->f[p->tail % FLIGHTS];
    struct gvm_end *host = p->put ? &f->box.src : &f->box.dst;
    struct pack *k = &f->pack;

    f->b = b;
    f->done = 0;
    cut(p, p->room, &f->box);
    *k = (struct pack){.host = (uint8_t *)(uintptr_t)host->addr,
                       .buffer = b->p,
                       .pitch = host->pitch,
                       .slice = host->pitch * host->height,
                       .width = f->box.width,
                       .height = f->box.height,
                       .octets = f->box.width * f->box.height * f->box.depth,
                       .put = p->put,
                       .past = p->past};
    k->dense = (k->height == 1 && f->box.depth == 1) ||
               (k->pitch == k->width && (f->box.depth == 1 || k->slice == k->width * k->height));
    *host =
        (struct gvm_end){.addr = (uintptr_t)b->p, .pitch = f->box.width, .height = f->box.height};
    p->left -= k->octets;
    p->tail++;
}

/*
 * To pageable memory. Ordinary stores fetch each line before they overwrite it, and push out of the
 * caches what the program has there, for memory that is more than fits: one core of an Intel server
 * copies 10.7 GB/s so, and 18.8 with stores that go past the caches. Into buffers, which stay in the
 * caches, the ordinary ones are the faster.
 */
static void copy_out(uint8_t *to, const uint8_t *from, size_t n, bool past)
{
#ifdef __SSE2__
    size_t head = -(uintptr_t)to & 63;

    if (past && n >= 4096) {
        memcpy(to, from, head);
        to += head;
        from += head;
        n -= head;
        for (; n >= 64; n -= 64, to += 64, from += 64) {
            __m128i a = _mm_loadu_si128((const __m128i *)from),
                    b = _mm_loadu_si128((const __m128i *)(from + 16)),
                    c = _mm_loadu_si128((const __m128i *)(from + 32)),
                    d = _mm_loadu_si128((const __m128i *)(from + 48));

            _mm_stream_si128((__m128i *)to, a);
            _mm_stream_si128((__m128i *)(to + 16), b);
            _mm_stream_si128((__m128i *)(to + 32), c);
            _mm_stream_si128((__m128i *)(to + 48), d);
        }
        _mm_sfence(); /* who is told that this is done must see it */
    }
#endif
    memcpy(to, from, n);
}

/* Octets [from, to) in the order in which they are packed. */
static void copy(const struct pack *k, uint64_t from, uint64_t to)
{
    uint64_t row = from / k->width, x = from % k->width, y = row % k->height, z = row / k->height;

    while (from < to) {
        uint64_t n = k->dense || k->width - x > to - from ? to - from : k->width - x;
        uint8_t *h = k->host + (k->dense ? from : z * k->slice + y * k->pitch + x);

        if (k->put)
            memcpy(k->buffer + from, h, n);
        else
            copy_out(h, k->buffer + from, n, k->past);
        from += n;
        x = 0;
        if (++y == k->height) {
            y = 0;
            z++;
        }
    }
}

static void piece(void *arg, uint32_t i)
{
    struct pipe *p = arg;
    struct flight *f = &p->f[i / GVM_CREW_GROUP];
    uint64_t part = (f->pack.octets + p->pieces - 1) / p->pieces, from, to;

    part = (part + 4095) & ~(uint64_t)4095;
    from = part * (i % GVM_CREW_GROUP);
    to = from + part < f->pack.octets ? from + part : f->pack.octets;
    if (from < to) {
        copy(&f->pack, from, to);
        __atomic_fetch_add(&gvm_pipe_stats.octets, to - from, __ATOMIC_RELAXED);
        if (!pthread_equal(p->owner, pthread_self()))
            __atomic_fetch_add(&gvm_pipe_stats.helped, to - from, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&f->done, 1, __ATOMIC_RELEASE);
}

static bool copied(const struct pipe *p, uint32_t flight)
{
    return __atomic_load_n(&p->f[flight % FLIGHTS].done, __ATOMIC_ACQUIRE) == p->pieces;
}

/* Posts what the device has to do for a flight. */
static int post(struct pipe *p, struct flight *f)
{
    const struct gvm_box *b = &f->box;
    const struct gvm_pool_ref *ref = &f->b->ref;
    uint32_t before, value;
    int rc;

    if (b->height > 1 || b->depth > 1 || b->dst.array || b->src.array) {
        rc = gvm_box_send(p->c, p->s, b, p->put);
        return rc ? rc : gvm_stage_mark(p->c, f->b, p->s);
    }
    before = f->b->value;
    value = gvm_stage_next(f->b);
    if (p->put)
        rc = vgpu_StagePut(p->c, 0, p->s->id, b->dst.addr, ref->chunk, ref->off, b->width,
                           f->b->slot, value);
    else
        rc = vgpu_StageGet(p->c, 0, p->s->id, b->src.addr, ref->chunk, ref->off, b->width,
                           f->b->slot, value);
    if (rc) /* not sent: nobody is going to store it */
        f->b->value = before;
    return rc;
}

/* ---- both ways ---------------------------------------------------------------------------- */

static void start(struct pipe *p, struct gvm_chan *c, const struct gvm_sref *s,
                  const struct gvm_box *b, bool put)
{
    bool few;

    p->c = c;
    p->s = s;
    p->b = b;
    p->put = put;
    p->at.x = p->at.y = p->at.z = 0;
    p->left = b->width * b->height * b->depth;
    p->head = p->opened = p->tail = 0;
    p->owner = pthread_self();
    p->room = p->left <= GVM_STAGE_SMALL    ? GVM_STAGE_SMALL
              : p->left <= GVM_STAGE_MIDDLE ? p->left
              : p->left <= MEDIUM           ? GVM_STAGE_MIDDLE
                                            : GVM_STAGE_LARGE;
    p->past = p->left >= PAST;
    few = p->left <= ALONE;
    if (!gvm_crew_size() || (few && (p->left < NEARBY || !gvm_crew_near())))
        p->pieces = 1;
    else
        p->pieces = few ? PIECES : (uint32_t)(p->room / PIECE);
    /* Four cores fill the memory's bandwidth with stores past the caches; more are slower. */
    if (p->pieces > (p->past && !put ? PIECES / 2 : PIECES))
        p->pieces = p->past && !put ? PIECES / 2 : PIECES;
    p->job = (struct gvm_job){.piece = piece, .arg = p, .few = few};
    if (p->pieces > 1)
        gvm_crew_join(&p->job);
    else
        p->job.desk = &p->job.own;
}

static void end(struct pipe *p)
{
    if (p->pieces > 1)
        gvm_crew_leave(&p->job);
    for (; p->head != p->tail; p->head++)
        gvm_stage_put(p->f[p->head % FLIGHTS].b);
}

/* The next flight may be copied. */
static void offer(struct pipe *p)
{
    gvm_crew_open(&p->job, p->opened++ % FLIGHTS, p->pieces);
}

static void retire(struct pipe *p)
{
    gvm_stage_put(p->f[p->head++ % FLIGHTS].b);
    gvm_crew_first(&p->job, p->head % FLIGHTS);
}

/* A buffer, if another one is worth while; waits for one only with none in hand: else several
 * threads might wait for each other. */
static struct gvm_stage *another(struct pipe *p, unsigned most, int *rc)
{
    if (!p->left || p->tail - p->head >= most)
        return NULL;
    return gvm_stage_get(p->c, p->room, p->head == p->tail, rc);
}

int gvm_pipe_put(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b)
{
    struct pipe p;
    int rc = 0;

    start(&p, c, s, b, true);
    while ((p.left || p.head != p.tail) && rc == 0) {
        uint32_t seen = gvm_crew_progress(&p.job);
        struct gvm_stage *g;

        if (p.head != p.tail && copied(&p, p.head)) {
            rc = post(&p, &p.f[p.head % FLIGHTS]);
            retire(&p);
            continue;
        }
        g = another(&p, AHEAD, &rc);
        if (rc)
            break;
        if (g) {
            load(&p, g);
            offer(&p);
        } else if (!gvm_crew_help(&p.job)) {
            gvm_crew_wait(&p.job, seen);
        }
    }
    end(&p);
    return rc;
}

static bool arrived(const struct pipe *p, const struct flight *f)
{
    return gvm_counter_done(p->c, f->b->slot, f->b->value);
}

/* Waits until the device has filled the buffer. */
static int await(struct pipe *p, const struct flight *f)
{
    if (gvm_settle_poll(p->c, f->b->slot, f->b->value, POLL_NS))
        return 0;
    return gvm_stage_wait(p->c, f->b);
}

int gvm_pipe_get(struct gvm_chan *c, const struct gvm_sref *s, const struct gvm_box *b)
{
    struct pipe p;
    int rc = 0;

    start(&p, c, s, b, false);
    while ((p.left || p.head != p.tail) && rc == 0) {
        uint32_t seen = gvm_crew_progress(&p.job);
        struct gvm_stage *g;

        if (p.head != p.opened && copied(&p, p.head)) {
            retire(&p);
            continue;
        }
        g = another(&p, FLIGHTS, &rc);
        if (rc)
            break;
        if (g) {
            load(&p, g);
            rc = post(&p, &p.f[(p.tail - 1) % FLIGHTS]);
        } else if (p.opened != p.tail && arrived(&p, &p.f[p.opened % FLIGHTS])) {
            /* Counters are also stored for a context that has faulted. */
            rc = gvm_chan_sticky(c);
            if (rc == 0)
                offer(&p);
        } else if (gvm_crew_help(&p.job)) {
            continue;
        } else if (p.opened == p.tail) {
            gvm_crew_wait(&p.job, seen);
        } else if (p.head == p.opened) {
            rc = await(&p, &p.f[p.opened % FLIGHTS]);
        } else {
            /* Both the device and the crew are at work: whichever is first. */
            gvm_relax();
            rc = vgpu_well(&c->ch) ? 0 : gvm_chan_check(c);
        }
    }
    end(&p);
    return rc;
}
