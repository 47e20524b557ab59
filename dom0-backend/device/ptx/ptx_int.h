/* SPDX-License-Identifier: MIT */
/* ptx_int.h - what the parts of the PTX front end share: IR, tables, limits. Not for other folders. */
#ifndef GVM_PTX_INT_H
#define GVM_PTX_INT_H

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ptx.h"

/* CUresult values used here (cuda.h). */
#define E_INVALID_VALUE    1
#define E_OUT_OF_MEMORY    2
#define E_NO_BINARY        209
#define E_INVALID_PTX      218
#define E_PTX_VERSION      222
#define E_ILLEGAL_ADDRESS  700
#define E_LAUNCH_RESOURCES 701
#define E_LAUNCH_TIMEOUT   702
#define E_ASSERT           710
#define E_MISALIGNED       716
#define E_LAUNCH_FAILED    719
#define E_NOT_SUPPORTED    801

/* Limits on hostile text. Real files stay far below (largest seen: 2.3 MiB, 33363 instructions). */
#define LIM_INSNS   (1u << 20) /* per function */
#define LIM_REGS    (1u << 20) /* used registers per function */
#define LIM_VARS    (1u << 16) /* per module */
#define LIM_FUNCS   (1u << 14)
#define LIM_PARAMS  4096
#define LIM_SCOPES  64   /* nesting of { } */
#define LIM_OPNDS   16   /* operands of one instruction, vectors flattened not counted */
#define LIM_IDENT   2048 /* bytes of one identifier (C++ manglings get long) */
#define LIM_VARSIZE (1ull << 32)

/* ---- bump allocator: everything of a module is freed at once --------------------------------- */

struct pool_chunk;
struct pool {
    struct pool_chunk *head;
    size_t left;
    char *at;
    size_t total;
};
void *pool_alloc(struct pool *p, size_t n); /* zeroed, 16-byte aligned; NULL when out of memory */
char *pool_strndup(struct pool *p, const char *s, size_t n);
void pool_free(struct pool *p);

/* Growable array: a macro would hide the failure path, so a function on (pointer, count, cap). */
void *grow(void *arr, size_t elem, uint32_t n, uint32_t *cap);

/* ---- types ------------------------------------------------------------------------------------ */

enum ptx_type {
    T_NONE,
    T_PRED,
    T_B8,
    T_B16,
    T_B32,
    T_B64,
    T_B128,
    T_U8,
    T_U16,
    T_U32,
    T_U64,
    T_S8,
    T_S16,
    T_S32,
    T_S64,
    T_F16,
    T_F32,
    T_F64,
    T_F16X2,
    T_BF16,
    T_BF16X2,
    T_TF32,
    T_U16X2,
    T_S16X2,
    T_E4M3X2,
    T_E5M2X2,
    T_E4M3,
    T_E5M2,
    T_S4,
    T_U4,
    T_B1,
    T_TEXREF,
    T_OTHER,
    T_COUNT
};
extern const uint8_t ptx_type_bits[T_COUNT]; /* 1 for pred, 0 for opaque */
extern const char *const ptx_type_name[T_COUNT];

/* ---- modifiers: bit numbers; the X-list is in optable.c's ptx_mod_name order -------------------- */

/* clang-format off */
#define PTX_MODS(X) \
    X(global) X(shared) X(local) X(param) X(const) X(to) X(wide) X(hi) X(lo) X(rn) X(rz) X(rm) \
    X(rp) X(rna) X(rni) X(rzi) X(rmi) X(rpi) X(ftz) X(sat) X(approx) X(full) X(eq) X(ne) X(lt) \
    X(le) X(gt) X(ge) X(ls) X(hs) X(equ) X(neu) X(ltu) X(leu) X(gtu) X(geu) X(num) X(nan) X(NaN) \
    X(and) X(or) X(xor) X(popc) X(v2) X(v4) X(v8) X(ca) X(cg) X(cs) X(lu) X(cv) X(wb) X(wt) X(nc) \
    X(volatile) X(relaxed) X(acquire) X(release) X(acq_rel) X(sc) X(weak) X(mmio) X(cta) \
    X(cluster) X(gpu) X(sys) X(gl) X(sync) X(arrive) X(red) X(aligned) X(warp) X(up) X(down) \
    X(bfly) X(idx) X(any) X(all) X(uni) X(ballot) X(cas) X(exch) X(add) X(inc) X(dec) X(min) \
    X(max) X(cc) X(l) X(r) X(clamp) X(wrap) X(f4e) X(b4e) X(rc8) X(ecl) X(ecr) X(rc16) X(async) \
    X(commit_group) X(wait_group) X(wait_all) X(finite) X(infinite) X(number) X(notanumber) \
    X(normal) X(subnormal) X(xorsign) X(abs) X(noftz) X(relu) X(satfinite) X(shiftamt) X(proxy) \
    X(alias) X(acquire_) X(noinc) X(L1) X(L2) X(1d) X(2d) X(3d) X(a1d) X(a2d) X(cube) X(acube) \
    X(base) X(level) X(grad) X(g) X(b) X(a) X(p) X(trap) X(zero) X(width) X(height) X(depth) \
    X(array_size) X(num_mipmap_levels) X(num_samples) X(channel_data_type) X(channel_order) \
    X(normalized_coords) X(load) X(store) X(mma) X(c) X(d) X(row) X(col) X(m16n16k16) \
    X(m32n8k16) X(m8n32k16) X(m16n16k8) X(m8n8k4) X(m8n8k16) X(m8n8k32) X(m8n8k128) \
    X(m16n8k4) X(m16n8k8) X(m16n8k16) X(m16n8k32) X(m16n8k64) X(m16n8k128) X(m16n8k256) \
    X(fractional) X(range) X(cvt) X(wait) X(launch_dependents) X(mbarrier_init) X(init) X(inval) X(arrive_drop) X(expect_tx) X(complete_tx) X(test_wait) X(try_wait) \
    X(parity) X(pending_count) X(noComplete) X(mbarrier) X(bulk) X(bulk_group) X(read) X(oob) \
    X(m8n8) X(x1) X(x2) X(x4) X(trans)
/* clang-format on */
enum ptx_mod {
#define X(n) M_##n,
    /* clang-format off */
    PTX_MODS(X)
/* clang-format on */
#undef X
        M_COUNT
};
#define MOD_WORDS 4u /* of a set of modifiers */
_Static_assert(M_COUNT <= MOD_WORDS * 64, "modifiers fit into their set");

/* ---- opcodes ------------------------------------------------------------------------------------ */

struct lower;
struct ir_insn;
/* flags of an opcode */
#define OPF_DST  1u /* operand 0 is written */
#define OPF_ELEM 2u /* lane i of the result needs lane i of the sources only, read before written */
#define OPF_TERM 4u /* ends a basic block */
#define OPF_SPIN 8u /* a loop with it may wait for another thread */
struct ptx_opcode {
    const char *name;
    uint8_t min, max; /* operand count */
    uint8_t flags;
    int (*lower)(struct lower *lo, const struct ir_insn *in); /* NULL: known, not implemented */
};
extern const struct ptx_opcode ptx_opcodes[];
extern const unsigned ptx_nopcodes;
bool ptx_is_tex(unsigned op);   /* tex, tld4, suld, sust, sured */
bool ptx_is_video(unsigned op); /* registers may be followed by .b0 to .b3, .h0, .h1 */
int ptx_opcode_find(const char *s, size_t n); /* -1 = no such opcode */
int ptx_mod_find(const char *s, size_t n);
int ptx_type_find(const char *s, size_t n); /* T_NONE = not a type */

/* ---- IR ------------------------------------------------------------------------------------------ */

enum { /* special registers in ir_opnd.idx of O_SREG */
       SR_TID_X,
       SR_TID_Y,
       SR_TID_Z,
       SR_NTID_X,
       SR_NTID_Y,
       SR_NTID_Z,
       SR_CTAID_X,
       SR_CTAID_Y,
       SR_CTAID_Z,
       SR_NCTAID_X,
       SR_NCTAID_Y,
       SR_NCTAID_Z,
       SR_LANEID,
       SR_WARPID,
       SR_NWARPID,
       SR_SMID,
       SR_NSMID,
       SR_LM_EQ,
       SR_LM_LE,
       SR_LM_LT,
       SR_LM_GE,
       SR_LM_GT,
       SR_DYN_SMEM,
       SR_TOTAL_SMEM,
       SR_AGGR_SMEM,
       SR_RESERVED_BEGIN,
       SR_RESERVED_END,
       SR_RESERVED_CAP,
       SR_RESERVED_1,
       SR_ENVREG1,
       SR_ENVREG2,
       SR_ENVREG0,
       SR_CLUSTER_ONE,
       SR_CLUSTER_ZERO,
       SR_NCLUSTER_X,
       SR_NCLUSTER_Y,
       SR_NCLUSTER_Z,
       SR_WARPSZ,
       SR_LANES, /* the above have a lane array in each warp; the following are computed on read */
       SR_GRIDID = SR_LANES,
       SR_CLOCK,
       SR_CLOCK_HI,
       SR_CLOCK64,
       SR_GLOBALTIMER,
       SR_GLOBALTIMER_LO,
       SR_GLOBALTIMER_HI,
       SR_COUNT
};

enum opnd_kind {
    O_REG,   /* idx: register */
    O_IMM,   /* val: bits; see flags */
    O_VAR,   /* var + val: its address */
    O_FUNC,  /* idx: function, as value */
    O_SREG,  /* idx */
    O_ADDR,  /* [base + val]: sub = O_REG, O_VAR or O_IMM */
    O_VEC,   /* n elements at opnds[idx] */
    O_PAIR,  /* d|p: n = 2 elements at opnds[idx] */
    O_LABEL, /* idx: label of the function, once resolved */
    O_SINK,  /* _ */
    O_LIST,  /* (a, b, ...) of a call: n elements at opnds[idx] */
    O_TEX,   /* [a, {coordinates}]: n elements at opnds[idx], the object first */
    O_OTHER, /* parsed, meaning unknown: makes lowering refuse */
};
#define OF_NEG   1u /* !p */
#define OF_FLT32 2u /* immediate is 0f.. bits */
#define OF_FLT64 4u /* immediate is 0d.. or decimal floating point: bits of a double */
#define OF_EXTRA 8u /* O_VEC: {...}|p, the predicate is the last of the n elements */
struct ir_opnd {
    uint8_t kind, flags, sub;
    uint8_t n;
    uint32_t idx;
    uint64_t val;
    struct ir_var *var;
};

struct ir_insn {
    uint16_t op;
    uint8_t nopnd, ntype;
    uint8_t type[4];
    uint32_t opnd; /* first operand in fn->opnds */
    uint32_t line;
    int32_t guard; /* predicate register, -1 = none */
    bool guard_neg;
    uint64_t mods[MOD_WORDS];
    const char *bad; /* first modifier that is not known, NULL = none */
};
static inline bool has_mod(const struct ir_insn *in, enum ptx_mod m)
{
    return in->mods[m >> 6] >> (m & 63) & 1;
}

enum ir_space { SP_NONE, SP_GLOBAL, SP_CONST, SP_SHARED, SP_LOCAL, SP_PARAM, SP_FPARAM };

struct ir_reloc {
    struct ir_reloc *next;
    uint64_t offset;
    uint64_t addend;
    uint8_t size;  /* bytes */
    uint8_t shift; /* of the address, before it is cut to size */
    bool generic;
    const char *name; /* resolved at the end of the module */
    struct ir_var *var;
    int func; /* -1 = a variable */
    uint32_t line;
};

struct ir_var {
    const char *name;
    enum ir_space space;
    uint8_t type;
    bool ext, managed, has_init, open_array; /* open_array: [] */
    bool weak, used;
    uint32_t align;
    uint64_t size; /* bytes */
    uint8_t *init; /* init_len bytes, the rest is zero */
    uint64_t init_len;
    struct ir_reloc *reloc;
    uint64_t addr;  /* global, const: device address, set by the caller */
    uint32_t off;   /* param: offset in the buffer; local, fparam: offset in the frame */
    uint32_t shoff; /* shared: offset, valid for the kernel being lowered */
    uint32_t mark;  /* scratch for walks over kernels */
    uint32_t line;
};

struct ir_reg {
    uint8_t type;
    const char *name;
};
struct ir_label {
    const char *name;
    uint32_t scope;
    uint32_t insn;             /* index of the instruction it precedes */
    uint32_t ntarget, target0; /* .branchtargets: labels in opnds */
    bool table;
};

struct ir_func {
    const char *name;
    bool entry, body, has_alias;
    bool weak, used;
    uint32_t index;
    struct ptx_module *mod;
    struct ir_reg *regs;
    uint32_t nregs, cap_regs;
    struct ir_insn *insns;
    uint32_t ninsns, cap_insns;
    struct ir_opnd *opnds;
    uint32_t nopnds, cap_opnds;
    struct ir_label *labels;
    uint32_t nlabels, cap_labels;
    struct ir_var **vars; /* local, shared and call parameters declared inside */
    uint32_t nvars, cap_vars;
    struct ir_var **params, **rets;
    uint32_t nparams, nrets;
    uint32_t param_bytes;
    uint32_t local_bytes; /* frame in local memory: variables and parameters */
    uint32_t maxntid, reqntid[3];
    const char *unsupported; /* a directive that we cannot honour */
    uint32_t line;
};

struct ptx_kernel {
    struct ptx_module *mod;
    struct ir_func *fn;
    struct ptx_kernel_info info;
    uint32_t stack_bytes; /* local memory per thread including callees */
    struct prog *prog;    /* lowered, NULL until prepared */
    int prep_err;         /* remembered failure */
    char prep_log[256];
};

struct ptx_module {
    struct pool pool;
    struct ir_var **vars; /* module scope, all spaces */
    uint32_t nvars, cap_vars;
    struct ir_var **dvars; /* those the device must place: global, const */
    uint32_t ndvars;
    struct ir_func **funcs;
    uint32_t nfuncs, cap_funcs;
    struct ptx_kernel *kernels;
    uint32_t nkernels;
    uint32_t version, target;
    bool reserved;        /* somebody reads %reserved_smem_offset_* */
    pthread_mutex_t lock; /* lowering */
};

/* ---- lexer ----------------------------------------------------------------------------------------- */

enum tok { TK_EOF, TK_IDENT, TK_DOT, /* .word */ TK_INT, TK_F32, TK_F64, TK_STR, TK_PUNCT, TK_BAD };
struct lexer {
    const char *p, *end;
    uint32_t line;
    enum tok t;
    const char *s; /* text of the token, without the dot */
    size_t n;
    uint64_t val; /* TK_INT, TK_F32 (32 bits), TK_F64 */
    char c;       /* TK_PUNCT */
};
void lex_init(struct lexer *lx, const char *text, size_t n);
void lex_next(struct lexer *lx);

/* ---- passes ----------------------------------------------------------------------------------------- */

int ptx_verify_func(struct ir_func *f, char *log, size_t log_n);
int ptx_layout_shared(struct ptx_kernel *k,
                      uint32_t *bytes); /* sets shoff of the shared variables */

void ptx_log(char *log, size_t log_n, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
