/* SPDX-License-Identifier: MIT */
/* device_array.h - inside of the software device: arrays as textures use them. */
#ifndef GVM_PTX_DEVICE_ARRAY_H
#define GVM_PTX_DEVICE_ARRAY_H

#include "dom0-backend/device/ptx/device_int.h"

/* CUDA_ARRAY3D_* */
#define ARRAY_LAYERED  0x01u
#define ARRAY_SURFACE  0x02u
#define ARRAY_CUBEMAP  0x04u
#define ARRAY_GATHER   0x08u
#define ARRAY_DEPTH    0x10u
#define ARRAY_COLOR    0x20u
#define ARRAY_SPARSE   0x40u
#define ARRAY_DEFERRED 0x80u

struct format {
    enum tex_elem elem;
    uint8_t bits, channels;
};
/* CUarray_format and channels; false: not such a pair. */
bool format_of(uint32_t format, uint32_t channels, struct format *f);
static inline unsigned format_bytes(const struct format *f)
{
    return f->bits / 8u * f->channels;
}

/* The memory of an array, of all levels of a mipmapped one. */
struct storage {
    _Atomic unsigned refs;
    uint64_t addr;
};
void storage_get(struct storage *s);
void storage_put(struct dev *d, struct storage *s);

struct dev_array {
    struct storage *storage;
    struct format format;
    enum tex_shape shape;
    bool layered;
    uint32_t layers; /* cube maps: 6 each */
    struct tex_level level;
};

struct dev_mipmap {
    struct storage *storage;
    uint32_t n;
    struct dev_array level[TEX_MAX_LEVELS];
};

int swdev_array_create(struct dev *d, const struct dev_array_desc *q, struct dev_array **out);
int swdev_array_destroy(struct dev *d, struct dev_array *a);
int swdev_mipmap_create(struct dev *d, const struct dev_array_desc *q, uint32_t levels,
                        struct dev_mipmap **out);
int swdev_mipmap_destroy(struct dev *d, struct dev_mipmap *m);
int swdev_mipmap_level(struct dev *d, struct dev_mipmap *m, uint32_t level, struct dev_array **out);

#endif
