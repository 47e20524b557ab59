/* SPDX-License-Identifier: MIT */
/*
 * find.h - finds the xl configuration file of a domain by the domain's name.
 */
#ifndef GVM_FIND_H
#define GVM_FIND_H

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/xlcfg.h"

/*
 * Looks at every plain file in the directories of `conf`. Returns the number of different files
 * whose `name` is `name`; with 1 fills `cfg` and `path`, with more lists them in `path`. The same
 * file by two ways (a link in /etc/xen/auto) counts once.
 */
unsigned find_config(const struct gvm_conf *conf, const char *name, struct xlcfg *cfg, char *path,
                     unsigned path_n);

#endif
