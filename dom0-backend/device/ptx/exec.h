/* SPDX-License-Identifier: MIT */
/*
 * exec.h - the interpreter's data: micro-ops, lowered programs, warps, CTAs.
 *
 * A warp executes one micro-op for 32 lanes at a time. A register is an array over lanes (32 x 4
 * or 32 x 8 bytes) in the frame of the function; a predicate is one 32-bit mask. Operands are
 * codes: byte offset | base, where the low two bits choose among the frame, the program's constants
 * and the warp's special registers, so that a handler sees three plain arrays.
 *
 * Divergence: lanes at the same place form a group. One group runs, the others are pending; the
 * group with the deepest call frame and then the lowest place in the code runs first, and groups
 * that meet are merged. See interp.c.
 */
#ifndef GVM_PTX_EXEC_H
#define GVM_PTX_EXEC_H

#include <setjmp.h>

#include "ptx_int.h"

#define WARP           32
#define FULL           0xffffffffu
#define MAX_WARPS      (PTX_MAX_THREADS / WARP)
#define MAX_CALL_DEPTH 256
#define NBARRIERS      16
#define BAR_CLUSTER    NBARRIERS /* the cluster's, which is one block: after the named ones */

struct warp;
struct uop;
typedef void (*uop_fn)(struct warp *w, const struct uop *u);

/* Operand bases. */
enum { B_FRAME, B_CONST, B_SREG, B_COUNT };
#define SLOT32 128u /* bytes of a register: 32 lanes x 4 */
#define SLOT64 256u

/* What the interpreter itself does with a micro-op; K_FN: its handler does everything. */
enum uop_kind {
    K_FN,
    K_JOIN, /* start of a block that others branch to: merge and reschedule */
    K_BRA,  /* target */
    K_BRX,  /* a: index register; imm: table in pfunc.targets, n: its length */
    K_RET,
    K_EXIT,
    K_CALL,  /* imm: struct call */
    K_BAR,   /* a: barrier slot or imm; see uop.n BAR_*; e: 1 for that of the cluster */
    K_WSYNC, /* a: member mask; wait until the members are here or gone */
    K_YIELD, /* let other warps run */
    K_TRAP,
    K_END, /* past the last instruction: as ret */
};
enum { BAR_SYNC, BAR_ARRIVE, BAR_POPC, BAR_AND, BAR_OR };

struct uop {
    uop_fn fn;
    uint8_t kind;
    uint8_t csr, csrmask; /* MXCSR mode wanted; csrmask 0 = does not matter */
    uint8_t n;            /* small number: holes of a vector, barrier kind */
    uint32_t guard;       /* predicate slot, | 1 when negated; 0 = none */
    uint32_t d, a, b, c;  /* operand codes */
    uint32_t e, f;        /* more of them, or whatever the handler says */
    int64_t imm;          /* address offset, pointer to more */
    uint32_t target;      /* K_BRA: micro-op index */
    uint32_t line;
    const char *name; /* K_FN: the handler's */
};
/* Bits of uop.csr, as in MXCSR: rounding 13..14 moved down, FTZ|DAZ. */
#define CSR_RN  0u
#define CSR_RM  1u
#define CSR_RP  2u
#define CSR_RZ  3u
#define CSR_FTZ 4u
#define CSR_ALL 7u
/* uop.f of K_BRA */
#define BRA_BACK 1u /* goes backwards */
#define BRA_SPIN 2u /* ... and the loop may wait for another thread */

struct call_arg {
    bool is_var;
    uint32_t slot; /* !is_var: operand code */
    uint32_t off;  /* is_var: offset in the caller's local frame */
    uint32_t size; /* bytes */
    uint8_t wide;  /* !is_var: 8-byte lanes */
};
enum builtin { BI_NONE, BI_VPRINTF, BI_MALLOC, BI_FREE, BI_ASSERTFAIL, BI_SETCOND };
struct call {
    int func; /* index in prog->funcs, -1 = indirect through uop.a */
    enum builtin builtin;
    uint32_t nargs, nrets;
    struct call_arg *args, *rets; /* rets: is_var only */
};

/* A function as lowered for one kernel. */
struct pfunc {
    struct ir_func *ir;
    struct uop *uops;
    uint32_t nuops, cap_uops;
    uint32_t *targets; /* brx tables: micro-op indices */
    uint32_t ntargets, cap_targets;
    uint32_t frame_bytes; /* registers of one warp */
    uint32_t local_bytes; /* local memory of one thread */
    bool lowered;
};

struct prog {
    struct pool pool;    /* calls and their arguments */
    struct pfunc *funcs; /* [0] is the kernel */
    uint32_t nfuncs;
    int *func_map;              /* module function index -> funcs index, -1 = not reachable */
    uint8_t *consts;            /* lane arrays */
    uint32_t nconst, cap_const; /* bytes */
    uint32_t shared_bytes;      /* static */
    bool spins, cooperative;
    struct jit_state *jit; /* compiled code, see jit.h; NULL: none wanted so far */
};

/* ---- running state ---------------------------------------------------------------------------------- */

struct frame {
    struct frame *parent, *next_free, *next_all;
    struct pfunc *fn;
    const struct uop *ret_pc; /* of the caller */
    const struct call *call;  /* how to hand back results */
    uint32_t depth;
    uint32_t live;       /* lanes that are in it or below it */
    uint32_t local_base; /* offset of its frame in local memory */
    uint8_t *regs;       /* fn->frame_bytes, 64-byte aligned */
};

enum { G_RUN, G_WSYNC, G_BAR };
struct group {
    struct frame *frame;
    const struct uop *pc;
    uint32_t mask;
    uint8_t state, bar;
};

struct barrier {
    uint32_t arrived[MAX_WARPS]; /* lanes */
    uint32_t expected;           /* threads, 0 = all */
    uint32_t red_count;
    bool active, red_and, red_or;
};

enum { WS_READY, WS_BLOCKED, WS_DONE };
struct cta;
struct warp {
    uint8_t *base[4]; /* operand bases; [B_FRAME] follows the running group */
    uint32_t mask;    /* lanes the handler acts on */
    uint32_t active;  /* lanes of the running group */
    uint32_t alive;   /* lanes that have not exited */
    uint32_t cc;      /* carry flags, one bit per lane */
    struct frame *frame;
    struct ptx_exec *x;
    struct cta *cta;
    uint8_t *local; /* lane 0's local memory; lanes are x->local_stride apart */
    uint8_t *shared;
    uint32_t shared_size;        /* bytes */
    uint32_t local_size;         /* bytes per lane */
    uint64_t win_base, win_mask; /* the device window */
    const uint8_t *params;
    uint32_t params_len;
    const struct uop *pc; /* of the group to resume */
    uint32_t npend;
    uint32_t spin;           /* back edges taken while others waited */
    bool fair;               /* a spinning group gave way: no switch back before this one waits */
    uint8_t status;          /* WS_* */
    uint8_t index;           /* in the CTA */
    bool jit_yield;          /* compiled code wants other warps to run */
    uint16_t jit_wait[WARP]; /* by part: 1 + micro-op of the barrier it waits at, see jit_fn */
    struct group pend[WARP];
    struct frame *frame0;
    struct frame *free_frames;
    uint32_t sregs[SR_LANES][WARP] __attribute__((aligned(64)));
};

struct cta {
    uint32_t id[3];
    uint32_t nwarps, live_warps;
    uint32_t nthreads;
    bool
        fresh; /* warps are as at a CTA's start but for their sregs and what compiled code changes */
    uint8_t *shared;
    uint32_t nactive; /* barriers that somebody waits at */
    struct barrier bar[NBARRIERS + 1];
    struct warp *warps; /* nwarps */
    /* check.h: NULL when nothing is checked; barriers completed so far, of the block and of warps */
    uint8_t *shadow;
    uint32_t epoch, warp_epoch[MAX_WARPS];
};

/* Working state of one thread. */
struct ptx_exec {
    sigjmp_buf jmp;
    volatile bool running;
    struct warp *cur_warp;
    const struct uop *cur_uop; /* set by micro-ops that touch memory */
    const struct ptx_launch *l;
    struct ptx_kernel *k;
    struct prog *prog;
    uint32_t csr;       /* current mode bits */
    uint32_t csr_saved; /* MXCSR to restore */
    uint32_t local_stride;
    uint64_t steps; /* %clock64 and the stop flag's period */
    struct ptx_fault fault;
    uint64_t sig_addr;
    int sig;
    /* Compiled code: what runs, and the access it makes, for the report of a fault. */
    const struct jit_code *jit;
    bool jit_slow;      /* lanes have been parked by compiled code */
    uint32_t site;      /* 1 + index in jit->sites; 0: cur_uop says it */
    uint64_t site_addr; /* of the part's first lane, unless the site says that lane_addr has all */
    uint32_t site_mask, site_lane0; /* lanes of the part, its first lane in the warp */
    uint64_t lane_addr[WARP] __attribute__((aligned(64)));
    const volatile int *stop; /* never NULL */
    /* memory, grown as needed and kept from launch to launch */
    uint8_t *mem;
    size_t mem_size;
    uint32_t nslots; /* CTAs that fit into mem as laid out */
    struct cta *ctas;
    uint32_t cap_ctas;
    uint64_t call_bytes;       /* size of the frames made by calls, to bound it */
    struct frame *heap_frames; /* all frames made by calls: freed at the end of the launch */
};

/* Ends execution with an error; never returns. lane < 0: the first active one. */
void ptx_throw(struct warp *w, const struct uop *u, int err, int lane, uint64_t addr,
               const char *fmt, ...) __attribute__((noreturn, format(printf, 6, 7)));

/* Handlers by name. Two tables with the same names in the same order: plain x86-64 and AVX2+FMA. */
struct uop_handler {
    const char *name;
    uop_fn fn;
};
const struct uop_handler *ptx_handler(const char *name); /* for this CPU; NULL = none */

int ptx_builtin(struct warp *w, const struct uop *u, const struct call *c, uint32_t mask,
                uint32_t local_base);
/* Host address of one lane's generic address, n bytes, or an error thrown. */
void *ptx_generic(struct warp *w, const struct uop *u, int lane, uint64_t addr, uint32_t n);

static inline void *reg_at(const struct warp *w, uint32_t code)
{
    return w->base[code & 3] + (code & ~3u);
}
static inline uint32_t pred_at(const struct warp *w, uint32_t code)
{
    return *(const uint32_t *)reg_at(w, code);
}

#endif
