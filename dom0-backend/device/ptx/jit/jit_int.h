/* SPDX-License-Identifier: MIT */
/* jit_int.h - what the parts of the compiler plug-in share. */
#ifndef GVM_PTX_JIT_INT_H
#define GVM_PTX_JIT_INT_H

#include <llvm-c/Core.h>

#include "dom0-backend/device/ptx/jit.h"

/* Limits: compile time and memory grow with them, and PTX comes from a guest. */
#define JIT_MAX_UOPS   2500u
#define JIT_MAX_COSTLY 500u /* accesses to memory and operations by handlers: most of the time */
#define JIT_MANY_LOCAL 20u  /* accesses to local memory: more are done by handlers */
#define JIT_MAX_REGS   20000u
#define JIT_MAX_BLOCKS 400u
#define JIT_MAX_STACK  (128u << 10) /* of the compiled function; threads have 1 MiB */

/* ---- operands --------------------------------------------------------------------------------- */

enum cls { C_PRED, C_32, C_64 }; /* one bit, 32 or 64 bits per lane */
enum opd_kind { OPD_NONE, OPD_REG, OPD_CONST, OPD_SREG };
struct opd {
    uint8_t kind, cls;
    uint32_t idx; /* register number, special register */
    uint64_t val; /* OPD_CONST */
};

/* What is known of a register's lanes. */
enum shape { S_TOP, S_UNI, S_AFF, S_VAR }; /* no write seen, all equal, base + lane * stride, any */
struct reg {
    uint32_t off; /* in the real frame, bytes */
    uint8_t cls, shape;
    bool loose; /* single precision whose NaN may not be canonical yet */
    int64_t stride;
    LLVMValueRef var;
};

/* Operations. Those without code of their own are done by their handler. */
enum op {
    OP_HANDLER,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_MULHI,
    OP_MULWIDE,
    OP_MAD,
    OP_MADHI,
    OP_MADWIDE,
    OP_NEG,
    OP_DIV,
    OP_REM,
    OP_MIN,
    OP_MAX,
    OP_MINNAN,
    OP_MAXNAN,
    OP_ABS,
    OP_AND,
    OP_OR,
    OP_XOR,
    OP_NOT,
    OP_CNOT,
    OP_MOV,
    OP_SHL,
    OP_SHR,
    OP_SHFL_WRAP,
    OP_SHFL_CLAMP,
    OP_SHFR_WRAP,
    OP_SHFR_CLAMP,
    OP_BFE,
    OP_BFI,
    OP_CLZ,
    OP_POPC,
    OP_BREV,
    OP_PRMT,
    OP_DP4A,
    OP_LOP3,
    OP_SELP,
    OP_SLCT,
    OP_PACK64,
    OP_PACK32,
    OP_LOW,
    OP_HIGH,
    OP_SHR16,
    OP_EXT16,
    OP_BYTE,
    OP_EXT,
    OP_CVT64,
    OP_CVT32,
    OP_CVTI,
    OP_CVTF32,
    OP_CVTF64,
    OP_RINT,
    OP_CANON,
    OP_FMA,
    OP_RCP,
    OP_SQRT,
    OP_RSQRT,
    OP_COPYSIGN,
    OP_FTZ,
    OP_SAT,
    OP_RELU,
    OP_EX2,
    OP_CMP,
    OP_SHFL,
    OP_VOTE,
    OP_BALLOT,
    OP_ADDIMM,
    OP_NOP,
    OP_LD,
    OP_ST,
    OP_ATOM,
    OP_SREG,
};
/* Element types as the names of handlers say them. */
enum ty {
    TY_NONE,
    TY_U8,
    TY_S8,
    TY_U16,
    TY_S16,
    TY_U32,
    TY_S32,
    TY_U64,
    TY_S64,
    TY_F32,
    TY_F64,
    TY_F16,
    TY_PRED
};

/* An operand beyond those that have a place in a jop. */
struct more {
    struct opd o;
    bool def;
};

struct jop {
    uint8_t op, ty, cmp;
    uint8_t space, nelem; /* OP_LD, OP_ST */
    bool native;          /* has code of its own */
    bool done;            /* has got it together with one before, see mem_apart.c */
    struct opd d, a, b, c, e;
    struct opd guard; /* kind OPD_NONE: always */
    bool guard_neg;
    int64_t imm;
    struct more *more; /* handled.c; of a vector, registers 5 to 8 */
    uint32_t nmore;
};
enum {
    CMP_EQ,
    CMP_NE,
    CMP_LT,
    CMP_LE,
    CMP_GT,
    CMP_GE,
    CMP_EQU,
    CMP_NEU,
    CMP_LTU,
    CMP_LEU,
    CMP_GTU,
    CMP_GEU,
    CMP_NUM,
    CMP_NAN
};

/* Arithmetic of single precision: it takes every NaN alike, and gives NaNs that are not canonical. */
static inline bool jop_f32_arith(const struct jop *j)
{
    switch (j->op) {
    case OP_ADD:
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_FMA:
    case OP_RCP:
    case OP_SQRT:
    case OP_RSQRT:
    case OP_NEG:
    case OP_ABS:
        return j->ty == TY_F32;
    default:
        return false;
    }
}

struct block {
    uint32_t start, end; /* micro-ops [start, end) */
    bool exits;          /* nothing but the end of the threads that come here */
    bool parks;          /* lanes may wait here while others run */
    uint32_t from;       /* ... in blocks [from, this) */
    int32_t entry;       /* -1, or number of the entry point */
    LLVMBasicBlockRef bb, check;
    LLVMValueRef pend;
};

struct unit {
    const struct jit_job *job;
    const struct uop *real, *virt;
    uint32_t n;
    struct jop *ops;
    struct reg *regs;
    uint32_t nregs, cap_regs;
    struct block *blocks;
    uint32_t nblocks;
    uint32_t *block_of;  /* by micro-op */
    uint32_t words;      /* of a set of registers */
    uint64_t *live_in;   /* by block */
    uint64_t *pend_live; /* by block: registers that waiting lanes need */
    bool *diverges;      /* by block: its branch may split the lanes */
    uint32_t nentries;
    uint32_t csr; /* MXCSR mode of the code */
    uint32_t lanes;
    bool alive; /* something may look at warp.alive */
    bool rows;  /* in a part of the warp tid.x counts up, tid.y and tid.z are the same */
    char *log;
    size_t log_n;
};

static inline bool set_has(const uint64_t *s, uint32_t i)
{
    return s[i >> 6] >> (i & 63) & 1;
}
static inline void set_add(uint64_t *s, uint32_t i)
{
    s[i >> 6] |= 1ull << (i & 63);
}

int unit_fail(struct unit *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* decode.c: micro-ops to jops, registers numbered. 0 or -1. */
int unit_decode(struct unit *t);
struct decoder {
    struct unit *t;
    uint32_t *number[3]; /* by class and place in the virtual frame, + 1 */
    uint32_t words;
};
/* An operand, its codes in both lowerings. 0 or -1. */
int decode_operand(struct decoder *d, struct opd *o, uint32_t vcode, uint32_t rcode, unsigned cls);
/* A call that is left to the interpreter, which compiled code goes on behind. */
static inline bool left_call(const struct uop *u)
{
    return u->kind == K_CALL && !((const struct call *)(intptr_t)u->imm)->builtin;
}
/* handled.c: registers of micro-ops with many. 0, -1, or 1: the micro-op is none of those. */
int handled_decode(struct decoder *d, struct jop *j, const struct uop *v, const struct uop *r);
/* flow.c: blocks, liveness, where lanes wait, shapes. 0 or -1. */
int unit_analyse(struct unit *t);
void unit_free(struct unit *t);
/* Registers that are live before micro-op i (in its block) into set. */
void live_before(const struct unit *t, uint32_t i, uint64_t *set);
/* The first block in (b, last] where lanes may wait while block b runs; nblocks: none. */
uint32_t next_park(const struct unit *t, uint32_t b, uint32_t last);
/* Calls cb for every register the micro-op reads (def false), then those it writes. */
typedef void (*opd_cb)(void *arg, const struct opd *o, bool def);
void each_operand(const struct jop *j, opd_cb cb, void *arg);
bool writes_reg(const struct jop *j, uint32_t reg);  /* the register is one of its results */
bool touches_reg(const struct jop *j, uint32_t reg); /* ... or it reads it */
/* Same for operands a builtin call takes: in unit_calls[] of the micro-op. */
void shape_of(const struct unit *t, const struct jop *j, uint8_t *shape, int64_t *stride);
bool branch_taken_by_some(const struct unit *t, const struct jop *j);

/* ---- code ------------------------------------------------------------------------------------------ */

/* Accesses of one block through one register that were checked together, see mem.c. */
struct checked {
    uint32_t block, reg, space, total, end; /* until before micro-op `end` */
    int64_t lo, hi;                         /* offsets */
    LLVMValueRef good, all_good;
};

#define WARP_STRIDE ((sizeof(struct warp) + 63) & ~(uint64_t)63) /* of a CTA's, see cta.c */

struct gen {
    struct unit *t;
    struct checked groups[8]; /* the last ones */
    uint32_t ngroups;
    struct jit_code *code;
    LLVMContextRef ctx;
    LLVMModuleRef mod;
    LLVMBuilderRef b;
    LLVMValueRef fn;
    bool gathers; /* hardware's instruction for words at any addresses is worth its while */
    uint32_t gather_block, gather_turn; /* the last block with such loads, how many so far */
    bool streams;                       /* what is read side by side is to be fetched ahead */
    uint32_t w;                         /* lanes */
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, mt, ptr; /* mt: a mask of lanes; ptr: i8 pointer */
    LLVMValueRef warp, uops, lane0, exec, shared, params, stop;  /* pointers as i64 */
    LLVMValueRef warps, part, part_end, given, dest, frame_part; /* see jit_fn */
    LLVMBasicBlockRef first;                                     /* before the loop over parts */
    LLVMValueRef sreg[SR_LANES];                                 /* loaded there, or NULL */
    LLVMValueRef lane0_64, shared_size, local_size, local_stride, win_base, win_mask;
    LLVMValueRef act, spins; /* allocas */
    LLVMBasicBlockRef ret;
    uint32_t cur, cur_block; /* micro-op, block */
    uint32_t nsites;
    LLVMBasicBlockRef *tails; /* by block: park what waits there and further down */
};

/* gen.c */
int gen_unit(struct gen *g);
/* Gives the micro-op's lanes, and all that wait, to the interpreter; ends the basic block. */
void gen_leave(struct gen *g, uint32_t i);

/* gen_value.c */
LLVMTypeRef vec(const struct gen *g, LLVMTypeRef t);
LLVMTypeRef lane_type(const struct gen *g, unsigned cls);
LLVMValueRef ci32(const struct gen *g, uint32_t v);
LLVMValueRef ci64(const struct gen *g, uint64_t v);
LLVMValueRef cmask(const struct gen *g, uint32_t v);
LLVMValueRef splat(struct gen *g, LLVMValueRef s);
LLVMValueRef iota(struct gen *g, LLVMTypeRef t); /* <0, 1, ...> */
/* Operand as a vector, or as one value (it must be uniform, or base of an affine one). */
LLVMValueRef get_vec(struct gen *g, const struct opd *o);
LLVMValueRef get_one(struct gen *g, const struct opd *o);
/* Either, as the register that is written is. */
LLVMValueRef get(struct gen *g, const struct opd *o, bool vector);
unsigned opd_shape(const struct unit *t, const struct opd *o, int64_t *stride);
bool is_uni(const struct unit *t, const struct opd *o);
void put(struct gen *g, const struct jop *j, const struct opd *d, LLVMValueRef v, bool masked);
LLVMValueRef op_mask(struct gen *g, const struct jop *j); /* lanes that execute it, mt */
LLVMValueRef mask_vec(struct gen *g, LLVMValueRef m);
/*
 * The same number, as if it were computed here (by no instruction): what is made of it stays here, too.
 * For paths that are seldom taken, which otherwise would have masks of all lanes kept in registers
 * throughout a loop.
 */
LLVMValueRef made_here(struct gen *g, LLVMValueRef v);
LLVMValueRef mask_bits(struct gen *g, LLVMValueRef v);
/* Asks memory for so many octets from address a on, to be read soon. Any address: there is no fault. */
void prefetch(struct gen *g, LLVMValueRef a, uint32_t octets);
/* Lanes [from, from + 8) of a vector, and all lanes from such parts; part is overwritten. */
LLVMValueRef eight_lanes(struct gen *g, LLVMValueRef v, uint32_t from);
LLVMValueRef join_lanes(struct gen *g, LLVMValueRef *part);
/* A predicate as 32-bit lanes, all bits alike. */
LLVMValueRef get_pred(struct gen *g, const struct opd *o);
LLVMBasicBlockRef new_bb(struct gen *g, const char *name);
void at(struct gen *g, LLVMBasicBlockRef bb);
/* A branch that hardly ever goes to `rare`: what is there pays for saving registers. */
void branch_rarely(struct gen *g, LLVMValueRef to_usual, LLVMBasicBlockRef usual,
                   LLVMBasicBlockRef rare);
LLVMValueRef intrinsic(struct gen *g, const char *name, LLVMTypeRef *over, unsigned nover,
                       LLVMValueRef *args, unsigned nargs);
LLVMValueRef load_at(struct gen *g, LLVMValueRef addr, LLVMTypeRef t, unsigned align);
LLVMValueRef plus(struct gen *g, LLVMValueRef a, uint64_t n);
void store_at(struct gen *g, LLVMValueRef addr, LLVMValueRef v, unsigned align);
LLVMValueRef field(struct gen *g, LLVMValueRef base, size_t off, LLVMTypeRef t);
void call_helper(struct gen *g, const void *fn, uint32_t uop, LLVMValueRef mask);
void gen_handler(struct gen *g, const struct jop *j, uint32_t i);
LLVMValueRef act(struct gen *g);                       /* lanes that run, mt */
LLVMValueRef warp_mask(struct gen *g, LLVMValueRef m); /* as lanes of the whole warp, i32 */
LLVMTypeRef var_type(const struct gen *g, const struct reg *r); /* of the register's alloca */
LLVMValueRef first_of(struct gen *g, LLVMValueRef m);           /* lowest lane of a mask, i32 */
/* A register to the interpreter's frame in the lanes m, and back; lane: one that has been written. */
void to_frame(struct gen *g, uint32_t reg, LLVMValueRef m);
void to_frame_rarely(struct gen *g, uint32_t reg, LLVMValueRef m); /* the same, less code */
void to_first(struct gen *g, uint32_t reg); /* as code is entered with it, see jit_keep */
bool is_kept(const struct gen *g, uint32_t reg);
void reload(struct gen *g, uint32_t reg, LLVMValueRef lane);

/* alu.c: true when it has code for j (also asked before shapes are known); gen_alu emits it. */
bool alu_native(const struct unit *t, const struct jop *j, const struct uop *u);
int gen_alu(struct gen *g, const struct jop *j, uint32_t i);
LLVMValueRef canon(struct gen *g, LLVMValueRef bits);
/* mem.c */
bool mem_native(const struct unit *t, const struct jop *j, const struct uop *u);
void gen_mem(struct gen *g, const struct jop *j, uint32_t i);
/* Device memory is loaded from at any addresses, somewhere. */
bool loads_anywhere(const struct unit *t);
/* mem_atom.c */
bool atom_native(const struct unit *t, const struct jop *j, const struct uop *u);
void gen_atom(struct gen *g, const struct jop *j, uint32_t i);

/* llvm.c */
int emit_code(struct gen *g, char *log, size_t log_n);

#endif
