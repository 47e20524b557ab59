/* SPDX-License-Identifier: MIT */
#include "dom0-backend/broker/backoff.h"

static double distance(const struct backoff *b)
{
    double d = BACKOFF_FIRST;

    for (unsigned i = BACKOFF_FREE; i < b->fails && d < BACKOFF_MOST; i++)
        d *= 2;
    return b->fails < BACKOFF_FREE ? 0 : d < BACKOFF_MOST ? d : BACKOFF_MOST;
}

double backoff_wait(struct backoff *b, double now)
{
    double at;

    if (b->last > now) /* the clock was set back */
        b->last = now;
    at = b->last + distance(b);

    if (b->fails >= BACKOFF_FREE && now < at)
        return at - now;
    b->last = now;
    return 0;
}

bool backoff_failed(struct backoff *b)
{
    if (b->fails < BACKOFF_FREE + 16)
        b->fails++;
    else
        return false;
    return b->fails == BACKOFF_FREE;
}

bool backoff_good(struct backoff *b)
{
    bool waited = b->fails >= BACKOFF_FREE;

    b->fails = 0;
    return waited;
}
