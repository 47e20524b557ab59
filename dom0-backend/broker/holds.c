/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/holds.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct hold {
    struct hold *next;
    uint8_t token[SHARE_TOKEN];
    uint64_t bytes;
    const void *owner; /* NULL: gone */
    bool shared;       /* it can still be imported */
    unsigned n, room;
    const void **user; /* compared only; one that holds it twice is there twice */
};

static struct hold *find(const struct holds *h, const uint8_t *token)
{
    struct hold *i;

    for (i = h->list; i && memcmp(i->token, token, SHARE_TOKEN) != 0; i = i->next)
        ;
    return i;
}

static bool add(struct holds *h, struct hold *i, const void *user)
{
    if (h->users >= HOLDS_USERS_MAX)
        return false;
    if (i->n == i->room) {
        unsigned room = i->room ? i->room * 2 : 2;
        const void **p = realloc(i->user, room * sizeof(*p));

        if (!p)
            return false;
        i->user = p;
        i->room = room;
    }
    i->user[i->n++] = user;
    h->users++;
    return true;
}

static void take_out(struct holds *h, struct hold *i, unsigned at)
{
    i->user[at] = i->user[--i->n];
    h->users--;
}

static void sweep(struct holds *h)
{
    for (struct hold **at = &h->list; *at;) {
        struct hold *i = *at;

        if (i->shared || i->n) {
            at = &i->next;
            continue;
        }
        *at = i->next;
        free(i->user);
        free(i);
    }
}

void holds_enter(struct holds *h, const uint8_t token[SHARE_TOKEN], uint64_t bytes,
                 const void *owner)
{
    struct hold *i = bytes ? calloc(1, sizeof(*i)) : NULL;

    if (!i)
        return;
    memcpy(i->token, token, SHARE_TOKEN);
    i->bytes = bytes;
    i->owner = owner;
    i->shared = true;
    i->next = h->list;
    h->list = i;
    add(h, i, owner);
}

void holds_add(struct holds *h, const uint8_t token[SHARE_TOKEN], const void *user)
{
    struct hold *i = find(h, token);

    if (i)
        add(h, i, user);
}

void holds_gone(struct holds *h, const uint8_t token[SHARE_TOKEN], const void *user)
{
    struct hold *i = find(h, token);

    for (unsigned k = 0; i && k < i->n; k++) {
        if (i->user[k] == user) {
            take_out(h, i, k);
            break;
        }
    }
    sweep(h);
}

void holds_unshared(struct holds *h, const uint8_t token[SHARE_TOKEN])
{
    struct hold *i = find(h, token);

    if (i)
        i->shared = false;
    sweep(h);
}

void holds_drop_user(struct holds *h, const void *user)
{
    for (struct hold *i = h->list; i; i = i->next) {
        if (i->owner == user) {
            i->owner = NULL;
            i->shared = false;
        }
        for (unsigned k = i->n; k-- > 0;)
            if (i->user[k] == user)
                take_out(h, i, k);
    }
    sweep(h);
}

uint64_t holds_credit(const struct holds *h)
{
    uint64_t sum = 0;

    for (const struct hold *i = h->list; i; i = i->next)
        if (i->n > 1)
            sum += i->bytes * (i->n - 1);
    return sum;
}

void holds_clear(struct holds *h)
{
    while (h->list) {
        struct hold *i = h->list;

        h->list = i->next;
        free(i->user);
        free(i);
    }
    h->users = 0;
}
