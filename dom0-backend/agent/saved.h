/* SPDX-License-Identifier: MIT */
/*
 * saved.h - accepted vgpu= entries by domain UUID, in state_dir: what a domain gets again after a
 * reboot. A file has one line per device: its number, a space, the entry.
 */
#ifndef GVM_SAVED_H
#define GVM_SAVED_H

#include <stdbool.h>
#include <stdint.h>

#include "dom0-backend/agent/nodes.h"

struct saved {
    bool has[VGPU_MAX_DEVICES];
    char spec[VGPU_MAX_DEVICES][VGPU_SPEC_MAX + 1];
};

/* 0; -ENOENT; another -errno, after one line in the log. Lines of another form are skipped. */
int saved_load(const char *dir, const char *uuid, struct saved *s);
/* Replaces the file; without any device removes it. 0 or -errno after one line. */
int saved_store(const char *dir, const char *uuid, const struct saved *s);
/* Parses the text of such a file; pure. */
void saved_parse(const char *text, unsigned len, struct saved *s);

#endif
