/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/log.h"

static struct wk_stats no_stats;

int wk_init(struct wk *w, const struct dev_ops *ops, struct dev *dev, void *base, uint32_t order,
            struct wk_stats *stats)
{
    w->ops = ops;
    w->dev = dev;
    w->stats = stats ? stats : &no_stats;
    vgpu_channel_init(&w->ch, base, order);
    w->cons.ch = &w->ch;
    if (!w->tenant)
        wk_account_init(w);
    pthread_mutex_init(&w->chunk_lock, NULL);
    pthread_cond_init(&w->chunk_idle, NULL);
    pthread_mutex_init(&w->flow_lock, NULL);
    pthread_cond_init(&w->flow_moved, NULL);
    pthread_mutex_init(&w->out_lock, NULL);
    wk_images_init(&w->images);
    wk_upcalls_init(&w->upcalls);
    wk_shares_init(&w->shares);
    if (wk_quiet_init(w) < 0)
        return -ENOMEM;
    if (wk_objects_init(&w->objs) < 0)
        return -ENOMEM;
    w->lanes = calloc(VGPU_LANES, sizeof(*w->lanes));
    w->legacy = calloc(1, sizeof(*w->legacy));
    w->out = malloc(WK_OUTPUT_MAX);
    /* 16 octets more, so that the decoder can end a string that fills the record. */
    w->rec = aligned_alloc(16, VGPU_REC_MAX + 16);
    w->direct =
        ops->channel_add &&
        ops->channel_add(dev, w->ch.replies,
                         (size_t)(VGPU_CH_RING_PAGE - VGPU_CH_REPLY_PAGE) * VGPU_PAGE_SIZE) == 0;
    w->fetch = ops->landing ? ops->landing(dev, VGPU_LANES * WK_FETCH_MAX) : NULL;
    w->landing = w->fetch != NULL;
    if (!w->fetch)
        w->fetch = calloc(VGPU_LANES, WK_FETCH_MAX);
    if (!w->lanes || !w->legacy || !w->out || !w->rec || !w->fetch)
        return -ENOMEM;
    w->legacy->w = w;
    w->legacy->o.kind = WK_OBJ_STREAM;
    w->legacy->o.refs = 1;
    for (uint32_t i = 0; i < VGPU_LANES; i++) {
        struct wk_lane *l = &w->lanes[i];

        l->w = w;
        l->index = i;
        l->fetch = w->fetch + i * WK_FETCH_MAX;
        pthread_mutex_init(&l->lock, NULL);
        pthread_cond_init(&l->wake, NULL);
    }
    VGPU_STORE(&w->ch.back->sticky, atomic_load(&w->sticky));
    VGPU_STORE_RELEASE(&w->ch.back->alive, (uint8_t)1);
    return 0;
}

void wk_fini(struct wk *w)
{
    if (w->lanes) {
        for (uint32_t i = 0; i < VGPU_LANES; i++) {
            if (w->lanes[i].own)
                wk_obj_release(w, &w->lanes[i].own->o);
            free(w->lanes[i].rec);
        }
    }
    wk_objects_fini(w);
    wk_images_fini(&w->images);
    wk_upcalls_fini(&w->upcalls);
    wk_shares_fini(&w->shares);
    free(w->lanes);
    free(w->legacy);
    free(w->out);
    if (!w->landing)
        free(w->fetch);
    free(w->rec);
}

void wk_notify(struct wk *w)
{
    if (!w->tr.ops)
        return;
    wk_count(w, doorbells_out, 1);
    w->tr.ops->notify(&w->tr);
}

void wk_notify_waiters(struct wk *w)
{
    struct vgpu_ch_front *f = w->ch.front;

    VGPU_FENCE();
    for (uint32_t i = 0; i < VGPU_LANES; i++) {
        if (VGPU_LOAD(&f->waiting[i])) {
            wk_notify(w); /* one event reaches all of them */
            return;
        }
    }
}

void wk_on_fault(void *arg, int err, const char *what)
{
    struct wk *w = arg;
    uint32_t none = 0;
    char line[192];

    if (!atomic_compare_exchange_strong(&w->sticky, &none, (uint32_t)err))
        return;
    snprintf(line, sizeof(line), "CUDA error %d: %s", err, what);
    if (w->report)
        w->report(w, line);
    else
        log_warn("%s", line);
    if (w->stats)
        wk_gauge(w, sticky, err);
    if (!w->ch.back)
        return; /* not assigned yet; wk_init() publishes it */
    VGPU_STORE_RELEASE(&w->ch.back->sticky, (uint32_t)err);
    VGPU_FENCE();
    wk_upcalls_fault(w);
    wk_notify(w); /* also a guest that is about to sleep must see it: no look at waiting[] */
}

void wk_on_output(void *arg, int fd, const char *text, size_t n)
{
    struct wk *w = arg;

    if (!w->out)
        return;
    pthread_mutex_lock(&w->out_lock);
    while (n) {
        uint16_t len = (uint16_t)(n < 4096 ? n : 4096);
        uint8_t *p = w->out + w->out_len;

        if (WK_OUTPUT_MAX - w->out_len < 4u + len) {
            /* As on a GPU, where the printf buffer has a fixed size too. */
            if (w->out_lost == 0)
                log_warn("kernels print more than the guest fetches: text beyond %u octets is lost",
                         WK_OUTPUT_MAX);
            w->out_lost += n;
            break;
        }
        p[0] = (uint8_t)fd;
        p[1] = 0;
        memcpy(p + 2, &len, sizeof(len));
        memcpy(p + 4, text, len);
        w->out_len += 4u + len;
        text += len;
        n -= len;
    }
    if (w->out_len)
        VGPU_STORE_RELEASE(&w->ch.back->output, 1u);
    pthread_mutex_unlock(&w->out_lock);
}
