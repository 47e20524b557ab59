/* SPDX-License-Identifier: MIT */
/*
 * xen.h - what the commands that speak to XenStore share. `cmd`: the command's name, for messages.
 */
#ifndef GVM_TOOL_XEN_H
#define GVM_TOOL_XEN_H

#include <stdbool.h>
#include <stdint.h>
#include <xenstore.h>

/* NULL after one line. */
struct xs_handle *open_xenstore(const char *cmd);
/* False after one line. */
bool find_domain(struct xs_handle *xs, const char *cmd, const char *name, uint32_t *id);
/* For commands without options: -1 to go on with argv[optind]..., or the exit status. */
int only_help(int argc, char **argv, const char *usage, int min, int max);

#endif
