/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/device/ptx/device_int.h"

struct out_piece {
    struct out_piece *next;
    int fd;
    size_t n;
    char text[];
};

void output_init(struct output *o)
{
    memset(o, 0, sizeof(*o));
    pthread_mutex_init(&o->lock, NULL);
    o->tail = &o->head;
}

void output_fini(struct output *o)
{
    while (o->head) {
        struct out_piece *p = o->head;

        o->head = p->next;
        free(p);
    }
    pthread_mutex_destroy(&o->lock);
}

void output_put(struct output *o, size_t limit, int fd, const char *text, size_t n)
{
    struct out_piece *old = NULL, *p;
    bool say = false;

    if (!n || n > limit)
        return;
    p = malloc(sizeof(*p) + n);
    if (!p)
        return;
    p->next = NULL;
    p->fd = fd;
    p->n = n;
    memcpy(p->text, text, n);
    pthread_mutex_lock(&o->lock);
    while (o->head && o->bytes + n > limit) {
        old = o->head;
        o->head = old->next;
        if (!o->head)
            o->tail = &o->head;
        o->bytes -= old->n;
        free(old);
        say = !o->lost;
        o->lost = true;
    }
    *o->tail = p;
    o->tail = &p->next;
    o->bytes += n;
    pthread_mutex_unlock(&o->lock);
    if (say)
        log_warn("a kernel prints more than cudaLimitPrintfFifoSize, %zu bytes: the oldest is lost",
                 limit);
}

void output_deliver(struct dev *d)
{
    struct output *o = &d->out;
    struct out_piece *p;

    pthread_mutex_lock(&o->lock);
    p = o->head;
    o->head = NULL;
    o->tail = &o->head;
    o->bytes = 0;
    pthread_mutex_unlock(&o->lock);
    while (p) {
        struct out_piece *next = p->next;

        if (d->cfg.on_output)
            d->cfg.on_output(d->cfg.arg, p->fd, p->text, p->n);
        free(p);
        p = next;
    }
}
