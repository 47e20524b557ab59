/* SPDX-License-Identifier: MIT */
/* limits.h - what each worker is given of user ids, cgroups and device nodes. */
#ifndef GVM_BROKER_LIMITS_H
#define GVM_BROKER_LIMITS_H

#include "dom0-backend/broker/broker.h"

#define LIMITS_UIDS 1000u /* user ids of workers, from cfg.uid_base */

/* Fills in what confines the worker that is about to be started. 0 or -errno. */
int limits_give(struct worker *w, struct spawn *s);
/* The workers of a guest have become more or fewer: they share its processor time. */
void limits_share(struct broker *b, uint64_t guest);
/* The worker is gone. */
void limits_drop(struct worker *w);

/* Memory of this domain's that the worker may take, for `bytes` more than usual; 0: as usual. */
void limits_park(struct worker *w, uint64_t bytes);

#endif
