/* SPDX-License-Identifier: MIT */
/* The sampler, and the texture and surface instructions: values, edges, wrong handles. */
#include <math.h>

#include "dom0-backend/device/ptx/texture.h"
#include "tests/unit/ptx_fixture.h"

#define HANDLE 0x500000001ull

static struct ptx_tex tex;
static struct ptx_mem mem;

static const struct ptx_tex *find(void *arg, uint64_t handle)
{
    return handle == tex.handle ? &tex : NULL;
}

/* A 4 x 4 picture of floats 0..15; unnormalised, clamped, points. */
static float *picture(void)
{
    uint64_t a = pf_alloc(4096);
    float *p = (float *)(uintptr_t)a;

    mem = pf_mem();
    for (int i = 0; i < 16; i++)
        p[i] = (float)i;
    tex = (struct ptx_tex){.handle = HANDLE,
                           .shape = TS_2D,
                           .layers = 1,
                           .elem = TE_FLOAT,
                           .bits = 32,
                           .channels = 1,
                           .bytes = 4,
                           .address = {TA_CLAMP, TA_CLAMP, TA_CLAMP},
                           .nlevel = 1,
                           .level[0] = {a, 16, 64, 4, 4, 1}};
    pf_extra.object = find;
    return p;
}

static float at(float x, float y)
{
    const struct tex_where w = {.x = {x, y}};
    uint32_t out[4];
    float f;

    tex_sample(&tex, &mem, &w, out);
    memcpy(&f, &out[0], 4);
    return f;
}

static void same(float got, float want)
{
    if (got != want)
        fail_msg("%.9g where %.9g is wanted", got, want);
}

static void points(void **state)
{
    picture();
    same(at(0.5f, 0.5f), 0);
    same(at(3.9f, 2.1f), 11);
    same(at(-7, 9), 12);
    same(at(NAN, INFINITY), 12);
    same(at(1e30f, -1e30f), 3);
}

static void address_modes(void **state)
{
    picture();
    tex.normalized = true;
    tex.address[0] = tex.address[1] = TA_WRAP;
    same(at(1.125f, -0.125f), 12);
    same(at(-2.875f, 5.375f), 4);
    tex.address[0] = TA_MIRROR;
    same(at(1.125f, 0.125f), 3);
    same(at(-0.375f, 0.125f), 1);
    same(at(2.125f, 0.125f), 0);
    tex.address[0] = TA_BORDER;
    tex.border[0] = 0x40e00000; /* 7.0f */
    same(at(1.01f, 0.125f), 7);
    same(at(0.99f, 0.125f), 3);
}

/* Weights have 8 fractional bits: what lies between two of them is one of them. */
static void weights(void **state)
{
    picture();
    tex.linear = true;
    same(at(1, 0.5f), 0.5f);
    same(at(1.5f, 1), 3);
    same(at(2, 2), 7.5f);
    same(at(0.2f, 0.5f), 0);
    same(at(0.5f + 1 / 256.0f, 0.5f), 1 / 256.0f);
    same(at(0.5f + 1.4f / 256, 0.5f), 1 / 256.0f);
    same(at(1.5f - 0.25f / 256, 0.5f), 1);
    tex.address[0] = TA_BORDER;
    same(at(4, 0.5f), 1.5f);
}

/* Not a number in a texel that has no weight does not spoil its neighbour. */
static void no_weight(void **state)
{
    float *p = picture();

    tex.linear = true;
    p[1] = NAN;
    same(at(0.5f, 0.5f), 0);
    p[0] = INFINITY;
    same(at(2.5f, 0.5f), 2);
}

static void normalized_integers(void **state)
{
    uint8_t *p = (uint8_t *)picture();

    tex.elem = TE_SINT;
    tex.bits = 8;
    tex.bytes = 1;
    tex.as_float = true;
    p[0] = 0x80;
    p[1] = 0x7f;
    p[2] = 0x81;
    same(at(0.5f, 0), -1);
    same(at(1.5f, 0), 1);
    same(at(2.5f, 0), -1);
    tex.elem = TE_UINT;
    p[0] = 51;
    same(at(0.5f, 0), (float)(51 / 255.0));
    tex.srgb = true;
    p[0] = 255;
    p[1] = 10;
    same(at(0.5f, 0), 1);
    same(at(1.5f, 0), (float)(10 / 255.0 / 12.92));
}

static void missing_channels(void **state)
{
    const struct tex_where w = {.x = {1.5f, 0.5f}};
    uint32_t out[4];

    picture();
    tex_sample(&tex, &mem, &w, out);
    assert_int_equal(out[1], 0);
    assert_int_equal(out[3], 0);
    tex.elem = TE_UINT;
    tex_sample(&tex, &mem, &w, out);
    assert_int_equal(out[0], 0x3f800000);
    assert_int_equal(out[2], 0);
    assert_int_equal(out[3], 0);
}

static void layers_are_clamped(void **state)
{
    struct tex_where w = {.x = {0.5f, 0.5f}, .layer = 99};
    uint32_t out[4];

    picture();
    tex.layered = true;
    tex.layers = 3;
    tex.level[0].slice = 4;
    tex_sample(&tex, &mem, &w, out);
    assert_int_equal(out[0], 0x40000000);
    w.layer = -5;
    tex_sample(&tex, &mem, &w, out);
    assert_int_equal(out[0], 0x40000000); /* a large unsigned number */
}

static void levels(void **state)
{
    struct tex_where w = {.x = {0.125f, 0.125f}, .has_lod = true};
    const float dx[2] = {0.5f, 0}, dy[2] = {0, 0.25f};
    float *p = picture(), f;
    uint32_t out[4];

    p[16] = 100;
    p[20] = 200;
    tex.normalized = true;
    tex.nlevel = 3;
    tex.max_lod = 10;
    tex.level[1] = (struct tex_level){tex.level[0].addr + 64, 16, 32, 2, 2, 1};
    tex.level[2] = (struct tex_level){tex.level[0].addr + 80, 16, 16, 1, 1, 1};
    for (int i = 0; i < 8; i++) {
        static const float lod[] = {0, 0.49f, 0.5f, 1.75f, 99, -3, NAN, 1};
        static const float want[] = {0, 0, 100, 200, 200, 0, 0, 100};

        w.lod = lod[i];
        tex_sample(&tex, &mem, &w, out);
        memcpy(&f, out, 4);
        same(f, want[i]);
    }
    tex.mip_linear = true;
    w.lod = 1.5f;
    tex_sample(&tex, &mem, &w, out);
    memcpy(&f, out, 4);
    same(f, 150);
    tex.bias = -0.25f;
    tex.max_lod = 1.125f;
    tex_sample(&tex, &mem, &w, out);
    memcpy(&f, out, 4);
    same(f, 112.5f);
    same(tex_grad_lod(&tex, w.x, dx, dy), 1);
    tex.bias = tex.min_lod = tex.max_lod = NAN;
    tex_sample(&tex, &mem, &w, out); /* no index from it */
}

static void gathers(void **state)
{
    const struct tex_where w = {.x = {2, 2}};
    uint32_t out[4];
    float f[4];

    picture();
    tex_gather(&tex, &mem, &w, 0, out);
    memcpy(f, out, sizeof(f));
    same(f[0], 9);
    same(f[1], 10);
    same(f[2], 6);
    same(f[3], 5);
}

/* Wrong numbers in a description stay inside the window. */
static void stays_in_the_window(void **state)
{
    picture();
    tex.level[0].addr = mem.base + mem.mask + 1 + (tex.level[0].addr & mem.mask);
    same(at(1.5f, 0.5f), 1);
}

/* ---- instructions ------------------------------------------------------------------------ */

#define K(body)                                                                                    \
    ".visible .entry k(.param .u64 out, .param .u64 t)\n{\n.reg .b32 %r<20>; .reg .f32 %f<20>; "   \
    ".reg .b64 %rd<9>; .reg .b16 %h<9>; .reg .pred %p<4>;\n"                                       \
    "ld.param.u64 %rd1, [out]; ld.param.u64 %rd2, [t]; mov.u32 %r1, %tid.x;\n"                     \
    "mul.wide.u32 %rd3, %r1, 16; add.u64 %rd1, %rd1, %rd3; cvt.rn.f32.u32 %f1, %r1;\n" body        \
    "\nret;\n}\n"

static uint64_t out_addr;

static int run(const char *text, unsigned threads, uint64_t handle)
{
    if (pf_load_sm(text))
        fail_msg("%s", pf_log);
    out_addr = pf_alloc(8192);
    return pf_run("k", 1, threads, 2, out_addr, handle);
}

static void instruction_tex(void **state)
{
    picture();
    assert_int_equal(run(K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}|%p1, [%rd2, {%f1, %f1}];\n"
                           "selp.f32 %f3, 0f3F800000, 0f00000000, %p1;\n"
                           "st.global.v4.f32 [%rd1], {%f2,%f3,%f4,%f5};"),
                         40, HANDLE),
                     0);
    for (unsigned i = 0; i < 40; i++) {
        float *o = (float *)(uintptr_t)(out_addr + 16 * i);

        same(o[0], i < 4 ? i * 5.0f : 15);
        same(o[1], 1);
    }
}

static void instruction_queries(void **state)
{
    picture();
    assert_int_equal(run(K("txq.width.b32 %r2, [%rd2]; txq.height.b32 %r3, [%rd2];\n"
                           "txq.num_mipmap_levels.b32 %r4, [%rd2]; txq.depth.b32 %r5, [%rd2];\n"
                           "st.global.v4.u32 [%rd1], {%r2,%r3,%r4,%r5};"),
                         1, HANDLE),
                     0);
    assert_int_equal(pf_u32(out_addr)[0], 4);
    assert_int_equal(pf_u32(out_addr)[1], 4);
    assert_int_equal(pf_u32(out_addr)[2], 1);
    assert_int_equal(pf_u32(out_addr)[3], 1);
}

static void wrong_handles(void **state)
{
    static const uint64_t wrong[] = {0, 1, HANDLE + 1, HANDLE << 1, UINT64_MAX};

    picture();
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(
            run(K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1, %f1}];"), 32, wrong[i]), 700);
        assert_int_equal(run(K("sust.b.2d.b32.trap [%rd2, {%r1, %r1}], {%r1};"), 32, wrong[i]),
                         700);
        assert_int_equal(run(K("txq.width.b32 %r2, [%rd2];"), 32, wrong[i]), 700);
    }
    /* A texture is no surface. */
    assert_int_equal(run(K("sust.b.2d.b32.trap [%rd2, {%r1, %r1}], {%r1};"), 1, HANDLE), 700);
    tex.surface = true;
    assert_int_equal(run(K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1, %f1}];"), 1, HANDLE),
                     700);
    pf_extra.object = NULL;
    assert_int_equal(run(K("txq.width.b32 %r2, [%rd2];"), 1, HANDLE), 700);
}

/* Memory that is gone is an error of the kernel's. */
static void freed_memory(void **state)
{
    picture();
    tex.level[0].addr += 65536 / 2;
    assert_int_equal(run(K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1, %f1}];"), 32, HANDLE),
                     700);
}

static void surfaces(void **state)
{
    float *p = picture();

    tex.surface = true;
    assert_int_equal(run(K("shl.b32 %r2, %r1, 2; mov.u32 %r3, 1; add.u32 %r4, %r1, 1065353216;\n"
                           "sust.b.2d.b32.zero [%rd2, {%r2, %r3}], {%r4};\n"
                           "suld.b.2d.b32.clamp {%r5}, [%rd2, {%r2, %r3}];\n"
                           "suld.b.2d.v2.b16.zero {%h1, %h2}, [%rd2, {%r2, %r3}];\n"
                           "cvt.u32.u16 %r6, %h1; cvt.u32.u16 %r7, %h2;\n"
                           "st.global.v4.u32 [%rd1], {%r5,%r6,%r7,%r7};"),
                         6, HANDLE),
                     0);
    for (unsigned i = 0; i < 6; i++) {
        const uint32_t *o = pf_u32(out_addr + 16 * i);

        assert_int_equal(o[0], 1065353216 + (i < 3 ? i : 3));
        assert_int_equal(o[1], i < 4 ? i : 0);
        assert_int_equal(o[2], i < 4 ? 0x3f80 : 0);
    }
    same(p[8], 8); /* nothing went to the next row */
    assert_int_equal(
        run(K("mov.u32 %r2, 16; sust.b.2d.b32.trap [%rd2, {%r2, %r1}], {%r1};"), 1, HANDLE), 700);
    assert_int_equal(
        run(K("mov.u32 %r2, -4; suld.b.2d.b32.trap {%r3}, [%rd2, {%r2, %r1}];"), 1, HANDLE), 700);
    assert_int_equal(
        run(K("mov.u32 %r2, 2; suld.b.2d.b32.zero {%r3}, [%rd2, {%r2, %r1}];"), 1, HANDLE), 716);
}

static void reductions(void **state)
{
    int32_t *p = (int32_t *)picture();

    tex.surface = true;
    p[0] = p[2] = 0;
    p[1] = 5;
    assert_int_equal(run(K("mov.u32 %r2, 0; mov.u32 %r3, 4; mov.u32 %r4, 8; sub.s32 %r5, 3, %r1;\n"
                           "sured.b.add.2d.u32.zero [%rd2, {%r2, %r2}], %r1;\n"
                           "sured.b.min.2d.s32.zero [%rd2, {%r3, %r2}], %r5;\n"
                           "sured.b.max.2d.u32.clamp [%rd2, {%r4, %r2}], %r5;"),
                         32, HANDLE),
                     0);
    assert_int_equal(p[0], 31 * 32 / 2);
    assert_int_equal(p[1], -28);
    assert_int_equal((uint32_t)p[2], (uint32_t)-1);
}

static void refused(void **state)
{
    static const char *const text[] = {
        K("tex.2dms.v4.f32.s32 {%f2,%f3,%f4,%f5}, [%rd2, {%r1,%r1,%r1,%r1}];"),
        K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1,%f1}], {%r1,%r1};"),
        K("sust.p.2d.b32.trap [%rd2, {%r1, %r1}], {%r1};"),
        K("txq.channel_order.b32 %r2, [%rd2];"),
    };
    static const char *const invalid[] = {
        K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1}];"),
        K("tld4.r.3d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%f1,%f1,%f1,%f1}];"),
        K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2, {%rd1,%f1}];"),
        K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}, [%rd2];"),
        K("suld.b.2d.v2.b32.trap {%r2}, [%rd2, {%r1, %r1}];"),
    };

    picture();
    for (unsigned i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        assert_int_equal(run(text[i], 1, HANDLE), 801);
    for (unsigned i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
        assert_int_equal(run(invalid[i], 1, HANDLE), 218);
    assert_int_equal(pf_load_sm(K("tex.2d.v4.f32.f32 {%f2,%f3,%f4,%f5}|, [%rd2, {%f1,%f1}];")),
                     218);
    assert_int_equal(pf_load_sm(K("tex.2d.v4.f32.f32 {%f2}, [%rd2, {%f1,%f1,%f1,%f1,%f1}];")), 218);
    assert_int_equal(pf_load_sm(K("tex.2d.v4.f32.f32 {%f2}, [%rd2, {%f1,%f1];")), 218);
}

#define TEST(n) cmocka_unit_test_setup(n, pf_setup)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(points),
        TEST(address_modes),
        TEST(weights),
        TEST(no_weight),
        TEST(normalized_integers),
        TEST(missing_channels),
        TEST(layers_are_clamped),
        TEST(levels),
        TEST(gathers),
        TEST(stays_in_the_window),
        TEST(instruction_tex),
        TEST(instruction_queries),
        TEST(wrong_handles),
        TEST(freed_memory),
        TEST(surfaces),
        TEST(reductions),
        TEST(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
