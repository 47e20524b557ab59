/* SPDX-License-Identifier: MIT */
/*
 * device_link.h - images with JIT options, the linker, launches with attributes, what the
 * occupancy calls say about clusters, attributes of streams, tensor maps.
 */
#ifndef GVM_DEVICE_LINK_H
#define GVM_DEVICE_LINK_H

#include "dom0-backend/device/device.h"

struct dev_linker;

/* CUjit_option with a number for a value, never a pointer. */
struct dev_jit_option {
    uint32_t id;
    uint32_t value;
};
#define DEV_JIT_MAX 64 /* options of one call */

struct dev_jit {
    const struct dev_jit_option *opt;
    unsigned nopt;
    /* Logs, always ended by a NUL; not wanted when the size is 0. */
    char *info, *error;
    size_t info_max, error_max;
    float wall_ms;    /* out: CU_JIT_WALL_TIME */
    uint32_t threads; /* out: CU_JIT_THREADS_PER_BLOCK */
};

/* CUlaunchAttribute without handles and pointers to the program's memory. */
struct dev_launch_attr {
    uint32_t id;
    uint32_t zero;
    uint8_t value[64];
};
#define DEV_LAUNCH_ATTRS 16

/* CUlaunchAttributeID: those that reach a device. */
enum {
    DEV_ATTR_IGNORE = 0,
    DEV_ATTR_ACCESS_WINDOW = 1, /* u64 base, u64 bytes, f32 ratio, i32 hit, i32 miss */
    DEV_ATTR_COOPERATIVE = 2,
    DEV_ATTR_SYNC_POLICY = 3,
    DEV_ATTR_CLUSTER = 4, /* u32[3] */
    DEV_ATTR_CLUSTER_POLICY = 5,
    DEV_ATTR_SERIALIZATION = 6,
    DEV_ATTR_PRIORITY = 8,
    DEV_ATTR_DOMAIN_MAP = 9, /* u8[2] */
    DEV_ATTR_DOMAIN = 10,
    DEV_ATTR_PREFERRED_CLUSTER = 11, /* u32[3] */
    DEV_ATTR_CARVEOUT = 14,
};

/* Arguments of cuTensorMapEncode*; counts beyond `rank` are not looked at. */
enum dev_tensor_form {
    DEV_TENSOR_TILED,
    DEV_TENSOR_IM2COL,
    DEV_TENSOR_IM2COL_WIDE,
    DEV_TENSOR_MOVE
};
struct dev_tensor_map {
    uint32_t form;
    uint32_t type;
    uint32_t rank;
    uint32_t interleave;
    uint64_t address;
    uint64_t dim[5];
    uint64_t stride[5]; /* rank - 1 of them */
    uint32_t box[5];    /* TILED */
    uint32_t step[5];
    int32_t lower[5], upper[5]; /* IM2COL: rank - 2; IM2COL_WIDE: width only, in [0] */
    uint32_t channels, pixels;
    uint32_t mode; /* IM2COL_WIDE */
    uint32_t swizzle;
    uint32_t promotion;
    uint32_t fill;
};

struct dev_link_ops {
    /* cuModuleLoadDataEx. image as in module_load(). */
    int (*module_load)(struct dev *d, const void *image, size_t n, struct dev_jit *jit,
                       struct dev_module **out);

    /* cuLinkCreate ... cuLinkDestroy. jit: options and the sizes of the logs alone; the linker has
     * buffers of its own. The image belongs to the linker. One linker is used by one thread at a
     * time. */
    int (*link_create)(struct dev *d, const struct dev_jit *jit, struct dev_linker **out);
    int (*link_add)(struct dev *d, struct dev_linker *l, uint32_t type, const void *data, size_t n,
                    const char *name, const struct dev_jit_option *opt, unsigned nopt);
    int (*link_complete)(struct dev *d, struct dev_linker *l, const void **image, size_t *n);
    /* What has been logged so far; never NULL. */
    void (*link_logs)(struct dev_linker *l, const char **info, const char **error);
    int (*link_destroy)(struct dev *d, struct dev_linker *l);

    int (*func_load)(struct dev *d, struct dev_func *f);                    /* cuFuncLoad */
    int (*func_loaded)(struct dev *d, struct dev_func *f, uint32_t *state); /* cuFuncIsLoaded */
    int (*func_cache)(struct dev *d, struct dev_func *f, unsigned config);

    /* launch() with attributes; l->cluster and l->cooperative are not looked at. */
    int (*launch)(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                  const struct dev_launch_attr *attr, unsigned nattr, struct dev_stream *s);
    /* cuOccupancyAvailableDynamicSMemPerBlock */
    int (*shared_available)(struct dev *d, struct dev_func *f, int blocks, int block,
                            uint64_t *bytes);
    /* cuOccupancyMaxActiveClusters; largest: cuOccupancyMaxPotentialClusterSize */
    int (*clusters)(struct dev *d, struct dev_func *f, const struct dev_launch *l,
                    const struct dev_launch_attr *attr, unsigned nattr, bool largest, int *n);

    /* cuStreamGetAttribute, cuStreamSetAttribute, cuStreamCopyAttributes */
    int (*stream_get)(struct dev *d, struct dev_stream *s, int attr, uint8_t value[64]);
    int (*stream_set)(struct dev *d, struct dev_stream *s, int attr, const uint8_t value[64]);
    int (*stream_copy)(struct dev *d, struct dev_stream *dst, struct dev_stream *src);

    int (*reset_l2)(struct dev *d); /* cuCtxResetPersistingL2Cache */

    /* cuTensorMapEncode*, or for DEV_TENSOR_MOVE cuTensorMapReplaceAddress of what is in map. */
    int (*tensor_map)(struct dev *d, const struct dev_tensor_map *t, uint8_t map[128]);
};

#endif
