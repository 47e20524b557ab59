/* SPDX-License-Identifier: MIT */
/*
 * jit_run.c - runs warps with compiled code and decides what is compiled, when. The compiler itself
 * is a plug-in (jit/): without it everything is interpreted.
 *
 * One thread of the process compiles, one kernel after the other, from copies that it owns: a
 * module may go while its kernel is being compiled. The code belongs to jit_state, which kernel and
 * compilation hold together.
 */
#include <cpuid.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "interp.h"
#include "jit.h"
#include "jit_cache.h"

#define WARM_NS     3000000u /* interpreted for so long, a kernel is worth compiling */
#define STACK_BYTES (64u << 20)
#define MAX_QUEUE   256u
#define JIT_DIR     "/usr/lib/gvm/" /* of a confined worker, which does not know where it lies */

enum { COLD, QUEUED, READY, REFUSED };
struct variant {
    struct jit_code *code; /* the entry's */
    struct jit_entry *entry;
    struct prog *flat; /* what it runs, if that is not the kernel's program */
    int state;         /* written under `lock`; READY is seen with acquire */
};
struct jit_state {
    int refs;
    uint64_t ns;         /* interpreted so far */
    unsigned looked;     /* by row_kind(), a bit: in the cache */
    struct variant v[4]; /* by row_kind() */
};
struct request {
    struct request *next;
    struct jit_state *state;
    struct prog *real, *virt;
    char name[128];
    uint32_t param_bytes;
    unsigned kind;
    uint64_t rough;
    bool flat; /* real is another program than the kernel's */
};

static const struct jit_ops *ops;
static enum ptx_jit mode = PTX_JIT_OFF;
static unsigned force_lanes;
static void (*note)(const char *line);
static struct ptx_jit_stats stats;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct request *queue;
static unsigned queued;
static bool thread_runs;

/* ---- running ----------------------------------------------------------------------------------- */

static void h_handler(struct warp *w, const struct uop *u, uint32_t mask)
{
    struct ptx_exec *x = w->x;
    uint32_t csr = x->csr;

    w->mask = mask;
    x->site = 0;
    warp_place(w);
    if (u->kind == K_CALL) {
        x->cur_uop = u;
        ptx_builtin(w, u, (const struct call *)(intptr_t)u->imm, mask, 0);
        return;
    }
    if ((u->csr ^ csr) & u->csrmask)
        set_csr(x, u->csr);
    u->fn(w, u);
    if (x->csr != csr)
        set_csr(x, csr);
}

static void h_barrier(struct warp *w, const struct uop *u, uint32_t mask)
{
    w->x->site = 0;
    w->x->cur_uop = u;
    w->x->jit_slow = true;
    w->mask = w->active = mask;
    bar_arrive(w, u, mask);
    if (w->active) { /* bar.arrive does not wait */
        warp_park(w, w->frame0, w->pc, w->active);
        w->active = 0;
    }
}

static void h_park(struct warp *w, const struct uop *u, uint32_t mask)
{
    w->x->jit_slow = true;
    warp_park(w, w->frame0, u, mask);
}

static void h_yield(struct warp *w, const struct uop *u, uint32_t mask)
{
    w->x->jit_slow = true;
    warp_park(w, w->frame0, u, mask);
    w->jit_yield = true;
}

static void h_stop(struct warp *w, const struct uop *u, uint32_t mask)
{
    w->mask = mask;
    check_stop(w, u);
}

static void h_trap(struct warp *w, const struct uop *u, uint32_t mask)
{
    ptx_throw(w, u, E_LAUNCH_FAILED, __builtin_ctz(mask), 0, "trap");
}

static void h_spread(void *to, uint64_t base, uint64_t stride, uint32_t mask, uint32_t wide)
{
    for (uint32_t k = mask; k; k &= k - 1) {
        unsigned l = (unsigned)__builtin_ctz(k);

        if (wide)
            ((uint64_t *)to)[l] = base + l * stride;
        else
            ((uint32_t *)to)[l] = (uint32_t)(base + l * stride);
    }
}

/* The registers that entry e of the code wants in a part's first lane, from one that is there... */
static void keep_first(const struct warp *w, const struct jit_code *jc, uint32_t e, uint32_t lane0,
                       unsigned from)
{
    for (uint32_t i = jc->keep_at[e]; from && i < jc->keep_at[e + 1]; i++) {
        const struct jit_keep *k = &jc->keeps[i];
        uint8_t *at = w->frame0->regs + k->off + (size_t)lane0 * (k->wide ? 8 : 4);

        if (k->wide)
            *(uint64_t *)at = ((uint64_t *)at)[from] - from * (uint64_t)k->stride;
        else
            *(uint32_t *)at = ((uint32_t *)at)[from] - (uint32_t)(from * (uint64_t)k->stride);
    }
}

/* ... and from there to all lanes, where the interpreter wants them. */
static void keep_all(const struct warp *w, const struct jit_code *jc, uint32_t e, uint32_t lane0)
{
    for (uint32_t i = jc->keep_at[e]; i < jc->keep_at[e + 1]; i++) {
        const struct jit_keep *k = &jc->keeps[i];
        uint8_t *at = w->frame0->regs + k->off + (size_t)lane0 * (k->wide ? 8 : 4);

        h_spread(at, k->wide ? *(uint64_t *)at : *(uint32_t *)at, (uint64_t)k->stride,
                 jc->lanes == WARP ? FULL : (1u << jc->lanes) - 1, k->wide);
    }
}

static const struct jit_helpers helpers = {.handler = h_handler,
                                           .barrier = h_barrier,
                                           .park = h_park,
                                           .yield = h_yield,
                                           .stop = h_stop,
                                           .trap = h_trap,
                                           .spread = h_spread};

/* The entry of the group that runs, or -1: compiled code keeps whole parts of the frame, so no
 * other lanes of the same parts may wait with registers of theirs in it. */
static int entry_of(const struct warp *w, const struct jit_code *jc)
{
    const uint64_t at = (uint64_t)(w->pc - w->frame0->fn->uops);
    uint32_t mine = 0;

    if (w->frame != w->frame0 || at >= jc->nuops || jc->entry[at] < 0)
        return -1;
    for (uint32_t l = 0; l < WARP; l += jc->lanes) {
        uint32_t part = (jc->lanes == WARP ? FULL : (1u << jc->lanes) - 1) << l;

        if (w->active & part)
            mine |= part;
    }
    for (uint32_t i = 0; i < w->npend; i++)
        if (w->pend[i].mask & mine)
            return -1;
    return jc->entry[at];
}

static void run_parts(struct warp *w, const struct jit_code *jc, int entry)
{
    const uint32_t m = w->active, n = jc->lanes, before = w->alive;
    const struct uop *uops = w->frame0->fn->uops;

    w->active = 0;
    if (w->x->csr != jc->csr)
        set_csr(w->x, jc->csr);
    for (uint32_t l = 0; l < WARP; l += n) {
        uint32_t part = n == WARP ? m : m >> l & ((1u << n) - 1);

        if (part)
            keep_first(w, jc, (uint32_t)entry, l, (unsigned)__builtin_ctz(part));
        if (part)
            jc->fn(w->cta->warps, part, (uint32_t)entry, (w->index * WARP + l) / n, 1, uops);
    }
    w->frame0->live &= w->alive;
    if (w->alive != before && (w->cta->nwarps > 1 || w->npend))
        bar_recheck(w->cta);
}

/* Lanes wait where compiled code was entered with them: what is there is for the interpreter, as a
 * call by pointer at the start of a kernel. */
static bool is_stuck(const struct warp *w, const struct uop *pc, uint32_t mask)
{
    for (uint32_t i = 0; i < w->npend && !w->jit_yield; i++)
        if (w->pend[i].frame == w->frame0 && w->pend[i].pc == pc && (w->pend[i].mask & mask))
            return true;
    return false;
}

void jit_warp_run(struct warp *w)
{
    struct ptx_exec *x = w->x;
    const struct jit_code *jc = x->jit;
    bool stuck = false;

    x->cur_warp = w;
    for (;;) {
        const struct uop *pc;
        uint32_t mask;
        int entry;

        if (!w->active && !warp_pick(w))
            return;
        entry = entry_of(w, jc);
        if (entry < 0 || stuck) {
            x->site = 0;
            warp_place(w);
            warp_run(w);
            return;
        }
        w->jit_yield = false;
        pc = w->pc;
        mask = w->active;
        run_parts(w, jc, entry);
        stuck = is_stuck(w, pc, mask);
        if (w->jit_yield) {
            /* the group that has waited longest goes on, after the other warps */
            check_stop(w, x->cur_uop);
            if (warp_oldest(w)) {
                w->status = WS_READY;
                return;
            }
        }
    }
}

/* What has stopped at barriers and elsewhere is made what the interpreter has. */
static void unravel(struct cta *c, const struct jit_code *jc)
{
    struct ptx_exec *x = c->warps->x;
    const struct uop *uops = x->prog->funcs[0].uops;
    const uint32_t n = jc->lanes, part = n == WARP ? FULL : (1u << n) - 1;

    c->fresh = false;
    x->site = 0;
    for (uint32_t i = 0; i < c->nwarps; i++) {
        struct warp *w = &c->warps[i];

        w->active = 0;
        warp_place(w);
    }
    for (uint32_t i = 0; i < c->nwarps; i++) {
        struct warp *w = &c->warps[i];

        x->cur_warp = w;
        for (uint32_t l = 0; l < WARP; l += n) {
            uint32_t at = w->jit_wait[l / n], m = w->alive & part << l;

            w->jit_wait[l / n] = 0;
            if (at && m)
                keep_all(w, jc, (uint32_t)jc->entry[at], l);
            if (at && m)
                h_barrier(w, &uops[at - 1], m);
        }
    }
    bar_recheck(c);
    c->live_warps = 0;
    for (uint32_t i = 0; i < c->nwarps; i++) {
        c->warps[i].status = c->warps[i].npend ? WS_READY : WS_DONE;
        c->live_warps += c->warps[i].npend != 0;
    }
}

bool jit_cta_run(struct cta *c)
{
    struct ptx_exec *x = c->warps->x;
    const struct jit_code *jc = x->jit;
    const struct uop *uops = x->prog->funcs[0].uops;
    const uint32_t nparts = (c->nthreads + jc->lanes - 1) / jc->lanes;
    uint32_t entry = 0, at;

    x->jit_slow = false;
    if (x->csr != jc->csr)
        set_csr(x, jc->csr);
    if (!jc->alive) { /* nothing waits, and nobody asks who is there */
        const uint32_t whole = c->nthreads / jc->lanes, rest = c->nthreads % jc->lanes;

        if (whole)
            jc->fn(c->warps, FULL, 0, 0, whole, uops);
        if (rest)
            jc->fn(c->warps, (1u << rest) - 1, 0, whole, 1, uops);
        if (!x->jit_slow)
            return true;
        unravel(c, jc);
        return !c->live_warps;
    }
    for (;;) {
        at = jc->fn(c->warps, 0, entry, 0, nparts, uops);
        if (x->jit_slow || at == JIT_MIXED)
            break;
        if (at == JIT_ENDED)
            return true;
        entry = (uint32_t)jc->entry[at + 1];
    }
    unravel(c, jc);
    return !c->live_warps;
}

/* ---- states and the compiling thread -------------------------------------------------------------- */

void jit_state_put(struct jit_state *s)
{
    bool last;

    if (!s)
        return;
    pthread_mutex_lock(&lock);
    last = --s->refs == 0;
    pthread_mutex_unlock(&lock);
    if (!last)
        return;
    for (int i = 0; i < 4; i++)
        jit_cache_put(s->v[i].entry), ptx_prog_free(s->v[i].flat);
    free(s);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* QEMU without KVM computes vectors lane by lane, at more than the price of scalars. */
bool ptx_jit_emulated(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 31))
        return false;
    __cpuid(0x40000000, a, b, c, d);
    return b == 0x54474354 && c == 0x43544743 && d == 0x47435447; /* TCGTCGTCGTCG */
}

static unsigned best_lanes(void)
{
    return force_lanes ? force_lanes : ptx_jit_emulated() ? 1 : 0;
}

static void note_refused(const char *name, const char *why)
{
    char line[400];

    if (!note)
        return;
    snprintf(line, sizeof(line), "kernel %.80s stays interpreted: %s", name, why);
    note(line);
}

static void request_free(struct request *r)
{
    ptx_prog_free(r->real);
    ptx_prog_free(r->virt);
    jit_state_put(r->state);
    free(r);
}

/* Code of a kernel with calls needs the program that has none: the interpreter goes on in that one. */
static void keep_flat(struct request *r)
{
    struct variant *v = &r->state->v[r->kind];

    if (!v->code || !r->flat)
        return;
    v->flat = r->real;
    r->real = NULL;
}

/* Code of what has been compiled before, in whatever module. False: nothing of this content has. */
static bool found(struct request *r, struct jit_key *key, char *log, size_t log_n)
{
    struct variant *v = &r->state->v[r->kind];
    struct jit_entry *e = jit_cache_find(key);

    if (!e)
        return false;
    jit_key_free(key);
    snprintf(log, log_n, "%s", jit_entry_why(e));
    pthread_mutex_lock(&lock);
    v->entry = e;
    v->code = jit_entry_code(e);
    keep_flat(r);
    __atomic_store_n(&v->state, v->code ? READY : REFUSED, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
    return true;
}

/* Compiles, or finds it compiled; look: does nothing else. */
static void compile(struct request *r, bool look, char *log, size_t log_n)
{
    struct jit_job job = {.real = r->real,
                          .virt = r->virt,
                          .name = r->name,
                          .param_bytes = r->param_bytes,
                          .lanes = best_lanes(),
                          .row = r->kind ? 4u << r->kind : 0,
                          .all = mode == PTX_JIT_FIRST,
                          .helpers = &helpers};
    struct variant *v = &r->state->v[r->kind];
    struct jit_entry *e = NULL;
    struct jit_code *code = NULL;
    struct jit_key key;
    char line[400];
    uint64_t start = cpu_ns();
    int err = jit_key_make(&key, &job);

    if (!err && found(r, &key, log, log_n))
        return;
    if (look || err) {
        if (!err)
            jit_key_free(&key);
        __atomic_store_n(&v->state, COLD, __ATOMIC_RELEASE);
        return;
    }
    log[0] = 0;
    err = ops->compile(&job, &code, log, log_n);
    if (note && !err) {
        snprintf(line, sizeof(line),
                 "kernel %.80s compiled for %u lanes in %.1f ms of processor time, %zu bytes",
                 r->name, code->lanes, (double)(cpu_ns() - start) / 1e6, code->mem_size);
        note(line);
    }
    if (err)
        note_refused(r->name, log);
    e = jit_cache_add(&key, r->rough, err ? NULL : code, log, ops->release);
    code = e ? jit_entry_code(e) : NULL;
    pthread_mutex_lock(&lock);
    stats.compile_ns += cpu_ns() - start;
    stats.compiled += !err;
    stats.refused += err != 0;
    v->entry = e;
    v->code = code;
    keep_flat(r);
    __atomic_store_n(&v->state, code ? READY : REFUSED, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&lock);
}

static void *compiler(void *arg)
{
    char log[200];

    (void)arg;
    pthread_mutex_lock(&lock);
    for (;;) {
        struct request *r = queue;

        if (!r) {
            pthread_cond_wait(&work, &lock);
            continue;
        }
        queue = r->next;
        queued--;
        pthread_mutex_unlock(&lock);
        compile(r, false, log, sizeof(log));
        request_free(r);
        pthread_mutex_lock(&lock);
    }
    return NULL;
}

static bool start_thread(void)
{
    pthread_attr_t attr;
    pthread_t t;
    sigset_t all, before;

    if (thread_runs)
        return true;
    sigfillset(&all);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_runs = !pthread_create(&t, &attr, compiler, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return thread_runs;
}

/* Blocks are told apart by how threads of a row lie in warps: 3: by 32, 2: by 16, 1: by 8, 0. */
static unsigned row_kind(const struct ptx_launch *l)
{
    if (l->block[0] % 32 == 0 || (l->block[1] == 1 && l->block[2] == 1))
        return 3;
    return l->block[0] % 16 == 0 ? 2 : l->block[0] % 8 == 0 ? 1 : 0;
}

/* Makes a compilation of the kernel; whether it is queued or done at once is for the caller. */
static struct request *request_new(struct ptx_kernel *k, struct jit_state *s, unsigned kind,
                                   char *log, size_t log_n)
{
    struct request *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    if (ptx_lower_twice(k, &r->real, &r->virt, &r->flat, log, log_n)) {
        free(r);
        return NULL;
    }
    snprintf(r->name, sizeof(r->name), "%s", k->fn->name);
    r->param_bytes = k->fn->param_bytes;
    r->kind = kind;
    r->rough = jit_rough(k->prog);
    r->state = s;
    pthread_mutex_lock(&lock);
    s->refs++;
    pthread_mutex_unlock(&lock);
    return r;
}

static struct jit_state *state_of(struct prog *g)
{
    struct jit_state *s;

    pthread_mutex_lock(&lock);
    if (!g->jit && (s = calloc(1, sizeof(*s)))) {
        s->refs = 1;
        __atomic_store_n(&g->jit, s, __ATOMIC_RELEASE);
    }
    s = g->jit;
    pthread_mutex_unlock(&lock);
    return s;
}

enum asked { LATER, NOW, LOOK };

/* Has the kernel compiled, at once or by the compiling thread; LOOK: only if that has been done. */
static void ask_for(struct ptx_kernel *k, struct jit_state *s, unsigned kind, enum asked when)
{
    struct variant *v = &s->v[kind];
    struct request *r, **at;
    char log[200];
    bool mine;

    pthread_mutex_lock(&lock);
    mine = v->state == COLD && queued < MAX_QUEUE && (when != LATER || start_thread());
    if (mine)
        v->state = QUEUED;
    pthread_mutex_unlock(&lock);
    if (!mine)
        return;
    log[0] = 0;
    r = request_new(k, s, kind, log, sizeof(log));
    if (!r) {
        note_refused(k->fn->name, log);
        __atomic_store_n(&v->state, REFUSED, __ATOMIC_RELEASE);
        return;
    }
    if (when != LATER) {
        compile(r, when == LOOK, log, sizeof(log));
        request_free(r);
        return;
    }
    pthread_mutex_lock(&lock);
    for (at = &queue; *at; at = &(*at)->next)
        ;
    *at = r;
    queued++;
    pthread_cond_signal(&work);
    pthread_mutex_unlock(&lock);
}

const struct jit_code *jit_find(struct ptx_kernel *k, const struct ptx_launch *l,
                                struct prog **prog)
{
    unsigned kind = row_kind(l);
    struct jit_state *s;

    if (mode == PTX_JIT_OFF)
        return NULL;
    s = __atomic_load_n(&k->prog->jit, __ATOMIC_ACQUIRE);
    if (!s && !(s = state_of(k->prog)))
        return NULL;
    if (mode == PTX_JIT_FIRST)
        ask_for(k, s, kind, NOW);
    else if (!(__atomic_fetch_or(&s->looked, 1u << kind, __ATOMIC_RELAXED) >> kind & 1) &&
             jit_cache_has(jit_rough(k->prog)))
        ask_for(k, s, kind, LOOK);
    if (__atomic_load_n(&s->v[kind].state, __ATOMIC_ACQUIRE) != READY)
        return NULL;
    __atomic_fetch_add(&stats.entered, 1, __ATOMIC_RELAXED);
    if (s->v[kind].flat)
        *prog = s->v[kind].flat;
    return s->v[kind].code;
}

void jit_note(struct ptx_kernel *k, const struct ptx_launch *l, uint64_t ns)
{
    struct jit_state *s;

    if (mode != PTX_JIT_ON)
        return;
    s = __atomic_load_n(&k->prog->jit, __ATOMIC_ACQUIRE);
    if (!s)
        return;
    if (__atomic_add_fetch(&s->ns, ns, __ATOMIC_RELAXED) > WARM_NS)
        ask_for(k, s, row_kind(l), LATER);
}

int ptx_jit_try(struct ptx_kernel *k, char *log, size_t log_n)
{
    struct jit_state *s = calloc(1, sizeof(*s));
    struct request *r;
    int err = -1;

    snprintf(log, log_n, "out of memory, or no compiler");
    if (!s || !ops || !(r = request_new(k, s, 3, log, log_n))) {
        free(s);
        return -1;
    }
    compile(r, false, log, log_n);
    err = s->v[3].code ? 0 : -1;
    request_free(r);
    return err;
}

bool ptx_jit_unset(struct ptx_kernel *k)
{
    struct jit_state *s = __atomic_load_n(&k->prog->jit, __ATOMIC_ACQUIRE);

    for (int i = 0; s && i < 4; i++)
        if (__atomic_load_n(&s->v[i].state, __ATOMIC_ACQUIRE) == READY && s->v[i].code->unset)
            return true;
    return false;
}

/* ---- the plug-in ----------------------------------------------------------------------------------- */

/* In programs that have the compiler linked in. */
extern const struct jit_ops gvm_ptx_jit __attribute__((weak));

static void *open_plugin(char *log, size_t log_n)
{
    static const char *const places[] = {"", "../lib/gvm/", "../"};
    char self[512], path[640];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    void *h = NULL;
    const char *why = "not found";

    if (n <= 0)
        n = 0;
    self[n] = 0;
    char *slash = strrchr(self, '/');
    if (slash)
        slash[1] = 0;
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]) && !h; i++) {
        snprintf(path, sizeof(path), "%s%s%s", self, places[i], JIT_FILE);
        if (access(path, R_OK))
            continue;
        h = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (!h)
            why = dlerror();
    }
    if (!h && !access(JIT_DIR JIT_FILE, R_OK) &&
        !(h = dlopen(JIT_DIR JIT_FILE, RTLD_NOW | RTLD_LOCAL)))
        why = dlerror();
    if (!h)
        snprintf(log, log_n, "%s: %s", JIT_FILE, why);
    return h;
}

/* The compiling thread may be in the middle of something: the library's destructors must not run
 * under it. */
static void at_exit(int status, void *arg)
{
    (void)arg;
    if (!thread_runs)
        return;
    fflush(NULL);
    _exit(status);
}

bool ptx_jit_load(enum ptx_jit m, char *log, size_t log_n)
{
    static const uint32_t sizes[8] = JIT_SIZES;
    const struct jit_ops *o;
    void *h;

    if (ops) {
        mode = m;
        return true;
    }
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        snprintf(log, log_n, "the processor has no AVX2 and FMA");
        return false;
    }
    h = &gvm_ptx_jit ? NULL : open_plugin(log, log_n);
    if (!h && !&gvm_ptx_jit)
        return false;
    o = h ? dlsym(h, "gvm_ptx_jit") : &gvm_ptx_jit;
    if (!o || o->abi != JIT_ABI || memcmp(o->sizes, sizes, sizeof(sizes))) {
        snprintf(log, log_n, "%s: built from another version", JIT_FILE);
        if (h)
            dlclose(h);
        return false;
    }
    ops = o;
    mode = m;
    on_exit(at_exit, NULL);
    return true;
}

void ptx_jit_set(enum ptx_jit m)
{
    mode = ops ? m : PTX_JIT_OFF;
}

void ptx_jit_notes(void (*fn)(const char *line))
{
    note = fn;
}

void ptx_jit_lanes(unsigned lanes)
{
    force_lanes = lanes;
}

struct ptx_jit_stats ptx_jit_stats(void)
{
    struct ptx_jit_stats s;

    pthread_mutex_lock(&lock);
    s = stats;
    pthread_mutex_unlock(&lock);
    return s;
}
