/* SPDX-License-Identifier: MIT */
/*
 * conf.h - /etc/gvm/gvm.conf: lines of `key = value`, '#' starts a comment. gvm_conf_parse() is
 * pure.
 */
#ifndef GVM_CONF_H
#define GVM_CONF_H

#include <stddef.h>
#include <stdint.h>

#include "dom0-backend/agent/spec.h"

#define GVM_CONF_FILE         "/etc/gvm/gvm.conf"
#define GVM_CONF_MAX_DIRS     8
#define GVM_CONF_MAX_PROFILES 32

/* `profile NAME = mem=8G, weight=256, cap=50, processes=4`: what profile=NAME in a vgpu= entry
 * stands for, where the entry itself does not say. */
struct gvm_profile {
    char name[VGPU_PROFILE_MAX + 1];
    struct vgpu_spec spec;
};

struct gvm_conf {
    char config_dirs[GVM_CONF_MAX_DIRS][256]; /* where xl's files are looked for by name */
    unsigned nconfig_dirs;
    uint32_t agent;            /* 0: the toolstack makes vgpus itself (packaging/xen) */
    char run_dir[64];          /* sockets of workers and of the daemon */
    char state_dir[128];       /* accepted vgpu= entries by domain UUID, states of saved domains */
    unsigned state_days;       /* for which what is in it and not in use is kept; 0: for ever */
    unsigned warm_workers;     /* kept ready per device in use */
    unsigned threads;          /* CPU threads of the software device per worker, 0: all */
    uint32_t spin_us;          /* how long a worker polls before it sleeps */
    uint32_t slice_us;         /* how long a guest has a GPU while others want it */
    char mps[101];             /* directory of an MPS control daemon, "": none */
    uint32_t max_kernel_s;     /* how long work may keep a GPU from other guests */
    uint32_t longest_kernel_s; /* how long a kernel may take on the software device */
    uint32_t suspend_wait_s;   /* how long work may take to end when a guest is suspended */
    char kind[12];             /* "ptx", "cuda" or "ptx-held"; "": the worker's default */
    char log_level[8];
    uint32_t max_channels;   /* guest processes at a time per device */
    uint64_t max_pages;      /* 4 KiB pages per device */
    uint64_t max_host_pages; /* of all guests together: shared with disks and network cards */
    uint32_t uid_base;       /* workers run as uid_base .. uid_base + 999; 0: as gvm-backd */
    uint32_t worker_memory;  /* MiB of this domain's memory that a worker may take, 0: no limit */
    struct gvm_profile profiles[GVM_CONF_MAX_PROFILES];
    unsigned nprofiles;
};

void gvm_conf_default(struct gvm_conf *c);

/*
 * Reads the text of a configuration file. For each line that is not understood calls
 * complain(arg, line number, text); such a line changes nothing. Returns the number of complaints.
 */
unsigned gvm_conf_parse(const char *text, size_t len, struct gvm_conf *c,
                        void (*complain)(void *arg, unsigned line, const char *text), void *arg);

/*
 * vgpu_spec_parse(), and what the entry's profile says where it is silent. 0, or -EINVAL with one
 * line in `why`, also for a profile that `c` does not have.
 */
int gvm_conf_spec(const struct gvm_conf *c, const char *text, struct vgpu_spec *out, char *why,
                  unsigned why_n);

/* Defaults, changed by the file if it is there; for tools: the daemon is the one that complains. */
void gvm_conf_load_file(const char *path, struct gvm_conf *c);

#endif
