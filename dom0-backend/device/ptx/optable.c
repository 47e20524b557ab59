/* SPDX-License-Identifier: MIT */
/* optable.c - the tables of PTX opcodes, modifiers and types; everything else looks things up here. */
#include "lower.h"

const uint8_t ptx_type_bits[T_COUNT] = {
    [T_PRED] = 1,    [T_B8] = 8,     [T_B16] = 16,   [T_B32] = 32,    [T_B64] = 64,
    [T_B128] = 128,  [T_U8] = 8,     [T_U16] = 16,   [T_U32] = 32,    [T_U64] = 64,
    [T_S8] = 8,      [T_S16] = 16,   [T_S32] = 32,   [T_S64] = 64,    [T_F16] = 16,
    [T_F32] = 32,    [T_F64] = 64,   [T_F16X2] = 32, [T_BF16] = 16,   [T_BF16X2] = 32,
    [T_TF32] = 32,   [T_U16X2] = 32, [T_S16X2] = 32, [T_E4M3X2] = 16, [T_E5M2X2] = 16,
    [T_TEXREF] = 64,
};
const char *const ptx_type_name[T_COUNT] = {
    [T_NONE] = "",         [T_PRED] = "pred",     [T_B8] = "b8",       [T_B16] = "b16",
    [T_B32] = "b32",       [T_B64] = "b64",       [T_B128] = "b128",   [T_U8] = "u8",
    [T_U16] = "u16",       [T_U32] = "u32",       [T_U64] = "u64",     [T_S8] = "s8",
    [T_S16] = "s16",       [T_S32] = "s32",       [T_S64] = "s64",     [T_F16] = "f16",
    [T_F32] = "f32",       [T_F64] = "f64",       [T_F16X2] = "f16x2", [T_BF16] = "bf16",
    [T_BF16X2] = "bf16x2", [T_TF32] = "tf32",     [T_U16X2] = "u16x2", [T_S16X2] = "s16x2",
    [T_E4M3X2] = "e4m3x2", [T_E5M2X2] = "e5m2x2", [T_E4M3] = "e4m3",   [T_E5M2] = "e5m2",
    [T_S4] = "s4",         [T_U4] = "u4",         [T_B1] = "b1",       [T_TEXREF] = "texref",
    [T_OTHER] = "?",
};

static const char *const mod_name[M_COUNT] = {
#define X(n) [M_##n] = #n,
    PTX_MODS(X)
#undef X
};

#define D  OPF_DST
#define DE (OPF_DST | OPF_ELEM)

const struct ptx_opcode ptx_opcodes[] = {
    /* integer and floating-point arithmetic */
    {"add", 3, 3, DE, low_arith},
    {"sub", 3, 3, DE, low_arith},
    {"mul", 3, 3, DE, low_arith},
    {"mad", 4, 4, DE, low_arith},
    {"fma", 4, 4, DE, low_arith},
    {"div", 3, 3, DE, low_arith},
    {"rem", 3, 3, DE, low_arith},
    {"abs", 2, 2, DE, low_arith},
    {"neg", 2, 2, DE, low_arith},
    {"min", 3, 4, DE, low_arith},
    {"max", 3, 4, DE, low_arith},
    {"rcp", 2, 2, DE, low_arith},
    {"sqrt", 2, 2, DE, low_arith},
    {"rsqrt", 2, 2, DE, low_arith},
    {"sin", 2, 2, DE, low_arith},
    {"cos", 2, 2, DE, low_arith},
    {"ex2", 2, 2, DE, low_arith},
    {"lg2", 2, 2, DE, low_arith},
    {"tanh", 2, 2, DE, low_arith},
    {"copysign", 3, 3, DE, low_arith},
    {"testp", 2, 2, D, low_testp},
    {"mul24", 3, 3, DE, low_arith},
    {"mad24", 4, 4, DE, low_arith},
    {"sad", 4, 4, DE, low_arith},
    {"addc", 3, 3, DE, low_carry},
    {"subc", 3, 3, DE, low_carry},
    {"madc", 4, 4, DE, low_carry},
    {"dp4a", 4, 4, DE, low_dp},
    {"dp2a", 4, 4, DE, low_dp},
    /* bits */
    {"and", 3, 3, DE, low_logic},
    {"or", 3, 3, DE, low_logic},
    {"xor", 3, 3, DE, low_logic},
    {"not", 2, 2, DE, low_logic},
    {"cnot", 2, 2, DE, low_logic},
    {"lop3", 5, 6, DE, low_lop3},
    {"shl", 3, 3, DE, low_bits},
    {"shr", 3, 3, DE, low_bits},
    {"shf", 4, 4, DE, low_shf},
    {"bfe", 4, 4, DE, low_bits},
    {"bfi", 5, 5, DE, low_bits},
    {"bfind", 2, 2, DE, low_bits},
    {"bmsk", 3, 3, DE, low_bits},
    {"szext", 3, 3, DE, low_bits},
    {"fns", 4, 4, DE, low_bits},
    {"clz", 2, 2, DE, low_bits},
    {"popc", 2, 2, DE, low_bits},
    {"brev", 2, 2, DE, low_bits},
    {"prmt", 4, 4, DE, low_prmt},
    {"vabsdiff4", 4, 4, DE, low_video4},
    {"vadd4", 4, 4, DE, low_video4},
    {"vsub4", 4, 4, DE, low_video4},
    {"vavrg4", 4, 4, DE, low_video4},
    {"vmin4", 4, 4, DE, low_video4},
    {"vmax4", 4, 4, DE, low_video4},
    {"vset4", 4, 4, DE, low_video},
    {"vadd", 3, 4, DE, low_video},
    {"vsub", 3, 4, DE, low_video},
    {"vabsdiff", 3, 4, DE, low_video},
    {"vmin", 3, 4, DE, low_video},
    {"vmax", 3, 4, DE, low_video},
    {"vshl", 3, 4, DE, low_video},
    {"vshr", 3, 4, DE, low_video},
    {"vmad", 4, 4, DE, low_video},
    {"vset", 3, 4, DE, low_video},
    {"vadd2", 4, 4, DE, low_video},
    {"vsub2", 4, 4, DE, low_video},
    {"vavrg2", 4, 4, DE, low_video},
    {"vabsdiff2", 4, 4, DE, low_video},
    {"vmin2", 4, 4, DE, low_video},
    {"vmax2", 4, 4, DE, low_video},
    {"vset2", 4, 4, DE, low_video},
    /* compare and select */
    {"setp", 3, 4, D, low_setp},
    {"set", 3, 4, DE, low_set},
    {"selp", 4, 4, DE, low_selp},
    {"slct", 4, 4, DE, low_slct},
    /* moves and conversions */
    {"mov", 2, 2, D, low_mov},
    {"cvt", 2, 4, DE, low_cvt},
    {"cvta", 2, 2, DE, low_cvta},
    {"isspacep", 2, 2, D, low_isspacep},
    {"mapa", 3, 3, DE, low_mapa},
    {"getctarank", 2, 2, DE, low_mapa},
    {"alloca", 2, 3, D, NULL},
    {"stacksave", 1, 1, D, NULL},
    {"stackrestore", 1, 1, 0, NULL},
    /* memory */
    {"ld", 2, 3, D, low_ld},
    {"ldu", 2, 2, D, low_ld},
    {"st", 2, 3, 0, low_st},
    {"prefetch", 1, 1, 0, low_nop},
    {"prefetchu", 1, 1, 0, low_nop},
    {"applypriority", 2, 2, 0, low_nop},
    {"discard", 2, 2, 0, low_nop},
    {"createpolicy", 2, 5, D, low_policy},
    {"membar", 0, 0, 0, low_fence},
    {"fence", 0, 3, 0, low_fence},
    {"atom", 3, 5, D | OPF_SPIN, low_atom},
    {"red", 2, 3, OPF_SPIN, low_atom},
    {"cp", 0, 8, 0, low_cp},
    {"mbarrier", 1, 4, OPF_SPIN, low_mbarrier},
    {"multimem", 2, 4, D, NULL},
    /* warp */
    {"shfl", 4, 5, D, low_shfl},
    {"vote", 2, 3, D, low_vote},
    {"match", 3, 3, D, low_match},
    {"activemask", 1, 1, D, low_activemask},
    {"redux", 3, 3, D, low_redux},
    {"elect", 2, 2, D, low_elect},
    {"bar", 0, 4, 0, low_bar},
    {"barrier", 0, 4, 0, low_bar},
    {"griddepcontrol", 0, 0, 0, low_nop},
    {"setmaxnreg", 1, 1, 0, low_nop},
    /* control */
    {"bra", 1, 1, OPF_TERM, low_bra},
    {"brx", 2, 2, OPF_TERM, low_brx},
    {"call", 1, 4, OPF_SPIN, low_call},
    {"ret", 0, 0, OPF_TERM, low_ret},
    {"exit", 0, 0, OPF_TERM, low_exit},
    {"trap", 0, 0, 0, low_trap},
    {"brkpt", 0, 0, 0, low_trap},
    {"nanosleep", 1, 1, OPF_SPIN, low_nanosleep},
    {"pmevent", 1, 1, 0, low_nop},
    /* matrices */
    {"wmma", 2, 4, D, low_wmma},
    {"mma", 4, 12, D, low_mma},
    {"ldmatrix", 2, 2, D, low_ldmatrix},
    {"stmatrix", 2, 2, 0, low_stmatrix},
    {"movmatrix", 2, 2, D, low_movmatrix},
    /* textures and surfaces */
    {"tex", 2, 8, D, low_tex},
    {"tld4", 2, 8, D, low_tex},
    {"txq", 2, 3, D, low_txq},
    {"suld", 2, 4, D, low_surf},
    {"sust", 2, 4, 0, low_surf},
    {"sured", 2, 4, 0, low_surf},
    {"suq", 2, 3, D, low_txq},
    /* known, not implemented: a kernel that uses one is refused by name */
    {"istypep", 2, 2, D, NULL},
    {"wgmma", 0, 12, 0, NULL},
    {"tensormap", 0, 8, 0, NULL},
    {"clusterlaunchcontrol", 0, 4, 0, NULL},
};
const unsigned ptx_nopcodes = sizeof(ptx_opcodes) / sizeof(ptx_opcodes[0]);

/* One hash table for the three kinds of words, built on first use. */
enum { W_OP, W_MOD, W_TYPE, W_KINDS };
#define HASH_SIZE 1024u
static struct word {
    const char *s;
    uint16_t value;
    uint8_t kind;
} words[HASH_SIZE];
static pthread_once_t words_once = PTHREAD_ONCE_INIT;

static uint32_t word_hash(const char *s, size_t n, unsigned kind)
{
    uint32_t h = 2166136261u + kind * 97;
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)s[i]) * 16777619u;
    return h ^ h >> 15;
}

static void word_add(const char *s, unsigned kind, unsigned value)
{
    uint32_t h = word_hash(s, strlen(s), kind);
    while (words[h % HASH_SIZE].s)
        h++;
    words[h % HASH_SIZE] = (struct word){s, value, kind};
}

static void words_init(void)
{
    for (unsigned i = 0; i < ptx_nopcodes; i++)
        word_add(ptx_opcodes[i].name, W_OP, i);
    for (unsigned i = 0; i < M_COUNT; i++)
        word_add(mod_name[i], W_MOD, i);
    for (unsigned i = 1; i < T_OTHER; i++)
        word_add(ptx_type_name[i], W_TYPE, i);
}

static int word_find(const char *s, size_t n, unsigned kind)
{
    pthread_once(&words_once, words_init);
    uint32_t h = word_hash(s, n, kind);
    for (; words[h % HASH_SIZE].s; h++) {
        const struct word *w = &words[h % HASH_SIZE];
        if (w->kind == kind && !strncmp(w->s, s, n) && !w->s[n])
            return w->value;
    }
    return -1;
}

int ptx_opcode_find(const char *s, size_t n)
{
    return word_find(s, n, W_OP);
}

int ptx_mod_find(const char *s, size_t n)
{
    return word_find(s, n, W_MOD);
}

int ptx_type_find(const char *s, size_t n)
{
    int t = word_find(s, n, W_TYPE);
    return t < 0 ? T_NONE : t;
}

const char *ptx_mod_str(unsigned m)
{
    return mod_name[m];
}

bool ptx_is_video(unsigned op)
{
    return ptx_opcodes[op].lower == low_video;
}

bool ptx_is_tex(unsigned op)
{
    return ptx_opcodes[op].lower == low_tex || ptx_opcodes[op].lower == low_surf;
}
