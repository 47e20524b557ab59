/* SPDX-License-Identifier: MIT */
/* lower.h - IR to micro-ops: the state of one lowering and the functions the opcode table names. */
#ifndef GVM_PTX_LOWER_H
#define GVM_PTX_LOWER_H

#include "exec.h"
#include "ptx_int.h"

/*
 * The kernel with the functions it calls put in the place of the calls, for the compiler (lower_flat.c): one
 * frame and one stretch of local memory hold what all of them need. Scratch slots are the same for all,
 * before the frames.
 */
#define FLAT_TMP   8192u
#define FLAT_DEPTH 24u /* of calls within calls: lowering them nests as deep */
struct flat {
    uint32_t frame_at, frame_max; /* next free octet of the frame; most so far */
    uint32_t local_at;            /* of the function being lowered, in local memory */
    unsigned depth;               /* calls that it is in */
    struct ir_func *chain[FLAT_DEPTH];
    const struct call *call;         /* that it is in; NULL: the kernel */
    uint32_t ret_local;              /* local_at of the caller */
    uint32_t *rets, nrets, cap_rets; /* jumps of its returns */
    uint32_t work;                   /* micro-ops put in place of calls, given up ones too */
    bool over;                       /* too long: what is lowered is to be given up */
    bool calls;                      /* some calls are left */
    uint8_t *spins, *taken;          /* by function of the program: may wait, address used */
};

struct lower {
    struct flat *flat; /* NULL: calls are calls */
    struct ptx_kernel *k;
    struct prog *prog;
    struct ir_func *fn;
    struct pfunc *pf;
    uint32_t *slot;          /* register -> operand code */
    uint64_t rem[MOD_WORDS]; /* modifiers of the instruction not yet honoured */
    uint32_t tmp;            /* next scratch slot in the frame, reset per instruction */
    uint32_t tmp_base, tmp_max;
    bool unshared; /* every register has a slot of its own: for the compiler's analyses */
    const struct ir_insn *cur;
    int err;
    char *log;
    size_t log_n;
};

/* An error: sets lo->err and the log line ("kernel: line N: op: ...") once; returns -1. */
int low_fail(struct lower *lo, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* True once if the instruction has the modifier; it then counts as honoured. */
bool take(struct lower *lo, enum ptx_mod m);
const struct ir_opnd *opnd(const struct lower *lo, const struct ir_insn *in, unsigned i);

/* Appends a micro-op whose handler is found by name; NULL: no such handler (801 is set). */
struct uop *emit(struct lower *lo, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct uop *emit_kind(struct lower *lo, unsigned kind);

/* Operand codes. Class by the instruction's type: predicate, up to 32 bits, 64 bits. */
uint32_t low_dst(struct lower *lo, const struct ir_opnd *o, unsigned type);
uint32_t low_src(struct lower *lo, const struct ir_opnd *o, unsigned type);
uint32_t low_const32(struct lower *lo, uint32_t v);
uint32_t low_const64(struct lower *lo, uint64_t v);
uint32_t low_tmp(struct lower *lo, unsigned bytes); /* scratch slot: 4, 128 or 256 bytes */
unsigned low_reg_bits(const struct lower *lo, const struct ir_opnd *o); /* 0 = not a register */
/* Floating-point mode from .rn/.rz/.rm/.rp/.ftz: sets u->csr. */
void low_fpmode(struct lower *lo, struct uop *u, bool rounds, bool ftz);
const char *ptx_mod_str(unsigned m);

/* A guarded instruction that the interpreter cannot guard is jumped around. */
uint32_t low_skip_begin(struct lower *lo);
void low_skip_end(struct lower *lo, uint32_t at);

/* Adds target i of the table `l` to those of the function. 0 or -1. */
int low_target(struct lower *lo, const struct ir_label *l, uint32_t i);

/* An address operand: register part (operand code, NO_REG when absent), its width and offset. */
#define NO_REG UINT32_MAX
struct low_addr {
    uint32_t reg;
    bool wide; /* the register has 64 bits */
    int64_t off;
    enum ir_space space; /* of the symbol, SP_NONE when there is none */
};
int low_address(struct lower *lo, const struct ir_opnd *o, struct low_addr *a);

#define LOW(n) int n(struct lower *lo, const struct ir_insn *in);
/* clang-format off */
LOW(low_arith) LOW(low_testp) LOW(low_carry) LOW(low_dp) LOW(low_logic) LOW(low_lop3) LOW(low_bits)
LOW(low_shf) LOW(low_prmt) LOW(low_video4) LOW(low_setp) LOW(low_set) LOW(low_selp) LOW(low_slct)
LOW(low_mov) LOW(low_cvt) LOW(low_cvta) LOW(low_isspacep) LOW(low_ld) LOW(low_st) LOW(low_nop)
LOW(low_fence) LOW(low_atom) LOW(low_cp) LOW(low_shfl) LOW(low_vote) LOW(low_match)
LOW(low_activemask) LOW(low_redux) LOW(low_elect) LOW(low_bar) LOW(low_bra) LOW(low_brx)
LOW(low_call) LOW(low_ret) LOW(low_exit) LOW(low_trap) LOW(low_nanosleep) LOW(low_tex) LOW(low_txq)
LOW(low_surf) LOW(low_wmma) LOW(low_mma) LOW(low_video) LOW(low_mbarrier) LOW(low_minmax_small) LOW(low_cvt_small) LOW(low_mapa) LOW(low_policy) LOW(low_cp_mbarrier) LOW(low_cp_bulk) LOW(low_ldmatrix) LOW(low_stmatrix) LOW(low_movmatrix)
/* clang-format on */
#undef LOW

/* lower_flat.c */
#define FLAT_UOPS 2500u /* of a kernel with what it calls, */
#define FLAT_FULL 400u  /* from here on calls stay calls */
                                            int flat_start(struct lower *lo);
void flat_end(struct lower *lo);
bool flat_spins(const struct lower *lo, const struct ir_insn *in); /* a call that may wait */
/* The call, or the return, that is being lowered; skip: from low_skip_begin(). */
int flat_call(struct lower *lo, const struct ir_insn *in, struct call *c, uint32_t slot,
              uint32_t skip);
int flat_ret(struct lower *lo);
int flat_brx(struct lower *lo, const struct ir_insn *in, const struct ir_label *l);
/* In pfunc.targets until the place is known: the number of a label. */
#define LOW_LABEL (1u << 31)
/* lower_prog.c: all of lo->fn, after what lo->pf has. */
int lower_body(struct lower *lo);

/* cfg.c: operand codes for every register of the function, shared by liveness. */
int cfg_build(struct lower *lo);

#endif
