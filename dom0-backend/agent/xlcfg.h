/* SPDX-License-Identifier: MIT */
/*
 * xlcfg.h - reads three keys of a domain configuration file in xl's syntax: name, uuid and vgpu.
 * Pure functions on a buffer. Everything else in the file is skipped, whatever it is.
 */
#ifndef GVM_XLCFG_H
#define GVM_XLCFG_H

#include <stddef.h>

#define XLCFG_MAX_VGPU 8
#define XLCFG_MAX_SIZE (1u << 20) /* octets of a file */

struct xlcfg {
    char name[128];                  /* "" if absent */
    char uuid[37];                   /* as it is written; "" if absent or too long for one */
    char vgpu[XLCFG_MAX_VGPU][1025]; /* entries of vgpu = [ ... ] (or one string) */
    unsigned nvgpu;
    unsigned vgpu_lost; /* entries beyond XLCFG_MAX_VGPU, or too long */
};

/*
 * Returns 0; or -EINVAL with a line number and reason in `why` when the file is not in xl's syntax
 * up to where it was read. As in xl, a later setting of a key replaces an earlier one.
 */
int xlcfg_parse(const char *text, size_t len, struct xlcfg *out, char *why, unsigned why_n);

#endif
