/* SPDX-License-Identifier: MIT */
/*
 * gvm.h - the subcommands of the gvm tool. Each gets its own argv (argv[0] is its name) and returns
 * the exit status: 0 good, 1 it failed or found something, 2 wrong usage.
 */
#ifndef GVM_TOOL_H
#define GVM_TOOL_H

int cmd_run(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_saved(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_check(int argc, char **argv);

/* ---- elf.c */

/*
 * Looks at a program file. Returns a line for the user (static, no newline) if it is a CUDA program
 * with a runtime of its own inside (nvcc's default, -cudart static), which cannot run here; NULL if
 * it may be started. What is not an ELF file may be started.
 */
const char *elf_why_not(const char *path);

#endif
