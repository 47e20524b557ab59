/* SPDX-License-Identifier: MIT */
/*
 * spec.h - the text of one vgpu= entry: 'backend=0,device=0,mem=1G,weight=256,cap=50'. Pure
 * functions.
 */
#ifndef GVM_SPEC_H
#define GVM_SPEC_H

#include <stdint.h>

#define VGPU_SPEC_MAX       1024 /* octets of an entry */
#define VGPU_DEFAULT_WEIGHT 256
#define VGPU_PROFILE_MAX    31 /* octets of a profile's name */

struct vgpu_spec {
    char backend[64];   /* domain id or name of the backend domain; "0" */
    char device[64];    /* index or "GPU-<uuid>"; "0" */
    uint64_t mem;       /* bytes, 0: all */
    uint32_t weight;    /* 1..65535 */
    uint32_t cap;       /* per cent of GPU time at most, 0..100; 0: no limit */
    uint32_t processes; /* guest processes at a time, 1..256; 0: max_channels of gvm.conf */
    char profile[VGPU_PROFILE_MAX + 1]; /* "": none */
    unsigned given;                     /* VGPU_GIVEN_*: what the text sets */
};

/* Keys in vgpu_spec.given. */
#define VGPU_GIVEN_BACKEND   (1u << 0)
#define VGPU_GIVEN_DEVICE    (1u << 1)
#define VGPU_GIVEN_MEM       (1u << 2)
#define VGPU_GIVEN_WEIGHT    (1u << 3)
#define VGPU_GIVEN_CAP       (1u << 4)
#define VGPU_GIVEN_PROCESSES (1u << 5)
#define VGPU_GIVEN_PROFILE   (1u << 6)
/* What may change while a device is in use, and what a profile may hold. */
#define VGPU_GIVEN_LIVE (VGPU_GIVEN_MEM | VGPU_GIVEN_WEIGHT | VGPU_GIVEN_CAP | VGPU_GIVEN_PROCESSES)

/*
 * A size: a decimal number, perhaps followed by K, M, G or T (powers of 1024, either case).
 * Returns 0, or -EINVAL (not of this form) or -ERANGE (2^63 or more).
 */
int vgpu_size_parse(const char *text, uint64_t *bytes);

/*
 * Parses an entry into `out`, with defaults for absent keys. Returns 0; or -EINVAL with one line in
 * `why` that names the key or value and what is allowed.
 */
int vgpu_spec_parse(const char *text, struct vgpu_spec *out, char *why, unsigned why_n);

/* Letters, digits, '_', '.' and '-', 1..VGPU_PROFILE_MAX of them. */
int vgpu_profile_name_ok(const char *name);

/* Takes those of the keys `which` (VGPU_GIVEN_*) that `from` gives over into `to`. */
void vgpu_spec_take(struct vgpu_spec *to, const struct vgpu_spec *from, unsigned which);

/* The entry that stands for `spec`, without its profile; `n` >= 256. Parsing it gives the same. */
void vgpu_spec_format(const struct vgpu_spec *spec, char *buf, unsigned n);

#endif
