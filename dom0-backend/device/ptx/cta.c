/* SPDX-License-Identifier: MIT */
/* cta.c - execution of CTAs: memory, start values, scheduling of warps, faults. */
#include "check.h"
#include <sys/mman.h>
#include <xmmintrin.h>

#include "addr.h"
#include "dom0-backend/common/clock.h"
#include "interp.h"
#include "jit.h"

static __thread struct ptx_exec *current; /* of this thread, for the signal handler */

/* ---- faults ------------------------------------------------------------------------------------------ */

static void lane_thread(const struct warp *w, int lane, uint32_t t[3])
{
    t[0] = w->sregs[SR_TID_X][lane];
    t[1] = w->sregs[SR_TID_Y][lane];
    t[2] = w->sregs[SR_TID_Z][lane];
}

static void fill_fault(struct warp *w, const struct uop *u, int err, int lane, uint64_t addr,
                       const char *msg)
{
    struct ptx_exec *x = w->x;
    struct ptx_fault *f = &x->fault;
    memset(f, 0, sizeof(*f));
    if (lane < 0)
        lane = w->mask ? __builtin_ctz(w->mask) : 0;
    f->err = err;
    memcpy(f->cta, w->cta->id, sizeof(f->cta));
    lane_thread(w, lane, f->thread);
    f->line = u ? u->line : 0;
    f->addr = addr;
    snprintf(f->kernel, sizeof(f->kernel), "%s", x->k->fn->name);
    if (err == E_ASSERT) /* complete as it is: it is printed where the native runtime prints it */
        ptx_log(f->what, sizeof(f->what), "%s", msg);
    else
        ptx_log(f->what, sizeof(f->what),
                "%s: kernel %.100s, CTA (%u,%u,%u), thread (%u,%u,%u), PTX line %u", msg, f->kernel,
                f->cta[0], f->cta[1], f->cta[2], f->thread[0], f->thread[1], f->thread[2], f->line);
}

void ptx_throw(struct warp *w, const struct uop *u, int err, int lane, uint64_t addr,
               const char *fmt, ...)
{
    char msg[640];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    fill_fault(w, u, err, lane, addr, msg);
    siglongjmp(w->x->jmp, 1);
}

/* Which lane of an access was wrong, and how. */
void ptx_bad_addr(struct warp *w, const struct uop *u, int space, u32 bytes, const u64 *ad)
{
    static const char *const names[] = {"global", "shared", "local", "parameter", "generic"};
    for (u32 k = w->mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        u64 size = space == AS_SHARED  ? w->shared_size
                   : space == AS_LOCAL ? w->local_size
                                       : w->params_len;
        bool out = space == AS_GLOBAL || space == AS_GENERIC ? (ad[i] & ~w->win_mask) != w->win_base
                                                             : size < bytes || ad[i] > size - bytes;
        if (space == AS_GENERIC && out && ad[i] >> 56 >= 1 && ad[i] >> 56 <= 3)
            out = false; /* shared, local and parameters are looked at one by one later */
        if (ad[i] & (bytes - 1))
            ptx_throw(w, u, E_MISALIGNED, i, ad[i], "misaligned %s address 0x%llx for %u bytes",
                      names[space], (unsigned long long)ad[i], bytes);
        if (out)
            ptx_throw(w, u, E_ILLEGAL_ADDRESS, i, ad[i], "%s address 0x%llx is out of bounds",
                      names[space], (unsigned long long)ad[i]);
    }
    ptx_throw(w, u, E_ILLEGAL_ADDRESS, -1, 0, "address out of bounds");
}

void *ptx_generic(struct warp *w, const struct uop *u, int lane, uint64_t addr, uint32_t n)
{
    uint64_t off = addr & (PTX_APERTURE_SIZE - 1), size = 0;
    uint8_t *base = NULL;
    if ((addr & ~w->win_mask) == w->win_base && ((addr + n - 1) & ~w->win_mask) == w->win_base)
        return (void *)(uintptr_t)(w->win_base | (addr & w->win_mask));
    switch (addr - off) {
    case PTX_APERTURE_SHARED:
        base = w->shared;
        size = w->shared_size;
        break;
    case PTX_APERTURE_LOCAL:
        base = w->local + (size_t)lane * w->x->local_stride;
        size = w->local_size;
        break;
    case PTX_APERTURE_PARAM:
        base = (uint8_t *)(uintptr_t)w->params;
        size = w->params_len;
        break;
    default:
        break;
    }
    if (size < n || off > size - n)
        ptx_throw(w, u, E_ILLEGAL_ADDRESS, lane, addr, "address 0x%llx is out of bounds",
                  (unsigned long long)addr);
    return base + off;
}

bool ptx_exec_signal(int sig, const siginfo_t *si)
{
    struct ptx_exec *x = current;
    if (!x || !x->running || (sig != SIGSEGV && sig != SIGBUS))
        return false;
    uint64_t a = (uint64_t)(uintptr_t)si->si_addr;
    if ((a & ~x->l->mem.mask) != x->l->mem.base)
        return false; /* not memory of the device: a fault of our own */
    x->sig_addr = a;
    x->sig = sig;
    siglongjmp(x->jmp, 2);
}

/* After a signal: find the lane whose access it was. */
static void explain_signal(struct ptx_exec *x)
{
    struct warp *w = x->cur_warp;
    const struct uop *u = x->cur_uop;
    int lane = -1;
    uint64_t best = UINT64_MAX, addr = 0;
    char msg[100];
    if (x->site) { /* compiled code */
        const struct jit_site *s = &x->jit->sites[x->site - 1];
        const uint32_t *indices = (const uint32_t *)x->lane_addr;
        uint32_t all = x->jit->lanes == WARP ? FULL : (1u << x->jit->lanes) - 1;

        if (s->full)
            x->site_mask = all;
        u = &w->frame0->fn->uops[s->uop];
        w->mask = x->site_mask << x->site_lane0;
        /* lanes go in any order there; the interpreter meets the lowest one in the page first */
        for (uint32_t k = x->site_mask; k && lane < 0; k &= k - 1) {
            int i = __builtin_ctz(k);
            uint64_t ad = s->scale      ? x->site_addr + (uint64_t)s->scale * indices[i]
                          : s->gathered ? x->lane_addr[i]
                                        : x->site_addr + (uint64_t)s->stride * (uint32_t)i;
            if (ad >> 12 == x->sig_addr >> 12) {
                lane = i + (int)x->site_lane0;
                x->sig_addr = ad;
            }
        }
    } else if (u && u->kind == K_FN && (u->a == NO_ADDR_REG || (u->a & 3) < B_COUNT)) {
        uint64_t ad[WARP] __attribute__((aligned(64)));
        const bool one = !strncmp(u->name, "ld.", 3) || !strncmp(u->name, "st.", 3);
        lane_addrs(w, u, ad);
        for (uint32_t k = w->mask; k; k &= k - 1) {
            int i = __builtin_ctz(k);
            if (one && ad[i] >> 12 == x->sig_addr >> 12) { /* as above */
                lane = i;
                addr = ad[i];
                break;
            }
            /* lanes are read in vectors: the faulting byte may be a little above or below */
            uint64_t d = ad[i] > x->sig_addr ? ad[i] - x->sig_addr : x->sig_addr - ad[i];
            if (d < best) {
                best = d;
                lane = i;
                addr = d < 4 && ad[i] > x->sig_addr ? ad[i] : x->sig_addr; /* a word around it */
            }
        }
    }
    if (!addr)
        addr = x->sig_addr;
    snprintf(msg, sizeof(msg), "address 0x%llx is not allocated", (unsigned long long)addr);
    fill_fault(w, u, E_ILLEGAL_ADDRESS, lane, addr, msg);
}

/* ---- memory -------------------------------------------------------------------------------------------- */

/* Shared memory of the system's, in each block: cooperative groups keep barriers and values of
 * groups of several warps in its second half. */
#define RESERVED_BYTES 1024u

struct layout {
    uint32_t nwarps, nthreads;
    uint32_t shared, total, reserved, local_stride, frame;
    size_t warps_off, frames_off, shared_off, local_off, shadow_off, slot; /* bytes */
};

static size_t up64(size_t n)
{
    return (n + 63) & ~(size_t)63;
}

static int make_layout(const struct ptx_kernel *k, const struct prog *g, const struct ptx_launch *l,
                       struct layout *y)
{
    uint64_t n = (uint64_t)l->block[0] * l->block[1] * l->block[2];
    uint64_t shared = (uint64_t)g->shared_bytes + l->shmem;
    if (shared > PTX_MAX_SHARED)
        return E_INVALID_VALUE;
    y->total = shared;
    /* Only for who asks where it is: others find what is behind their memory out of bounds. */
    y->reserved = (uint32_t)(shared + 15) & ~15u;
    if (k->mod->reserved)
        shared = y->reserved + RESERVED_BYTES;
    y->nthreads = n;
    y->nwarps = (n + WARP - 1) / WARP;
    y->shared = shared;
    /* the odd 64 bytes keep the lanes' memory from falling on the same cache sets */
    y->local_stride = k->stack_bytes ? up64(k->stack_bytes) + 64 : 0;
    y->frame = up64(sizeof(struct frame)) + up64(g->funcs[0].frame_bytes);
    size_t at = up64(sizeof(struct cta));
    y->warps_off = at;
    at += y->nwarps * up64(sizeof(struct warp));
    y->frames_off = at;
    at += (size_t)y->nwarps * y->frame;
    y->shared_off = at;
    at += up64(shared);
    y->local_off = at;
    at += (size_t)y->nwarps * WARP * y->local_stride;
    y->shadow_off = at;
    if (ptx_check_get())
        at += up64(shared * sizeof(struct check_shadow));
    y->slot = (at + 4095) & ~(size_t)4095;
    return 0;
}

#define KEEP_MAX ((size_t)256 << 20) /* more is given back after the launch */
#define MEM_MAX  ((size_t)8 << 30)

static int get_memory(struct ptx_exec *x, size_t bytes)
{
    if (bytes <= x->mem_size)
        return 0;
    if (bytes > MEM_MAX)
        return E_LAUNCH_RESOURCES;
    if (x->mem)
        munmap(x->mem, x->mem_size);
    x->mem_size = 0;
    x->mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
    if (x->mem == MAP_FAILED) {
        x->mem = NULL;
        return E_OUT_OF_MEMORY;
    }
    x->mem_size = bytes;
    return 0;
}

/* ---- start values -------------------------------------------------------------------------------------- */

static void fill_sreg(struct warp *w, unsigned sr, uint32_t v)
{
    for (int i = 0; i < WARP; i++)
        w->sregs[sr][i] = v;
}

/* What does not change from CTA to CTA. */
static void init_warp(struct ptx_exec *x, struct cta *c, struct warp *w, uint32_t index,
                      const struct layout *y, uint8_t *slot)
{
    const struct ptx_launch *l = x->l;
    memset(w, 0, sizeof(*w));
    w->x = x;
    w->cta = c;
    w->index = index;
    w->base[B_CONST] = x->prog->consts;
    w->base[B_SREG] = (uint8_t *)w->sregs;
    w->shared = slot + y->shared_off;
    w->shared_size = y->shared;
    w->local = slot + y->local_off + (size_t)index * WARP * y->local_stride;
    w->local_size = x->k->stack_bytes;
    w->win_base = l->mem.base;
    w->win_mask = l->mem.mask;
    w->params = l->params;
    w->params_len = l->params_len;
    struct frame *f = (struct frame *)(slot + y->frames_off + (size_t)index * y->frame);
    memset(f, 0, sizeof(*f));
    f->fn = &x->prog->funcs[0];
    f->regs = (uint8_t *)f + up64(sizeof(*f));
    w->frame0 = f;
    for (uint32_t i = 0; i < WARP; i++) {
        uint32_t t = index * WARP + i;
        w->sregs[SR_TID_X][i] = t % l->block[0];
        w->sregs[SR_TID_Y][i] = t / l->block[0] % l->block[1];
        w->sregs[SR_TID_Z][i] = t / l->block[0] / l->block[1];
        w->sregs[SR_LANEID][i] = i;
        w->sregs[SR_LM_EQ][i] = 1u << i;
        w->sregs[SR_LM_LE][i] = (2u << i) - 1;
        w->sregs[SR_LM_LT][i] = (1u << i) - 1;
        w->sregs[SR_LM_GE][i] = ~((1u << i) - 1);
        w->sregs[SR_LM_GT][i] = ~((2u << i) - 1);
    }
    for (int d = 0; d < 3; d++) {
        fill_sreg(w, SR_NTID_X + d, l->block[d]);
        fill_sreg(w, SR_NCTAID_X + d, l->grid[d]);
        fill_sreg(w, SR_NCLUSTER_X + d, l->grid[d]);
    }
    fill_sreg(w, SR_WARPID, index);
    fill_sreg(w, SR_NWARPID, 64);
    fill_sreg(w, SR_NSMID, 1);
    fill_sreg(w, SR_DYN_SMEM, l->shmem);
    fill_sreg(w, SR_TOTAL_SMEM, y->total);
    fill_sreg(w, SR_AGGR_SMEM, y->shared);
    fill_sreg(w, SR_RESERVED_BEGIN, y->reserved);
    fill_sreg(w, SR_RESERVED_END, y->reserved + RESERVED_BYTES);
    fill_sreg(w, SR_RESERVED_CAP, RESERVED_BYTES);
    fill_sreg(w, SR_RESERVED_1, y->reserved + RESERVED_BYTES / 2);
    fill_sreg(w, SR_CLUSTER_ONE, 1);
    fill_sreg(w, SR_WARPSZ, WARP);
    fill_sreg(w, SR_ENVREG1, (uint32_t)(l->coop_workspace >> 32));
    fill_sreg(w, SR_ENVREG2, (uint32_t)l->coop_workspace);
}

void warp_place(struct warp *w)
{
    for (int d = 0; d < 3; d++)
        if (w->sregs[SR_CTAID_X + d][0] != w->cta->id[d])
            fill_sreg(w, SR_CTAID_X + d, w->cta->id[d]);
}

static uint32_t first_alive(const struct cta *c, uint32_t warp)
{
    uint32_t left = c->nthreads - warp * WARP;

    return left >= WARP ? FULL : (1u << left) - 1;
}

static void place_cta(struct ptx_exec *x, struct cta *c, uint64_t linear)
{
    const struct ptx_launch *l = x->l;
    uint64_t row = linear / l->grid[0];

    c->id[0] = (uint32_t)(linear % l->grid[0]);
    c->id[1] = (uint32_t)(row % l->grid[1]);
    c->id[2] = (uint32_t)(row / l->grid[1]);
}

/* The one after: divisions would be most of what starting a CTA takes. */
static void next_place(struct ptx_exec *x, struct cta *c)
{
    const struct ptx_launch *l = x->l;

    for (int d = 0; d < 3 && ++c->id[d] == l->grid[d]; d++)
        c->id[d] = 0;
}

/* c->id is there. */
static void start_cta(struct ptx_exec *x, struct cta *c)
{
    c->live_warps = c->nwarps;
    c->fresh = true;
    if (c->nactive) /* bar.arrive does not wait: the last CTA may have left some */
        memset(c->bar, 0, sizeof(c->bar));
    c->nactive = 0;
    if (c->shadow)
        memset(c->shadow, 0, (size_t)c->warps[0].shared_size * sizeof(struct check_shadow));
    for (uint32_t i = 0; i < c->nwarps; i++) {
        struct warp *w = &c->warps[i];
        if (!x->jit)
            warp_place(w);
        w->alive = first_alive(c, i);
        w->active = w->alive;
        w->npend = 0;
        w->cc = 0;
        w->spin = 0;
        w->fair = false;
        w->status = WS_READY;
        w->frame = w->frame0;
        w->frame0->live = w->alive;
        w->base[B_FRAME] = w->frame0->regs;
        w->pc = x->prog->funcs[0].uops;
    }
}

/* For compiled code, which leaves warps as they were as long as it does not need them. */
static void start_compiled(struct ptx_exec *x, struct cta *c)
{
    if (!c->fresh) {
        start_cta(x, c);
        return;
    }
    if (x->jit->alive)
        for (uint32_t i = 0; i < c->nwarps; i++)
            c->warps[i].alive = first_alive(c, i);
}

/* One turn for every warp that can run. False: the CTA is done. */
static bool cta_turn(struct cta *c)
{
    bool ran = false;
    for (uint32_t i = 0; i < c->nwarps; i++) {
        struct warp *w = &c->warps[i];
        if (w->status != WS_READY)
            continue;
        ran = true;
        if (w->x->jit)
            jit_warp_run(w);
        else
            warp_run(w);
        if (w->status == WS_DONE)
            c->live_warps--;
    }
    if (!c->live_warps)
        return false;
    if (!ran) {
        /* Threads wait at a barrier for others that wait elsewhere: hardware would hang. */
        struct warp *w = c->warps;
        while (w->status != WS_BLOCKED)
            w++;
        w->mask = w->pend[0].mask;
        ptx_throw(w, w->pend[0].pc - 1, E_LAUNCH_FAILED, -1, 0,
                  "deadlock: a barrier or warp synchronisation that can never complete");
    }
    return true;
}

/* ---- the public calls ------------------------------------------------------------------------------------ */

static bool checking;

void ptx_check_set(bool on)
{
    checking = on;
}

bool ptx_check_get(void)
{
    return checking;
}

struct ptx_exec *ptx_exec_new(void)
{
    struct ptx_exec *x = aligned_alloc(64, up64(sizeof(*x)));
    if (x)
        memset(x, 0, sizeof(*x));
    return x;
}

void ptx_exec_free(struct ptx_exec *x)
{
    if (!x)
        return;
    if (x->mem)
        munmap(x->mem, x->mem_size);
    free(x);
}

static void free_call_frames(struct ptx_exec *x)
{
    while (x->heap_frames) {
        struct frame *f = x->heap_frames;
        x->heap_frames = f->next_all;
        free(f);
    }
    x->call_bytes = 0;
}

static int fail(struct ptx_kernel *k, struct ptx_fault *fault, int err, const char *what)
{
    memset(fault, 0, sizeof(*fault));
    fault->err = err;
    snprintf(fault->kernel, sizeof(fault->kernel), "%s", k->fn->name);
    snprintf(fault->what, sizeof(fault->what), "kernel %.100s: %s", k->fn->name, what);
    return err;
}

static int check_launch(struct ptx_kernel *k, const struct ptx_launch *l, uint64_t first,
                        uint64_t count, struct ptx_fault *fault)
{
    uint64_t n = 1, ctas;
    if (!k->prog)
        return fail(k, fault, E_INVALID_VALUE, "not prepared");
    for (int d = 0; d < 3; d++) {
        if (!l->block[d] || l->block[d] > PTX_MAX_THREADS || !l->grid[d])
            return fail(k, fault, E_INVALID_VALUE, "bad grid or block dimension");
        n *= l->block[d];
    }
    if (n > PTX_MAX_THREADS)
        return fail(k, fault, E_INVALID_VALUE, "more than 1024 threads in a block");
    if (__builtin_mul_overflow((uint64_t)l->grid[0] * l->grid[1], (uint64_t)l->grid[2], &ctas) ||
        first > ctas || count > ctas - first)
        return fail(k, fault, E_INVALID_VALUE, "CTAs outside the grid");
    if (l->params_len < k->fn->param_bytes)
        return fail(k, fault, E_INVALID_VALUE, "parameter buffer too short");
    if ((l->mem.mask & (l->mem.mask + 1)) || (l->mem.base & l->mem.mask))
        return fail(k, fault, E_INVALID_VALUE, "bad memory window");
    return 0;
}

/* CTAs one after the other in one slot, or all together in a cooperative launch. */
static void run_all(struct ptx_exec *x, const struct layout *y, uint32_t nslots, uint64_t first,
                    uint64_t count)
{
    for (uint32_t s = 0; s < nslots; s++) {
        uint8_t *slot = x->mem + (size_t)s * y->slot;
        struct cta *c = (struct cta *)slot;
        c->nwarps = y->nwarps;
        c->nthreads = y->nthreads;
        c->warps = (struct warp *)(slot + y->warps_off);
        c->shadow = ptx_check_get() ? slot + y->shadow_off : NULL;
        c->epoch = 0;
        c->fresh = false;
        c->nactive = 0;
        memset(c->bar, 0, sizeof(c->bar));
        memset(c->warp_epoch, 0, sizeof(c->warp_epoch));
        for (uint32_t i = 0; i < y->nwarps; i++) {
            init_warp(x, c, &c->warps[i], i, y, slot);
            for (int d = 0; d < 3; d++)
                fill_sreg(&c->warps[i], SR_CTAID_X + d, UINT32_MAX);
        }
    }
    if (nslots == 1) {
        struct cta *c = (struct cta *)x->mem;
        place_cta(x, c, first);
        for (uint64_t i = 0; i < count; i++, next_place(x, c)) {
            if (x->jit)
                start_compiled(x, c);
            else
                start_cta(x, c);
            x->cur_warp = c->warps;
            check_stop(c->warps, NULL);
            if (x->jit && jit_cta_run(c))
                continue;
            while (cta_turn(c))
                ;
        }
        return;
    }
    uint64_t live = count;
    for (uint64_t i = 0; i < count; i++) {
        struct cta *c = (struct cta *)(x->mem + i * y->slot);

        place_cta(x, c, first + i);
        start_cta(x, c);
    }
    while (live) {
        check_stop(((struct cta *)x->mem)->warps, NULL);
        for (uint64_t i = 0; i < count; i++) {
            struct cta *c = (struct cta *)(x->mem + i * y->slot);
            if (c->live_warps && !cta_turn(c))
                live--;
        }
    }
}

int ptx_exec_ctas(struct ptx_kernel *k, const struct ptx_launch *l, struct ptx_exec *x,
                  uint64_t first, uint64_t count, struct ptx_fault *fault)
{
    static const volatile int never;
    struct layout y;
    volatile uint64_t start;
    memset(fault, 0, sizeof(*fault));
    int err = check_launch(k, l, first, count, fault);
    if (err || !count)
        return err;
    x->prog = k->prog;
    x->jit = ptx_check_get() ? NULL : jit_find(k, l, &x->prog);
    if ((err = make_layout(k, x->prog, l, &y)))
        return fail(k, fault, err, "more than 227 KiB of shared memory");
    uint64_t nslots = l->cooperative ? count : 1;
    if (nslots > MEM_MAX / y.slot)
        return fail(k, fault, 720, "too many CTAs for a cooperative launch");
    if ((err = get_memory(x, nslots * y.slot)))
        return fail(k, fault, err, "not enough memory for registers and local memory");
    x->l = l;
    x->k = k;
    x->local_stride = y.local_stride;
    x->cur_uop = NULL;
    x->site = 0;
    x->stop = l->stop ? l->stop : &never;
    start = x->jit ? 0 : now_ns();
    x->csr_saved = _mm_getcsr();
    set_csr(x, 0);
    current = x;
    switch (sigsetjmp(x->jmp, 0)) {
    case 0:
        x->running = true;
        run_all(x, &y, nslots, first, count);
        err = 0;
        break;
    case 1:
        err = x->fault.err;
        *fault = x->fault;
        break;
    default:
        explain_signal(x);
        err = x->fault.err;
        *fault = x->fault;
    }
    x->running = false;
    current = NULL;
    _mm_setcsr(x->csr_saved);
    free_call_frames(x);
    if (!x->jit && !err)
        jit_note(k, l, now_ns() - start);
    if (x->mem_size > KEEP_MAX) {
        munmap(x->mem, x->mem_size);
        x->mem = NULL;
        x->mem_size = 0;
    }
    return err;
}
