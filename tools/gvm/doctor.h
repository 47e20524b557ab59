/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - gvm doctor: one line for each thing looked at, and the command that mends what is wrong.
 *   doctor.c         which kind of machine this is, and what all checks use
 *   doctor_back.c    dom0 and driver domains: Xen, gvm-backd, budgets
 *   doctor_gpu.c     the GPU and NVIDIA's driver, with its known obstacles under Xen
 *   doctor_guest.c   guests: device, module, permissions, libraries
 */
#ifndef GVM_TOOL_DOCTOR_H
#define GVM_TOOL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum doctor_role { DOC_DOM0, DOC_BACKEND, DOC_GUEST, DOC_LOCAL };

struct doctor {
    const char *root; /* "" : this machine; else a folder that stands for its root directory */
    enum doctor_role role;
    bool pv; /* this domain has PV page tables */
    unsigned good, warned, bad;
};

/* Nothing runs that is not on disk under `root`: sockets, XenStore and libraries are left out. */
static inline bool doc_live(const struct doctor *d)
{
    return !d->root[0];
}

/* What was looked at, and what was found. `mend` NULL: nothing can be typed. */
void doc_good(struct doctor *d, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Works, but not as it could, or not for long. */
void doc_warn(struct doctor *d, const char *what, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* CUDA programs cannot work like this. */
void doc_bad(struct doctor *d, const char *what, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

bool doc_exists(const struct doctor *d, const char *path);
/* The file's first n - 1 octets, without the newline at the end; false: it cannot be read. */
bool doc_read(const struct doctor *d, const char *path, char *buf, size_t n);
/* Built in, or loaded. */
bool doc_module(const struct doctor *d, const char *name);
/* Is there a NAME.ko for the running kernel? */
bool doc_module_file(const struct doctor *d, const char *name);
/* uname -r, or of the only folder in root/lib/modules. */
const char *doc_kernel(const struct doctor *d);
/* A file of the first of these names that exists; NULL: none. Ends with a NULL. */
const char *doc_first(const struct doctor *d, const char *const *paths);
/* The number after `key` in a file of "Key:   123 kB" lines, in the file's unit; false: none. */
bool doc_field(const struct doctor *d, const char *path, const char *key, uint64_t *out);

void doctor_back(struct doctor *d);
void doctor_gpu(struct doctor *d);
void doctor_guest(struct doctor *d);
/* libcuda.so.1 and the others as a program finds them. */
void doctor_libs(struct doctor *d);

#endif
