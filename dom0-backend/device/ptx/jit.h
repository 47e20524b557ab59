/* SPDX-License-Identifier: MIT */
/*
 * jit.h - compiled kernels: what the interpreter, the tier policy (jit_run.c) and the compiler
 * plug-in gvm-ptx-jit.so (folder jit/) share.
 *
 * The compiler starts from micro-ops. Code for one kernel runs `lanes` lanes of one warp from an
 * entry point (kernel start, after a barrier, head of a loop that may spin) until they have exited
 * or wait; it then leaves the registers in the warp's frame, as the interpreter has them, and its
 * groups of lanes in warp.pend. So a warp can change between compiled code and interpreter at every
 * entry point, no stack of a warp outlives a call, and what compiled code cannot do it leaves to
 * the interpreter or to a micro-op's handler. Slow paths of memory accesses are the handlers, too:
 * a fault is found, and reported, by the same code in both.
 */
#ifndef GVM_PTX_JIT_H
#define GVM_PTX_JIT_H

#include "exec.h"

#define JIT_ABI  2u
#define JIT_FILE "gvm-ptx-jit.so"

/* A place where compiled code accesses device memory: what explains a signal there. */
struct jit_site {
    uint32_t uop;
    bool gathered;  /* addresses are in ptx_exec.lane_addr */
    bool full;      /* all lanes of the part take part, site_mask is not set */
    uint32_t scale; /* not 0: site_addr + 32-bit numbers in lane_addr * scale */
    int64_t stride; /* from lane to lane otherwise */
};

/*
 * Runs nparts parts of the warps of a CTA, one after the other, from `part` on (a part is as many
 * lanes as the code has, counted through the CTA). mask: lanes of the part, bit 0 its first, and
 * waits are left to the helpers; or 0, if jit_code.alive: those that are alive, and a part all of
 * which waits at a plain barrier says so in warp.jit_wait. The result is then the barrier's micro-op
 * if all parts that wait at one wait there, JIT_ENDED or JIT_MIXED.
 */
typedef uint32_t (*jit_fn)(struct warp *warps, uint32_t mask, uint32_t entry, uint32_t part,
                           uint32_t nparts, const struct uop *uops);
#define JIT_ENDED UINT32_MAX
#define JIT_MIXED (UINT32_MAX - 1)

/* A register that compiled code keeps as base + lane * stride: on the way in and out at a plain
 * barrier only the part's first lane is in the frame. */
struct jit_keep {
    uint32_t off; /* in the frame */
    bool wide;    /* lanes of 8 octets, else 4 */
    int64_t stride;
};

struct jit_code {
    jit_fn fn;
    void *mem; /* executable and data pages, for release() */
    size_t mem_size, data_size;
    uint32_t lanes; /* 1, 8, 16 or 32 */
    uint32_t csr;   /* MXCSR mode of the code */
    bool unset;     /* may read registers that nothing has written */
    bool alive;     /* keeps warp.alive: something may look at it */
    uint32_t nuops;
    int32_t *entry; /* by micro-op: argument of fn, -1 = none */
    struct jit_site *sites;
    struct jit_keep *keeps; /* of entry e: keeps[keep_at[e]] to keeps[keep_at[e + 1] - 1] */
    uint32_t *keep_at;
};

/* What compiled code calls. mask: lanes of the whole warp. */
struct jit_helpers {
    /* A micro-op by its handler; registers are in the frame. */
    void (*handler)(struct warp *w, const struct uop *u, uint32_t mask);
    void (*barrier)(struct warp *w, const struct uop *u, uint32_t mask);
    /* The lanes wait in warp.pend at u; yield: others should run now. */
    void (*park)(struct warp *w, const struct uop *u, uint32_t mask);
    void (*yield)(struct warp *w, const struct uop *u, uint32_t mask);
    void (*stop)(struct warp *w, const struct uop *u, uint32_t mask);
    void (*trap)(struct warp *w, const struct uop *u, uint32_t mask);
    /* base + lane * stride to the lanes of the mask, lanes of 8 octets or 4. */
    void (*spread)(void *to, uint64_t base, uint64_t stride, uint32_t mask, uint32_t wide);
};

struct jit_job {
    const struct prog *real; /* as the interpreter runs it: places in the frame */
    const struct prog *virt; /* the same micro-ops with a slot for every register: its identity */
    const char *name;        /* of the kernel */
    uint32_t param_bytes;
    uint32_t lanes; /* wanted; the code may have more, or fewer; 0: as the compiler likes */
    uint32_t row; /* so many lanes have tid.x one after the other and the same tid.y, tid.z; or 0 */
    /* Also what hardly pays: kernels that keep calls by name, as those of deep recursions. */
    bool all;
    const struct jit_helpers *helpers;
};

/* What the plug-in exports as `gvm_ptx_jit`. */
struct jit_ops {
    uint32_t abi;
    uint32_t sizes[8]; /* JIT_SIZES: built from the same tree */
    /* 0, or -1 and one line in log: the kernel stays with the interpreter. Any thread. */
    int (*compile)(const struct jit_job *job, struct jit_code **out, char *log, size_t log_n);
    void (*release)(struct jit_code *code);
};
#define JIT_SIZES                                                                                  \
    {                                                                                              \
        sizeof(struct uop), sizeof(struct warp), sizeof(struct ptx_exec), sizeof(struct frame),    \
            offsetof(struct warp, sregs), offsetof(struct warp, frame0),                           \
            offsetof(struct ptx_exec, site_lane0), offsetof(struct ptx_exec, stop)                 \
    }

/* ---- jit_run.c ------------------------------------------------------------------------------- */

struct jit_state; /* of a prepared kernel */
void jit_state_put(struct jit_state *s);

/* Before CTAs of a launch run: compiled code for them, or NULL. May ask for it. *prog: the program
 * that the code and the interpreter then run, without most calls; left alone if it is the kernel's. */
const struct jit_code *jit_find(struct ptx_kernel *k, const struct ptx_launch *l,
                                struct prog **prog);
/* After CTAs were interpreted for ns: enough of that makes the compiler start. */
void jit_note(struct ptx_kernel *k, const struct ptx_launch *l, uint64_t ns);
/* A CTA whose warps are as at their start, all of it by compiled code as long as its warps wait at
 * the same barriers. True: it is done; false: go on with jit_warp_run(). */
bool jit_cta_run(struct cta *c);
/* As warp_run(), with compiled code where that is possible. */
void jit_warp_run(struct warp *w);

/* lower_prog.c: the prepared kernel lowered again, twice; 0, or an error, one line in log, and nothing.
 * *flat: what it calls is put in place of the calls as far as that is possible (lower_flat.c), so that
 * *real is another program than the kernel's. */
int ptx_lower_twice(struct ptx_kernel *k, struct prog **real, struct prog **virt, bool *flat,
                    char *log, size_t log_n);
void ptx_prog_free(struct prog *g);

#endif
