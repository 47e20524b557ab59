/* SPDX-License-Identifier: MIT */
/*
 * holds.h - which processes of a guest hold the same device memory. Each worker counts what it holds in
 * its own slot of the guest's page (transport/tenant.h), what it has imported included; here is how
 * much of that is counted more than once, which the page's sum leaves out. Knows neither sockets nor
 * workers.
 *
 * Who is going to let go says so before it counts less. What is not known here, after a restart of the
 * broker say, is counted for each process that holds it: rather too much than too little.
 */
#ifndef GVM_HOLDS_H
#define GVM_HOLDS_H

#include <stdint.h>

#include "dom0-backend/broker/shares.h"

#define HOLDS_USERS_MAX 65536u /* of one guest; what is beyond is counted each time */

struct hold;
struct holds { /* of one guest's device; zeroed: none */
    struct hold *list;
    unsigned users;
};

/* `owner` exports what counts as `bytes` with it, and with each process that imports it. */
void holds_enter(struct holds *h, const uint8_t token[SHARE_TOKEN], uint64_t bytes,
                 const void *owner);
/* `user` imports it, once more if it has it already. */
void holds_add(struct holds *h, const uint8_t token[SHARE_TOKEN], const void *user);
/* `user`, the owner or one that has imported it, counts it once less. */
void holds_gone(struct holds *h, const uint8_t token[SHARE_TOKEN], const void *user);
/* Nobody can import it any more. */
void holds_unshared(struct holds *h, const uint8_t token[SHARE_TOKEN]);
/* `user` counts nothing any more, and what it has exported nobody can import. */
void holds_drop_user(struct holds *h, const void *user);
/* Octets that are counted more than once. */
uint64_t holds_credit(const struct holds *h);
void holds_clear(struct holds *h);

#endif
