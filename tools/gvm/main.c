/* SPDX-License-Identifier: MIT */
/*
 * gvm - the operator's and the user's tool.
 */
#include <stdio.h>
#include <string.h>

#include "gvm_version.h"
#include "tools/gvm/gvm.h"

static const struct {
    const char *name;
    int (*fn)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"run", cmd_run, "run a CUDA program here, without Xen"},
    {"attach", cmd_attach, "give a running domain a vgpu"},
    {"detach", cmd_detach, "take it away again"},
    {"set", cmd_set, "change quota, share and limits of a vgpu in use"},
    {"list", cmd_list, "show domains with vgpus and what they use"},
    {"saved", cmd_saved, "show or remove what is kept of saved domains for their restore"},
    {"top", cmd_top, "what guests and their processes do with their vgpus, live"},
    {"trace", cmd_trace, "show the calls of a domain or process as they are made"},
    {"metrics", cmd_metrics, "print the counters for Prometheus"},
    {"doctor", cmd_doctor, "say what is missing here, and what mends it"},
    {"check", cmd_check, "compare XenStore, or saved xenstore-ls output, with the schema"},
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static void help(FILE *f)
{
    fprintf(f, "usage: gvm COMMAND [OPTION...] [ARGUMENT...]\n");
    for (unsigned i = 0; i < NCOMMANDS; i++)
        fprintf(f, "  %-8s %s\n", commands[i].name, commands[i].what);
    fprintf(f, "gvm COMMAND --help shows the rest, gvm --version the version.\n");
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("gvm %s\n", GVM_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    for (unsigned i = 0; i < NCOMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].fn(argc - 1, argv + 1);
    }
    fprintf(stderr, "gvm: no command %s; there are", argv[1]);
    for (unsigned i = 0; i < NCOMMANDS; i++)
        fprintf(stderr, " %s", commands[i].name);
    fprintf(stderr, "\n");
    return 2;
}
