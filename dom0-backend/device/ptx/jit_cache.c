/* SPDX-License-Identifier: MIT */
/* jit_cache.c - see jit_cache.h. */
#include "jit_cache.h"

#include "matrix_op.h"
#include "mma_op.h"
#include "tex_op.h"
#include "video_op.h"

#define BUCKETS 256u

struct jit_entry {
    struct jit_entry *next;
    struct jit_key key;
    uint64_t rough, used; /* used: a clock of finds */
    unsigned refs;
    struct jit_code *code;
    void (*release)(struct jit_code *code);
    char why[200];
};

static struct jit_entry *buckets[BUCKETS];
static uint64_t uses;
static size_t idle, idle_bytes; /* entries that nobody holds */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- keys --------------------------------------------------------------------------------------- */

static void put(struct jit_key *k, const void *p, size_t n)
{
    if (k->failed)
        return;
    if (k->n + n > k->cap) {
        size_t cap = 2 * k->cap + n + 4096;
        uint8_t *b = realloc(k->bytes, cap);

        if (!b) {
            k->failed = true;
            return;
        }
        k->bytes = b;
        k->cap = cap;
    }
    memcpy(k->bytes + k->n, p, n);
    k->n += n;
}

static void put32(struct jit_key *k, uint32_t v)
{
    put(k, &v, sizeof(v));
}

static void put_call(struct jit_key *k, const struct call *c)
{
    put32(k, (uint32_t)c->func);
    put32(k, c->builtin);
    put32(k, c->nargs);
    put32(k, c->nrets);
    for (uint32_t i = 0; i < c->nargs + c->nrets; i++) {
        const struct call_arg *a = i < c->nargs ? &c->args[i] : &c->rets[i - c->nargs];

        put32(k, a->is_var | a->wide << 1);
        put32(k, a->slot);
        put32(k, a->off);
        put32(k, a->size);
    }
}

/* What uop.imm points to, if it points to something. */
static size_t pointed_at(const struct uop *u)
{
    static const struct {
        const char *name;
        size_t n;
    } ops[] = {{"tex", sizeof(struct tex_op)},         {"tld4", sizeof(struct tex_op)},
               {"txq", sizeof(struct tex_op)},         {"surf", sizeof(struct tex_op)},
               {"mma", sizeof(struct matrix_op)},      {"ldmatrix", sizeof(struct matrix_op)},
               {"stmatrix", sizeof(struct matrix_op)}, {"wmma.mma", sizeof(struct mma_op)},
               {"wmma.load", sizeof(struct mma_op)},   {"wmma.store", sizeof(struct mma_op)},
               {"video", sizeof(struct video_op)}};

    for (unsigned i = 0; u->kind == K_FN && i < sizeof(ops) / sizeof(ops[0]); i++)
        if (!strcmp(ops[i].name, u->name))
            return ops[i].n;
    return 0;
}

/* Not the line: code names micro-ops, and their lines are those of the module that runs. */
static void put_uop(struct jit_key *k, const struct uop *u)
{
    const uint32_t codes[] = {u->kind | u->csr << 8 | u->csrmask << 16 | (uint32_t)u->n << 24,
                              u->guard,
                              u->d,
                              u->a,
                              u->b,
                              u->c,
                              u->e,
                              u->f,
                              u->kind == K_BRA ? u->target : 0};
    const size_t n = pointed_at(u);

    put(k, codes, sizeof(codes));
    if (u->name)
        put(k, u->name, strlen(u->name) + 1);
    if (u->kind == K_CALL)
        put_call(k, (const struct call *)(intptr_t)u->imm);
    else if (n)
        put(k, (const void *)(intptr_t)u->imm, n);
    else
        put(k, &u->imm, sizeof(u->imm));
}

static uint64_t hash_of(const uint8_t *p, size_t n)
{
    uint64_t h = 14695981039346656037u;

    while (n--)
        h = (h ^ *p++) * 1099511628211u;
    return h ^ h >> 29;
}

/* jit_job.all makes a difference. */
static bool keeps_calls(const struct pfunc *f)
{
    for (uint32_t i = 0; i < f->nuops; i++)
        if (f->uops[i].kind == K_CALL && ((const struct call *)(intptr_t)f->uops[i].imm)->func >= 0)
            return true;
    return false;
}

int jit_key_make(struct jit_key *k, const struct jit_job *job)
{
    const struct pfunc *v = &job->virt->funcs[0], *r = &job->real->funcs[0];

    *k = (struct jit_key){.bytes = NULL};
    put32(k, job->lanes);
    put32(k, job->row);
    put32(k, job->param_bytes);
    put32(k, job->all && keeps_calls(v));
    put32(k, v->nuops);
    put32(k, v->frame_bytes);
    put32(k, r->nuops);
    put32(k, r->frame_bytes);
    put32(k, job->virt->nconst);
    put(k, job->virt->consts, job->virt->nconst);
    for (uint32_t i = 0; i < v->nuops; i++)
        put_uop(k, &v->uops[i]);
    for (uint32_t i = 0; i < r->nuops; i++)
        put_uop(k, &r->uops[i]);
    if (k->failed) {
        jit_key_free(k);
        return -1;
    }
    k->hash = hash_of(k->bytes, k->n);
    return 0;
}

void jit_key_free(struct jit_key *k)
{
    free(k->bytes);
    k->bytes = NULL;
}

uint64_t jit_rough(const struct prog *g)
{
    const struct pfunc *f = &g->funcs[0];
    uint64_t h = f->nuops;

    for (uint32_t i = 0; i < f->nuops; i++) {
        const struct uop *u = &f->uops[i];

        h = (h ^ u->kind ^ (uint64_t)u->d << 8 ^ (uint64_t)u->a << 24) * 1099511628211u;
        h = (h ^ u->target ^ (uint64_t)u->b << 16 ^ (uintptr_t)u->name) * 1099511628211u;
    }
    return h;
}

/* ---- entries ------------------------------------------------------------------------------------ */

static size_t bytes_of(const struct jit_entry *e)
{
    return e->key.n + (e->code ? e->code->mem_size + e->code->data_size : 0);
}

static struct jit_entry *find(const struct jit_key *k)
{
    struct jit_entry *e = buckets[k->hash % BUCKETS];

    while (e &&
           (e->key.hash != k->hash || e->key.n != k->n || memcmp(e->key.bytes, k->bytes, k->n)))
        e = e->next;
    if (!e)
        return NULL;
    if (!e->refs++) {
        idle--;
        idle_bytes -= bytes_of(e);
    }
    e->used = ++uses;
    return e;
}

static void discard(struct jit_entry *e)
{
    struct jit_entry **at = &buckets[e->key.hash % BUCKETS];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    idle--;
    idle_bytes -= bytes_of(e);
    if (e->code)
        e->release(e->code);
    jit_key_free(&e->key);
    free(e);
}

static void shrink(void)
{
    while (idle > JIT_CACHE_ENTRIES || idle_bytes > JIT_CACHE_BYTES) {
        struct jit_entry *oldest = NULL;

        for (unsigned i = 0; i < BUCKETS; i++)
            for (struct jit_entry *e = buckets[i]; e; e = e->next)
                if (!e->refs && (!oldest || e->used < oldest->used))
                    oldest = e;
        discard(oldest);
    }
}

struct jit_entry *jit_cache_find(const struct jit_key *k)
{
    struct jit_entry *e;

    pthread_mutex_lock(&lock);
    e = find(k);
    pthread_mutex_unlock(&lock);
    return e;
}

bool jit_cache_has(uint64_t rough)
{
    bool has = false;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < BUCKETS && !has; i++)
        for (struct jit_entry *e = buckets[i]; e && !has; e = e->next)
            has = e->rough == rough;
    pthread_mutex_unlock(&lock);
    return has;
}

struct jit_entry *jit_cache_add(struct jit_key *k, uint64_t rough, struct jit_code *code,
                                const char *why, void (*release)(struct jit_code *code))
{
    struct jit_entry *e;

    pthread_mutex_lock(&lock);
    e = find(k);
    if (e || !(e = calloc(1, sizeof(*e)))) { /* another thread was faster, or no memory */
        jit_key_free(k);
        if (code)
            release(code);
        goto out;
    }
    e->key = *k;
    k->bytes = NULL;
    e->rough = rough;
    e->used = ++uses;
    e->refs = 1;
    e->code = code;
    e->release = release;
    snprintf(e->why, sizeof(e->why), "%s", why);
    e->next = buckets[e->key.hash % BUCKETS];
    buckets[e->key.hash % BUCKETS] = e;
out:
    pthread_mutex_unlock(&lock);
    return e;
}

void jit_cache_put(struct jit_entry *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&lock);
    if (!--e->refs) {
        idle++;
        idle_bytes += bytes_of(e);
        shrink();
    }
    pthread_mutex_unlock(&lock);
}

struct jit_code *jit_entry_code(const struct jit_entry *e)
{
    return e->code;
}

const char *jit_entry_why(const struct jit_entry *e)
{
    return e->why;
}
