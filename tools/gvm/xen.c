/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include "tools/gvm/gvm.h"
static int later(const char *n) { fprintf(stderr, "gvm %s: needs Xen\n", n); return 1; }
int cmd_attach(int argc, char **argv) { return later(argv[0]); }
int cmd_detach(int argc, char **argv) { return later(argv[0]); }
int cmd_list(int argc, char **argv) { return later(argv[0]); }
int cmd_check(int argc, char **argv) { return later(argv[0]); }
