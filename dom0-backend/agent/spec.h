/* SPDX-License-Identifier: MIT */
/*
 * spec.h - the text of one vgpu= entry: 'backend=0,device=0,mem=1G,weight=256'. Pure functions.
 */
#ifndef GVM_SPEC_H
#define GVM_SPEC_H

#include <stdint.h>

#define VGPU_SPEC_MAX       1024 /* octets of an entry */
#define VGPU_DEFAULT_WEIGHT 256

struct vgpu_spec {
    char backend[64]; /* domain id or name of the backend domain; "0" */
    char device[64];  /* index or "GPU-<uuid>"; "0" */
    uint64_t mem;     /* bytes, 0: all */
    uint32_t weight;  /* 1..65535 */
};

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

#endif
