/* SPDX-License-Identifier: MIT */
/*
 * check.h - compares XenStore nodes with vgpu.schema. Pure: nodes go in, violations come out.
 */
#ifndef GVM_CHECK_H
#define GVM_CHECK_H

#include <stddef.h>

struct check;

/* One violation: the node's path, its value ("" if it is absent), what is allowed instead. */
typedef void check_report(void *arg, const char *path, const char *value, const char *allowed);

struct check *check_new(void); /* NULL: out of memory */
void check_free(struct check *c);

/*
 * Adds a node. Nodes outside of vgpu directories are ignored. perms: as `xenstore-ls -p` shows it
 * without parentheses ("n0,r5"), or NULL: not known. 0, -ENOMEM, or -E2BIG beyond
 * 8192 nodes.
 */
int check_add(struct check *c, const char *path, const char *value, const char *perms);

/* Adds all lines of `xenstore-ls -f` (or -fp) output. Lines of another form are counted in *other.
 * 0, -ENOMEM or -E2BIG. */
int check_add_text(struct check *c, const char *text, size_t len, unsigned *other);

/* Number of device directories that were found (both ends counted). */
unsigned check_dirs(const struct check *c);

/* Reports each violation; returns their number. */
unsigned check_run(struct check *c, check_report *report, void *arg);

#endif
