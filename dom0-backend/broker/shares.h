/* SPDX-License-Identifier: MIT */
/*
 * shares.h - what processes of a guest have exported to the other processes of the same guest: who
 * may find what. Knows neither sockets nor workers.
 *
 * A token is 16 random octets. It finds something only together with the number of the guest that
 * it was minted for, the kind, and the device, so that one that was guessed, altered, or carried to
 * another guest finds nothing.
 */
#ifndef GVM_SHARES_H
#define GVM_SHARES_H

#include <stdbool.h>
#include <stdint.h>

#define SHARES_GUEST_MAX 4096u /* of one guest: each may hold a descriptor */
#define SHARES_MAX       16384u
#define SHARE_TOKEN      16

struct share {
    struct share *next;
    uint64_t guest;
    const void *owner; /* whoever exported it; compared only */
    char device[64];
    uint32_t kind;
    int fd; /* -1: none */
    uint8_t token[SHARE_TOKEN];
    uint64_t meta[8];
};

struct shares {
    struct share *list;
    unsigned n;
    unsigned most; /* fewer than SHARES_MAX, where there are few descriptors; 0: SHARES_MAX */
};

/* Enters a copy of *s under a new token, which is set in s->token. Takes s->fd over, also on failure:
 * -ENOSPC: the guest has SHARES_GUEST_MAX, or all together as many as there may be; -ENOMEM; -EIO: no random
 * numbers. */
int shares_add(struct shares *t, struct share *s);
/* NULL: this guest has exported nothing of this kind, on this device, under this token. */
const struct share *shares_find(const struct shares *t, uint64_t guest, uint32_t kind,
                                const char *device, const uint8_t *token);
/* Forgets what `owner` has exported under the token, and whether it has; what others have opened
 * stays. */
bool shares_drop(struct shares *t, const void *owner, const uint8_t *token);
/* All that `owner` has exported. */
void shares_drop_owner(struct shares *t, const void *owner);

#endif
