/* SPDX-License-Identifier: MIT */
/*
 * llvm.c - from LLVM's IR to pages that can be executed, and the plug-in's entry.
 *
 * MCJIT with a memory manager of our own: sections are written to pages of their own and made
 * read-only, or read-only and executable, when they are complete. No page is ever writable and
 * executable. The engine goes when the code is there; the pages stay.
 */
#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <sys/mman.h>

#include "jit_int.h"

#define ARENA (8u << 20) /* most code and data of one kernel */

struct pages {
    uint8_t *mem;
    size_t code, data; /* bytes used: code from the start, data from the middle on */
    bool full;
};

static uint8_t *take(struct pages *p, size_t *used, size_t start, uintptr_t size, unsigned align)
{
    size_t at = (*used + align - 1) & ~(size_t)(align - 1);

    if (align > 4096 || at + size > ARENA / 2) {
        p->full = true;
        return NULL;
    }
    *used = at + size;
    return p->mem + start + at;
}

static uint8_t *code_section(void *arg, uintptr_t size, unsigned align, unsigned id,
                             const char *name)
{
    struct pages *p = arg;

    return take(p, &p->code, 0, size, align ? align : 16);
}

static uint8_t *data_section(void *arg, uintptr_t size, unsigned align, unsigned id,
                             const char *name, LLVMBool read_only)
{
    struct pages *p = arg;

    return take(p, &p->data, ARENA / 2, size, align ? align : 16);
}

static LLVMBool finalize(void *arg, char **err)
{
    struct pages *p = arg;

    if (mprotect(p->mem, ARENA / 2, PROT_READ | PROT_EXEC) ||
        mprotect(p->mem + ARENA / 2, ARENA / 2, PROT_READ)) {
        *err = LLVMCreateMessage("the pages cannot be made executable");
        return 1;
    }
    return 0;
}

static void destroy(void *arg)
{
}

/* What the function takes from the stack beside what it pushes, from its first instructions. */
static uint32_t stack_of(const uint8_t *c)
{
    for (unsigned i = 0; i < 64; i++) {
        if (c[i] == 0x48 && c[i + 1] == 0x81 && c[i + 2] == 0xec) {
            uint32_t n;

            memcpy(&n, c + i + 3, 4);
            return n;
        }
        if (c[i] == 0x48 && c[i + 1] == 0x83 && c[i + 2] == 0xec)
            return c[i + 3];
    }
    return 0;
}

static void add_attribute(struct gen *g, const char *key, const char *value)
{
    LLVMAddAttributeAtIndex(
        g->fn, LLVMAttributeFunctionIndex,
        LLVMCreateStringAttribute(g->ctx, key, strlen(key), value, strlen(value)));
}

/*
 * What the processor has, without AVX-512: LLVM 14 gives vpternlog a wrong table where a constant from
 * memory and a mask come together (a copysign.f32 under a guard got the wrong sign for eight lanes).
 */
static void features(struct gen *g)
{
    static const char without[] = ",-avx512f"; /* and all that needs it */
    char *host = LLVMGetHostCPUFeatures();
    size_t n = strlen(host) + sizeof(without);
    char *s = malloc(n);

    if (!s)
        abort(); /* as LLVM does */
    snprintf(s, n, "%s%s", host, without);
    add_attribute(g, "target-features", s);
    free(s);
    LLVMDisposeMessage(host);
}

static void attributes(struct gen *g)
{
    char *cpu = LLVMGetHostCPUName();
    const char *nounwind = "nounwind";

    add_attribute(g, "target-cpu", cpu);
    features(g);
    add_attribute(g, "prefer-vector-width", "256");
    add_attribute(g, "min-legal-vector-width", "256");
    add_attribute(g, "frame-pointer", "none");
    LLVMAddAttributeAtIndex(
        g->fn, LLVMAttributeFunctionIndex,
        LLVMCreateEnumAttribute(g->ctx, LLVMGetEnumAttributeKindForName(nounwind, 8), 0));
    LLVMDisposeMessage(cpu);
}

/* AMD's from Zen 3 on, as measured. */
static bool good_gathers(void)
{
    char *cpu = LLVMGetHostCPUName();
    bool good = !strncmp(cpu, "znver", 5) && cpu[5] >= '3';

    LLVMDisposeMessage(cpu);
    return good;
}

/*
 * What is read side by side goes on and on, which processors see by themselves; but AMD's not among
 * loads from anywhere, and Intel's later than they could (saxpy: 1.05 of PoCL's speed, or 0.86).
 */
static bool slow_to_see_streams(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_is("intel");
}

static int run_passes(struct gen *g, char *log, size_t log_n)
{
    LLVMPassBuilderOptionsRef o = LLVMCreatePassBuilderOptions();
    LLVMErrorRef e = LLVMRunPasses(g->mod, "function(mem2reg,loop-mssa(licm))", NULL, o);

    LLVMDisposePassBuilderOptions(o);
    if (e) {
        char *m = LLVMGetErrorMessage(e);

        snprintf(log, log_n, "%s", m);
        LLVMDisposeErrorMessage(m);
        return -1;
    }
    return 0;
}

int emit_code(struct gen *g, char *log, size_t log_n)
{
    struct LLVMMCJITCompilerOptions opts;
    LLVMExecutionEngineRef ee = NULL;
    struct pages p = {0};
    char *err = NULL;
    int rc = -1;

    attributes(g);
    if (LLVMVerifyModule(g->mod, LLVMReturnStatusAction, &err)) {
        snprintf(log, log_n, "internal error: %s", err);
        LLVMDisposeMessage(err);
        return -1;
    }
    LLVMDisposeMessage(err);
    err = NULL;
    if (run_passes(g, log, log_n))
        return -1;
    p.mem = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    if (p.mem == MAP_FAILED) {
        snprintf(log, log_n, "out of memory");
        return -1;
    }
    LLVMInitializeMCJITCompilerOptions(&opts, sizeof(opts));
    opts.OptLevel = 2;
    opts.MCJMM =
        LLVMCreateSimpleMCJITMemoryManager(&p, code_section, data_section, finalize, destroy);
    if (LLVMCreateMCJITCompilerForModule(&ee, g->mod, &opts, sizeof(opts), &err)) {
        snprintf(log, log_n, "%s", err ? err : "no compiler for this processor");
        LLVMDisposeMessage(err);
        munmap(p.mem, ARENA);
        return -1;
    }
    g->mod = NULL; /* the engine's now */
    g->code->fn = (jit_fn)(uintptr_t)LLVMGetFunctionAddress(ee, "kernel");
    if (!g->code->fn || p.full) {
        snprintf(log, log_n, "more than %u KiB of code, or the pages cannot be made executable",
                 ARENA / 2048);
    } else if (stack_of((const uint8_t *)g->code->fn) > JIT_MAX_STACK) {
        snprintf(log, log_n, "needs too much stack");
    } else {
        rc = 0;
    }
    LLVMDisposeExecutionEngine(ee);
    if (rc) {
        munmap(p.mem, ARENA);
        return -1;
    }
    /* give back what is not used */
    size_t code = (p.code + 4095) & ~(size_t)4095, data = (p.data + 4095) & ~(size_t)4095;

    if (code < ARENA / 2)
        munmap(p.mem + code, ARENA / 2 - code);
    if (data < ARENA / 2)
        munmap(p.mem + ARENA / 2 + data, ARENA / 2 - data);
    g->code->mem = p.mem;
    g->code->mem_size = code;
    for (uint32_t i = 0; i < g->t->words; i++)
        g->code->unset |= g->t->live_in[i] != 0; /* before the first block */
    g->code->data_size = data;
    return 0;
}

static void release(struct jit_code *c)
{
    if (!c)
        return;
    if (c->mem && c->mem_size)
        munmap(c->mem, c->mem_size);
    if (c->mem && c->data_size)
        munmap((uint8_t *)c->mem + ARENA / 2, c->data_size);
    free(c->entry);
    free(c->sites);
    free(c->keeps);
    free(c->keep_at);
    free(c);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void init(void)
{
    LLVMLinkInMCJIT();
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
}

static int fill_keeps(struct unit *t, struct jit_code *c)
{
    const struct gen g = {.t = t, .w = t->lanes};
    uint32_t n = 0, cap = 0;

    for (uint32_t e = 0; e < t->nentries; e++) {
        c->keep_at[e] = n;
        for (uint32_t b = 1; b < t->nblocks; b++) /* nothing is alive at the start */
            for (uint32_t r = 0; r < t->nregs && t->blocks[b].entry == (int32_t)e; r++) {
                const struct reg *k = &t->regs[r];

                if (!set_has(t->live_in + (size_t)b * t->words, r) || !is_kept(&g, r))
                    continue;
                struct jit_keep *to = grow(c->keeps, sizeof(*to), n, &cap);

                if (!to)
                    return -1;
                c->keeps = to;
                to[n++] = (struct jit_keep){.off = k->off,
                                            .wide = k->cls == C_64,
                                            .stride = k->shape == S_AFF ? k->stride : 0};
            }
    }
    c->keep_at[t->nentries] = n;
    return 0;
}

static int fill_entries(struct unit *t, struct jit_code *c)
{
    uint32_t mem = 0;

    c->nuops = t->n;
    c->lanes = t->lanes;
    c->csr = t->csr;
    c->alive = t->alive;
    c->entry = malloc(t->n * sizeof(*c->entry));
    c->keep_at = calloc(t->nentries + 1, sizeof(*c->keep_at));
    for (uint32_t i = 0; i < t->n; i++)
        mem += t->ops[i].op >= OP_LD && t->ops[i].op <= OP_ATOM;
    c->sites = calloc(2 * mem + 1, sizeof(*c->sites)); /* with all lanes, and with some */
    if (!c->entry || !c->sites || !c->keep_at || fill_keeps(t, c))
        return unit_fail(t, "out of memory");
    for (uint32_t i = 0; i < t->n; i++)
        c->entry[i] = -1;
    for (uint32_t b = 0; b < t->nblocks; b++)
        if (t->blocks[b].entry >= 0)
            c->entry[t->blocks[b].start] = t->blocks[b].entry;
    return 0;
}

static bool crosses_lanes(const struct unit *t)
{
    static const char *const names[] = {"shfl",  "vote",  "ballot", "activemask",
                                        "match", "redux", "elect"};

    for (uint32_t i = 0; i < t->n; i++) {
        if (t->virt[i].kind == K_WSYNC)
            return true;
        for (unsigned k = 0; t->virt[i].kind == K_FN && k < 7; k++)
            if (!strncmp(t->virt[i].name, names[k], strlen(names[k])))
                return true;
    }
    return false;
}

/* Barriers and what lanes do together count who has not exited. */
static bool looks_at_alive(const struct unit *t)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->virt[i].kind == K_BAR || left_call(&t->virt[i]))
            return true;
    return crosses_lanes(t);
}

static int understand(struct unit *t, uint32_t lanes)
{
    const struct jit_job *job = t->job;

    t->lanes = lanes;
    t->n = job->virt->funcs[0].nuops;
    t->virt = job->virt->funcs[0].uops;
    if (crosses_lanes(t)) {
        if (t->lanes == 1)
            return unit_fail(t, "lanes work together");
        t->lanes = WARP;
    } else if (job->row && job->row < t->lanes) {
        t->lanes = job->row;
    }
    t->rows = job->row >= t->lanes;
    t->alive = looks_at_alive(t);
    return unit_decode(t) || unit_analyse(t) ? -1 : 0;
}

/* Loops whose values do not fit into sixteen registers of 32 octets: addresses of 64 bits that every
 * lane has for itself, or many values that live through it. */
static bool too_wide(const struct unit *t)
{
    for (uint32_t b = 0; b < t->nblocks; b++) {
        const struct uop *u = &t->virt[t->blocks[b].end - 1];
        uint32_t head, weight = 0;

        if (u->kind != K_BRA || t->block_of[u->target] > b)
            continue;
        head = t->block_of[u->target];
        for (uint32_t r = 0; r < t->nregs; r++)
            if (set_has(t->live_in + (size_t)head * t->words, r) && t->regs[r].shape == S_VAR)
                weight += t->regs[r].cls == C_64 ? 2 : 1;
        if (weight > 10)
            return true;
        for (uint32_t i = t->blocks[head].start; i < t->blocks[b].end; i++) {
            const struct jop *j = &t->ops[i];

            if ((j->op == OP_LD || j->op == OP_ST) && j->a.kind == OPD_REG && j->a.cls == C_64 &&
                t->regs[j->a.idx].shape == S_VAR)
                return true;
        }
    }
    return false;
}

static int compile(const struct jit_job *job, struct jit_code **out, char *log, size_t log_n)
{
    struct unit t = {.job = job, .log = log, .log_n = log_n};
    struct gen g = {.t = &t};
    int rc = -1;

    pthread_once(&once, init);
    log[0] = 0;
    *out = NULL;
    if (understand(&t, job->lanes ? job->lanes : WARP))
        goto out;
    if (!job->lanes && t.lanes == WARP && !crosses_lanes(&t) && too_wide(&t)) {
        unit_free(&t);
        t = (struct unit){.job = job, .log = log, .log_n = log_n};
        if (understand(&t, 16))
            goto out;
    }
    g.code = calloc(1, sizeof(*g.code));
    if (!g.code || fill_entries(&t, g.code)) {
        unit_fail(&t, "out of memory");
        goto out;
    }
    g.ctx = LLVMContextCreate();
    g.mod = LLVMModuleCreateWithNameInContext("ptx", g.ctx);
    LLVMSetTarget(g.mod, "x86_64-pc-linux-gnu");
    g.b = LLVMCreateBuilderInContext(g.ctx);
    g.gathers = good_gathers();
    g.streams = slow_to_see_streams();
    rc = gen_unit(&g);
    if (!rc)
        rc = emit_code(&g, log, log_n);
    if (g.mod)
        LLVMDisposeModule(g.mod);
    LLVMDisposeBuilder(g.b);
    LLVMContextDispose(g.ctx);
    free(g.tails);
out:
    if (rc) {
        release(g.code);
    } else {
        *out = g.code;
    }
    unit_free(&t);
    return rc;
}

extern const struct jit_ops gvm_ptx_jit;
const struct jit_ops gvm_ptx_jit
    __attribute__((visibility("default"))) = {JIT_ABI, JIT_SIZES, compile, release};
