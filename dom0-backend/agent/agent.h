/* SPDX-License-Identifier: MIT */
/*
 * agent.h - the toolstack's half, in dom0: gives new domains the vgpus that their configuration
 * names, and removes what dead ones leave. It talks with the broker through XenStore only.
 */
#ifndef GVM_AGENT_H
#define GVM_AGENT_H

#include <ev.h>

#include "dom0-backend/agent/conf.h"

/* Takes over the domains that are there, and watches. 0, or -1 after one line in the log. */
int agent_start(struct ev_loop *loop, const struct gvm_conf *conf);
void agent_stop(struct ev_loop *loop);

/* Reads the configuration file; complaints and a missing file are logged, defaults stay. */
void conf_load(const char *path, struct gvm_conf *c);

#endif
