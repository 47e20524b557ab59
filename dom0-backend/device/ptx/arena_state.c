/* SPDX-License-Identifier: MIT */
#include "dom0-backend/device/ptx/arena_state.h"

#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/arena_int.h"

#define PIECE     65536u
#define MAPS_MAX  (1u << 20)
#define BLOCK_MAX (1u << 26)

static void put32(struct dev_state *s, uint32_t v)
{
    s->put(s, &v, sizeof(v));
}

static void put64(struct dev_state *s, uint64_t v)
{
    s->put(s, &v, sizeof(v));
}

static uint32_t get32(struct dev_state *s)
{
    uint32_t v = 0;

    s->get(s, &v, sizeof(v));
    return v;
}

static uint64_t get64(struct dev_state *s)
{
    uint64_t v = 0;

    s->get(s, &v, sizeof(v));
    return v;
}

/* ---- walking ------------------------------------------------------------------------------ */

struct block {
    uint64_t addr, size;
    uint32_t kind, zero;
};

/* All blocks, all reserved ranges, all memory that is mapped but has no handle. */
struct survey {
    struct block *block;
    uint32_t nblock, room;
    const struct region **range;
    uint32_t nrange, range_room;
    struct arena_memory **mem; /* the caller's first */
    uint32_t nmem, mem_room;
    bool shared, full;
};

static bool more(void **list, uint32_t n, uint32_t *room, size_t size)
{
    uint32_t want = *room ? 2 * *room : 64;
    void *p;

    if (n < *room)
        return true;
    p = realloc(*list, want * size);
    if (!p)
        return false;
    *list = p;
    *room = want;
    return true;
}

static void add_block(struct survey *v, uint64_t addr, uint64_t size, enum arena_kind kind)
{
    if (v->nblock == BLOCK_MAX || !more((void **)&v->block, v->nblock, &v->room, sizeof(*v->block)))
        v->full = true;
    else
        v->block[v->nblock++] = (struct block){.addr = addr, .size = size, .kind = kind};
}

static uint32_t memory_number(const struct survey *v, const struct arena_memory *m)
{
    uint32_t i = 0;

    while (i < v->nmem && v->mem[i] != m)
        i++;
    return i;
}

static void add_memory(struct survey *v, struct arena_memory *m)
{
    v->shared |= m->fd >= 0;
    if (memory_number(v, m) < v->nmem)
        return;
    if (!more((void **)&v->mem, v->nmem, &v->mem_room, sizeof(*v->mem)))
        v->full = true;
    else
        v->mem[v->nmem++] = m;
}

static void see(void *arg, const struct region *r)
{
    struct survey *v = arg;
    enum arena_kind kind;
    uint64_t addr, size;

    if (r->use == RANGE) {
        if (!more((void **)&v->range, v->nrange, &v->range_room, sizeof(*v->range)))
            v->full = true;
        else
            v->range[v->nrange++] = r;
        for (const struct mapping *m = r->maps; m; m = m->next)
            add_memory(v, m->mem);
        return;
    }
    v->shared |= r->fd >= 0;
    if (r->use == LARGE) {
        v->shared |= r->kind == ARENA_IMPORTED;
        add_block(v, r->addr, r->size, r->kind);
        return;
    }
    for (uint32_t i = 0; i < r->nblock; i++)
        if (arena_block(r, i, &addr, &size, &kind))
            add_block(v, addr, size, kind);
}

static void survey_free(struct survey *v)
{
    free(v->block);
    free(v->range);
    free(v->mem);
}

/* Nothing changes the arena meanwhile. 0 or 2. */
static int survey(struct arena *a, struct arena_memory *const *mem, uint32_t n, struct survey *v)
{
    memset(v, 0, sizeof(*v));
    for (uint32_t i = 0; i < n; i++)
        add_memory(v, mem[i]);
    arena_walk(a, see, v);
    if (!v->full)
        return 0;
    survey_free(v);
    return CUDA_OUT_OF_MEMORY;
}

const char *arena_unfit(struct arena *a)
{
    struct survey v;
    bool shared;

    if (survey(a, NULL, 0, &v))
        return "memory is short";
    shared = v.shared;
    survey_free(&v);
    return shared ? "memory is shared with other processes, or can be" : NULL;
}

uint64_t arena_sum(struct arena *a, enum arena_kind kind)
{
    uint64_t sum = 0;
    struct survey v;

    if (survey(a, NULL, 0, &v))
        return 0;
    for (uint32_t i = 0; i < v.nblock; i++)
        if (v.block[i].kind == (uint32_t)kind)
            sum += v.block[i].size;
    survey_free(&v);
    return sum;
}

/* ---- layout ------------------------------------------------------------------------------- */

int arena_save(struct arena *a, struct dev_state *s, struct arena_memory *const *mem, uint32_t n)
{
    struct survey v;
    int err = survey(a, mem, n, &v);

    if (err)
        return err;
    put32(s, v.nblock);
    s->put(s, v.block, (size_t)v.nblock * sizeof(*v.block));
    put32(s, v.nmem);
    for (uint32_t i = 0; i < v.nmem; i++)
        put64(s, v.mem[i]->size);
    put32(s, v.nrange);
    for (uint32_t i = 0; i < v.nrange; i++) {
        const struct region *r = v.range[i];
        uint32_t nmap = 0;

        for (const struct mapping *m = r->maps; m; m = m->next)
            nmap++;
        put32(s, r->slot);
        put32(s, r->nslot);
        put64(s, r->addr);
        put64(s, r->size);
        put32(s, nmap);
        for (const struct mapping *m = r->maps; m; m = m->next) {
            put64(s, m->addr);
            put64(s, m->size);
            put64(s, m->offset);
            put32(s, memory_number(&v, m->mem));
            put32(s, m->access);
        }
    }
    survey_free(&v);
    return 0;
}

static int load_blocks(struct arena *a, struct dev_state *s)
{
    uint32_t n = get32(s);
    int err = 0;

    for (uint32_t i = 0; i < n && !err && !s->failed; i++) {
        struct block b = {0};

        s->get(s, &b, sizeof(b));
        if (s->failed)
            break;
        if (b.kind > ARENA_POOL)
            return CUDA_INVALID_VALUE;
        err = arena_place(a, b.addr, b.size, b.kind == ARENA_MODULE ? ARENA_KEPT : b.kind);
    }
    return err;
}

static int load_range(struct arena *a, struct dev_state *s, struct arena_memory *const *mem,
                      uint32_t nmem)
{
    uint32_t slot = get32(s), nslot = get32(s), nmap;
    uint64_t addr = get64(s), size = get64(s);
    uint64_t from = a->base + ((uint64_t)slot << ARENA_SLOT_SHIFT);
    uint64_t len = (uint64_t)nslot << ARENA_SLOT_SHIFT;
    struct region *r;
    int err = 0;

    nmap = get32(s);
    if (s->failed || slot >= a->nslot || !nslot || nslot > a->nslot - slot || !size ||
        (addr | size) % ARENA_SLOT || addr < from || addr - from > len ||
        size > len - (addr - from) || nmap > MAPS_MAX)
        return CUDA_INVALID_VALUE;
    pthread_mutex_lock(&a->lock);
    r = arena_take_slots_at(a, slot, nslot);
    if (r) {
        r->use = RANGE;
        r->maps = NULL;
        r->mapped = 0;
        r->size = size;
        r->addr = addr;
    }
    pthread_mutex_unlock(&a->lock);
    if (!r)
        return CUDA_INVALID_VALUE;
    for (uint32_t i = 0; i < nmap && !err; i++) {
        uint64_t at = get64(s), n = get64(s), offset = get64(s);
        uint32_t m = get32(s), access = get32(s);

        if (s->failed || m >= nmem || (access != 0 && access != 1 && access != 3) || at < addr ||
            at - addr > size || n > size - (at - addr))
            return CUDA_INVALID_VALUE;
        err = arena_map(a, at, n, offset, mem[m]);
        if (!err && access)
            err = arena_access(a, at, n, access);
    }
    return err;
}

int arena_load(struct arena *a, struct dev_state *s, struct arena_memory **mem, uint32_t n)
{
    struct arena_memory **all = NULL;
    uint32_t nmem, made = 0, nrange;
    int err = load_blocks(a, s);

    if (err)
        return err;
    nmem = get32(s);
    if (s->failed || nmem < n || nmem > MAPS_MAX)
        return CUDA_INVALID_VALUE;
    all = calloc(nmem + 1, sizeof(*all));
    if (!all)
        return CUDA_OUT_OF_MEMORY;
    for (; made < nmem && !err; made += !err) {
        uint64_t size = get64(s);

        err = s->failed ? CUDA_INVALID_VALUE : arena_memory_create(a, size, &all[made]);
    }
    nrange = err ? 0 : get32(s);
    for (uint32_t i = 0; i < nrange && !err; i++)
        err = load_range(a, s, all, nmem);
    if (!err && s->failed)
        err = CUDA_INVALID_VALUE;
    /* What has no handle any more lives as long as it is mapped. */
    for (uint32_t i = 0; i < made; i++) {
        if (i < n && !err)
            mem[i] = all[i];
        else
            arena_memory_release(a, all[i]);
    }
    free(all);
    return err;
}

/* ---- contents ----------------------------------------------------------------------------- */

int arena_save_contents(struct arena *a, struct dev_state *s, struct arena_memory *const *mem,
                        uint32_t n)
{
    struct survey v;
    int err = survey(a, mem, n, &v);

    if (err)
        return err;
    for (uint32_t i = 0; i < v.nblock && !s->failed; i++)
        s->put(s, (const void *)(uintptr_t)v.block[i].addr, v.block[i].size);
    for (uint32_t i = 0; i < v.nmem && !s->failed; i++)
        s->put(s, v.mem[i]->at, v.mem[i]->size);
    survey_free(&v);
    return 0;
}

/* What is there already is not written, so that memory that was never used stays unused. */
static void fill(struct dev_state *s, uint8_t *at, uint64_t n, uint8_t *piece)
{
    while (n && !s->failed) {
        size_t k = n < PIECE ? n : PIECE;

        s->get(s, piece, k);
        if (memcmp(at, piece, k) != 0)
            memcpy(at, piece, k);
        at += k;
        n -= k;
    }
}

int arena_load_contents(struct arena *a, struct dev_state *s, struct arena_memory *const *mem,
                        uint32_t n)
{
    uint8_t *piece = malloc(PIECE);
    struct survey v;
    int err = piece ? survey(a, mem, n, &v) : CUDA_OUT_OF_MEMORY;

    if (err) {
        free(piece);
        return err;
    }
    for (uint32_t i = 0; i < v.nblock && !err; i++) {
        if (v.block[i].kind == ARENA_KEPT) /* belongs to nothing that was made */
            err = CUDA_INVALID_VALUE;
        else
            fill(s, (uint8_t *)(uintptr_t)v.block[i].addr, v.block[i].size, piece);
    }
    for (uint32_t i = 0; i < v.nmem && !err; i++)
        fill(s, v.mem[i]->at, v.mem[i]->size, piece);
    if (!err && s->failed)
        err = CUDA_INVALID_VALUE;
    survey_free(&v);
    free(piece);
    return err;
}
