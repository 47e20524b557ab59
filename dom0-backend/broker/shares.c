/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/shares.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static void give_back(int fd)
{
    if (fd >= 0)
        close(fd);
}

int shares_add(struct shares *t, struct share *s)
{
    struct share *copy = NULL;
    unsigned most = t->most && t->most < SHARES_MAX ? t->most : SHARES_MAX, n = 0;
    int err = 0;

    for (const struct share *i = t->list; i; i = i->next)
        n += i->guest == s->guest;
    if (n >= SHARES_GUEST_MAX || t->n >= most)
        err = -ENOSPC;
    else if (getrandom(s->token, sizeof(s->token), 0) != (ssize_t)sizeof(s->token))
        err = -EIO;
    if (!err) {
        copy = malloc(sizeof(*copy));
        err = copy ? 0 : -ENOMEM;
    }
    if (err) {
        give_back(s->fd);
        return err;
    }
    *copy = *s;
    copy->next = t->list;
    t->list = copy;
    t->n++;
    return 0;
}

const struct share *shares_find(const struct shares *t, uint64_t guest, uint32_t kind,
                                const char *device, const uint8_t *token)
{
    for (const struct share *s = t->list; s; s = s->next) {
        /* Other guests' tokens are not even looked at: how long that takes tells nothing. */
        if (s->guest != guest || s->kind != kind)
            continue;
        if (memcmp(s->token, token, SHARE_TOKEN) == 0)
            return strcmp(s->device, device) == 0 ? s : NULL;
    }
    return NULL;
}

static void drop_at(struct shares *t, struct share **at)
{
    struct share *s = *at;

    *at = s->next;
    t->n--;
    give_back(s->fd);
    free(s);
}

bool shares_drop(struct shares *t, const void *owner, const uint8_t *token)
{
    for (struct share **at = &t->list; *at; at = &(*at)->next) {
        if ((*at)->owner == owner && memcmp((*at)->token, token, SHARE_TOKEN) == 0) {
            drop_at(t, at);
            return true;
        }
    }
    return false;
}

void shares_drop_owner(struct shares *t, const void *owner)
{
    for (struct share **at = &t->list; *at;) {
        if ((*at)->owner == owner)
            drop_at(t, at);
        else
            at = &(*at)->next;
    }
}
