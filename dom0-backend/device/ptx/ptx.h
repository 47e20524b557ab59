/* SPDX-License-Identifier: MIT */
/*
 * ptx.h - PTX front end and interpreter, used by the software device (device/ptx).
 *
 * Text -> module (parsed, verified) -> kernel (lowered on first use) -> execution of CTAs on the
 * calling thread. Nothing here starts threads, opens files or takes signals; the caller owns the
 * arena, the worker threads and sigaction().
 *
 * PTX text, parameters and every address come from a guest and are hostile. Results are CUresult
 * values (cuda.h numbering): 0 success, 1 INVALID_VALUE, 2 OUT_OF_MEMORY, 209 NO_BINARY_FOR_GPU,
 * 218 INVALID_PTX, 801 NOT_SUPPORTED, and from execution 700 ILLEGAL_ADDRESS, 702 LAUNCH_TIMEOUT
 * (the stop flag was set), 710 ASSERT, 716 MISALIGNED_ADDRESS, 719 LAUNCH_FAILED (trap, call stack
 * exhausted, barrier that can never complete).
 */
#ifndef GVM_PTX_H
#define GVM_PTX_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ptx_module;
struct ptx_kernel;
struct ptx_exec;
struct ptx_tex; /* texture.h */

/* Limits of the declared device (compute capability 9.0, and the same in 10.0). */
#define PTX_SM_REGS     65536 /* registers of a multiprocessor, compute capability 9.0 */
#define PTX_MAX_THREADS 1024u
#define PTX_MAX_SHARED  (227u * 1024) /* static + dynamic, opt-in limit, bytes per CTA */
#define PTX_MAX_VERSION 90u           /* 10 * major + minor of .version */
#define PTX_MAX_TEXT    (64u << 20)   /* bytes of PTX text in one module */

/*
 * The declared device's sm number, and the highest .target that is taken: PTX_TARGET, or what was set,
 * before the first module is parsed, for programs that are made for a later one.
 */
#define PTX_TARGET       90
#define PTX_TARGET_LATER 100
void ptx_target_set(unsigned sm);
unsigned ptx_target(void);

/*
 * Generic addresses that are not global: outside every host address, so never in the window.
 * Shared, local and kernel-parameter space start at 0 and are added to these.
 */
#define PTX_APERTURE_SIZE   (1ull << 32)
#define PTX_APERTURE_SHARED (0x01ull << 56)
#define PTX_APERTURE_LOCAL  (0x02ull << 56)
#define PTX_APERTURE_PARAM  (0x03ull << 56)
#define PTX_APERTURE_FUNC   (0x04ull << 56) /* function pointers: + index of the function */

/* ---- modules ------------------------------------------------------------------------------ */

/*
 * Parses and verifies PTX text (n bytes; need not end in NUL, trailing NULs are stripped). On
 * failure one line in log[0..log_n) names the line and what is wrong: 218 for text that is not
 * PTX, 222 for a .version that is too new, 209 for a .target above ptx_target(). An instruction that is valid PTX but not implemented does
 * not fail here; it makes ptx_kernel_prepare() of the kernels that use it fail with 801.
 */
int ptx_module_parse(const char *text, size_t n, struct ptx_module **out, char *log, size_t log_n);
/*
 * The same for several texts, separately compiled (nvcc -rdc=true): names that are .visible, .weak,
 *XX
 */
struct ptx_text {
    const char *text;
    size_t len;
};
int ptx_module_link(const struct ptx_text *texts, unsigned ntexts, bool complete,
                    struct ptx_module **out, char *log, size_t log_n);
void ptx_module_free(struct ptx_module *m);

unsigned ptx_module_nkernel(const struct ptx_module *m);
struct ptx_kernel *ptx_module_kernel(struct ptx_module *m, unsigned i); /* i < nkernel */

/* Module-scope variables. All need an address in the window before any kernel is prepared. */
enum ptx_space { PTX_GLOBAL, PTX_CONST };
struct ptx_var {
    const char *name;
    uint64_t size;  /* bytes, may be 0 */
    uint32_t align; /* power of two, >= 1 */
    enum ptx_space space;
    bool managed;  /* .attribute(.managed) */
    bool has_init; /* false: all zero */
};
unsigned ptx_module_nvar(const struct ptx_module *m);
struct ptx_var ptx_module_var(const struct ptx_module *m, unsigned i);
void ptx_module_set_var_addr(struct ptx_module *m, unsigned i, uint64_t addr);
/* Writes the initial contents (size bytes, addresses of other variables and functions resolved)
 * to dst. Call it after every variable has its address. */
void ptx_module_var_init(const struct ptx_module *m, unsigned i, void *dst);

/* ---- kernels ------------------------------------------------------------------------------ */

const char *ptx_kernel_name(const struct ptx_kernel *k);
unsigned ptx_kernel_nparam(const struct ptx_kernel *k);
void ptx_kernel_param(const struct ptx_kernel *k, unsigned i, uint32_t *offset, uint32_t *size);
uint32_t ptx_kernel_param_bytes(const struct ptx_kernel *k); /* of the whole buffer */

struct ptx_kernel_info {
    uint32_t shared_bytes; /* static shared memory */
    uint32_t const_bytes;  /* module's .const variables */
    uint32_t local_bytes;  /* per thread */
    uint32_t regs;         /* 1..255, an estimate in 32-bit registers per thread */
    uint32_t maxntid;      /* threads per CTA by .maxntid, or PTX_MAX_THREADS */
    uint32_t reqntid[3];   /* .reqntid, or 0 0 0 */
    uint32_t ptx_version;  /* 10 * major + minor */
    uint32_t target;       /* sm number of .target */
    bool cooperative;      /* uses grid-wide synchronisation (%envreg) */
};
void ptx_kernel_info(const struct ptx_kernel *k, struct ptx_kernel_info *out);

/*
 * Lowers the kernel and the functions it calls to micro-ops. Must have returned 0 before the first
 * ptx_exec_ctas(); idempotent, callable from any thread. 801 (or 209/218) and one line in log that
 * names the instruction and its line when something is not supported.
 */
int ptx_kernel_prepare(struct ptx_kernel *k, char *log, size_t log_n);

/* ---- execution ---------------------------------------------------------------------------- */

/*
 * How device addresses are reached: one window of mask + 1 bytes (a power of two) at the host
 * address base, aligned to its size, reserved PROT_NONE and partly mapped. A device address equals
 * the host address. Kernels reach nothing outside it: an address outside is error 700, and what
 * they access is base | (address & mask). Pages not mapped inside raise SIGSEGV or SIGBUS, which
 * the caller's handler passes to ptx_exec_signal().
 */
struct ptx_mem {
    uint64_t base;
    uint64_t mask;
};

struct ptx_fault {
    int err; /* CUresult, 0 = none */
    uint32_t cta[3];
    uint32_t thread[3];
    uint32_t line; /* line of the PTX text, 0 = unknown */
    uint64_t addr; /* 700, 716: the address as the kernel used it */
    char kernel[128];
    char what[640]; /* one line for a log: everything above in words; 710: as CUDA prints it */
};

struct ptx_launch {
    uint32_t grid[3];    /* each >= 1 */
    uint32_t block[3];   /* each >= 1, product <= PTX_MAX_THREADS */
    uint32_t shmem;      /* dynamic shared memory, bytes */
    bool cooperative;    /* all CTAs of the ptx_exec_ctas() call make progress together */
    const void *params;  /* laid out as ptx_kernel_param() says */
    uint32_t params_len; /* bytes, >= ptx_kernel_param_bytes() */
    struct ptx_mem mem;
    uint64_t grid_id; /* %gridid */
    /* Cooperative launch: zeroed device memory (16 bytes) for grid-wide barriers; 0 = none. */
    uint64_t coop_workspace;
    /* Set to non-zero by any thread to end execution soon: ptx_exec_ctas() returns 702. */
    const volatile int *stop;
    /* Device-side printf: formatted text, called on the executing thread; NULL = dropped. */
    void (*print)(void *arg, const char *text, size_t n);
    /* Device-side malloc and free; NULL or a 0 result = out of heap memory. Alignment 16. */
    uint64_t (*heap_alloc)(void *arg, uint64_t bytes);
    void (*heap_free)(void *arg, uint64_t addr);
    /* Texture or surface object of a handle, good until the launch ends; NULL or a NULL result:
     * there is none, error 700. */
    const struct ptx_tex *(*object)(void *arg, uint64_t handle);
    void *arg;
};

/* Per-thread working state; reused from launch to launch. NULL when out of memory. */
struct ptx_exec *ptx_exec_new(void);
void ptx_exec_free(struct ptx_exec *x);

/*
 * Runs CTAs [first, first + count) of the grid (linear order, x fastest) on the calling thread,
 * in ascending order; a cooperative launch must pass the whole grid in one call. Returns 0 or the
 * error; then fault->err == the error and *fault describes it. CTAs already finished stay done.
 */
int ptx_exec_ctas(struct ptx_kernel *k, const struct ptx_launch *l, struct ptx_exec *x,
                  uint64_t first, uint64_t count, struct ptx_fault *fault);

/*
 * To be called by the SIGSEGV/SIGBUS/SIGFPE handler (SA_SIGINFO | SA_NODEFER) on the faulting
 * thread. If this thread was executing a kernel and the fault is the kernel's (si_addr in its
 * window), it does not return: ptx_exec_ctas() returns the error. Otherwise false: not ours.
 */
bool ptx_exec_signal(int sig, const siginfo_t *si);

/*
 * Kernels prepared from now on look for races on shared memory and for reads of what nobody wrote
 * there (error 719), and are interpreted, CTA after CTA as the caller hands them out. Before any
 * kernel is prepared; slow.
 */
void ptx_check_set(bool on);
bool ptx_check_get(void);

/* ---- compiled kernels ---------------------------------------------------------------------- */

enum ptx_jit {
    PTX_JIT_OFF,  /* as without the plug-in */
    PTX_JIT_ON,   /* compile in the background what is interpreted for long */
    PTX_JIT_FIRST /* compile before the first launch, and wait for it: tests and measurements */
};
/*
 * Loads the compiler, the plug-in gvm-ptx-jit.so beside the program, in ../lib/gvm or in
 * /usr/lib/gvm, once per process and before a system call filter that does not let files be opened. False, and one line
 * in log, when it is not there or does not fit this processor; kernels are then interpreted.
 */
bool ptx_jit_load(enum ptx_jit mode, char *log, size_t log_n);
/* The processor is QEMU's emulation: vectors are computed lane by lane there. */
bool ptx_jit_emulated(void);
void ptx_jit_set(enum ptx_jit mode); /* after a successful load */
/* Kernels compiled and refused so far in this process, and how often compiled code was entered. */
struct ptx_jit_stats {
    uint64_t compiled, refused, entered;
    uint64_t compile_ns;
};
struct ptx_jit_stats ptx_jit_stats(void);
/* Where a line about each kernel compiled, or not, and why, goes: any thread; NULL: nowhere. */
void ptx_jit_notes(void (*fn)(const char *line));
/* Lets the next compilations use this many lanes at once: 1, 8, 16, 32; 0 = as the processor
 * likes. For tests. */
void ptx_jit_lanes(unsigned lanes);
/* Compiles a prepared kernel for nothing but to know whether that works: 0, or -1 and one line in log
 * that says why it stays with the interpreter. For reports. */
int ptx_jit_try(struct ptx_kernel *k, char *log, size_t log_n);
/* Whether compiled code of the kernel may read registers that nothing has written: what is in them is
 * anything, and differs from what the interpreter finds there. */
bool ptx_jit_unset(struct ptx_kernel *k);

#endif
