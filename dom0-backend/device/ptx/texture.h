/* SPDX-License-Identifier: MIT */
/*
 * texture.h - texture and surface objects as kernels see them, and the sampler.
 *
 * Semantics: CUDA programming guide, "Texture Fetching". Weights of linear filtering have 8
 * fractional bits, as in hardware; sums of weighted texels are exact here before they are rounded
 * to single precision, which hardware does not promise.
 */
#ifndef GVM_PTX_TEXTURE_H
#define GVM_PTX_TEXTURE_H

#include "ptx.h"

#define TEX_MAX_LEVELS 18u /* of 131072 elements */

enum tex_elem { TE_UINT, TE_SINT, TE_FLOAT, TE_UNORM, TE_SNORM };
enum tex_address { TA_WRAP, TA_CLAMP, TA_MIRROR, TA_BORDER }; /* CUaddress_mode */
enum tex_shape { TS_1D, TS_2D, TS_3D, TS_CUBE };

/* One mipmap level. Addresses are brought into the device's window at each access, so that wrong
 * numbers cannot reach anything else. */
struct tex_level {
    uint64_t addr;
    uint64_t pitch, slice; /* octets from row to row, from slice or layer to slice or layer */
    uint32_t width, height, depth;
};

struct ptx_tex {
    uint64_t handle;
    bool surface;
    enum tex_shape shape;
    bool layered;
    bool linear_memory; /* integer coordinates outside it give 0 */
    uint32_t layers;    /* cube maps: 6 each */
    enum tex_elem elem;
    uint8_t bits; /* of a channel: 8, 16, 32 */
    uint8_t channels;
    uint8_t bytes; /* of an element */
    bool as_float; /* integers are read as [0, 1] or [-1, 1] */
    bool srgb;
    bool normalized; /* coordinates */
    bool linear;     /* filter */
    bool mip_linear;
    bool seamless; /* cube maps */
    uint8_t address[3];
    float bias, min_lod, max_lod;
    uint32_t border[4]; /* bits of floats */
    uint32_t nlevel;
    struct tex_level level[TEX_MAX_LEVELS];
};

/* Where to look. Integer coordinates (xi) name texels. */
struct tex_where {
    bool integer;
    int32_t xi[3];
    float x[3]; /* cube maps: a direction */
    int32_t layer;
    bool has_lod;
    float lod;
};

/* Texel under filters and address modes; integers, or bits of floats. */
void tex_sample(const struct ptx_tex *t, const struct ptx_mem *m, const struct tex_where *w,
                uint32_t out[4]);
/* Channel `comp` of the four texels that linear filtering would use: (0,1) (1,1) (1,0) (0,0). */
void tex_gather(const struct ptx_tex *t, const struct ptx_mem *m, const struct tex_where *w,
                unsigned comp, uint32_t out[4]);
/* Level of detail for gradients per step of x and y on the screen. */
float tex_grad_lod(const struct ptx_tex *t, const float *x, const float *dx, const float *dy);

/* Host address of an access of n octets at octet x of row y of slice or layer z, where `clamp`
 * moves it inside. NULL: outside. */
void *tex_surface(const struct ptx_tex *t, const struct ptx_mem *m, int32_t x, int32_t y, int32_t z,
                  uint32_t n, bool clamp);

#endif
