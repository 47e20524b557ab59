/* SPDX-License-Identifier: MIT */
#include "dom0-backend/worker/image.h"

#include <blake2.h>
#include <stdlib.h>
#include <string.h>

void wk_images_init(struct wk_images *s)
{
    memset(s, 0, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
}

void wk_images_fini(struct wk_images *s)
{
    while (s->first) {
        struct wk_image *i = s->first;

        s->first = i->next;
        free(i->data);
        free(i);
    }
    pthread_mutex_destroy(&s->lock);
}

void wk_image_keep(struct wk_images *s, uint8_t *data, uint64_t len)
{
    struct wk_image *i = calloc(1, sizeof(*i));
    bool fits = false;

    pthread_mutex_lock(&s->lock);
    if (i && len <= WK_IMAGES_MAX && s->bytes <= WK_IMAGES_MAX - len) {
        *i = (struct wk_image){.next = s->first, .len = len, .data = data};
        s->bytes += len;
        s->first = i;
        fits = true;
    }
    pthread_mutex_unlock(&s->lock);
    if (!fits) {
        free(i);
        free(data);
    }
}

/* An image that came without having been asked for may be there twice. Lock held. */
static void take_hash(struct wk_images *s, struct wk_image **at)
{
    struct wk_image *i = *at;

    if (blake2b(i->hash, i->data, NULL, WK_HASH_LEN, i->len, 0) != 0)
        return;
    i->hashed = true;
    for (struct wk_image *k = s->first; k; k = k->next) {
        if (k == i || !k->hashed || memcmp(k->hash, i->hash, WK_HASH_LEN) != 0)
            continue;
        *at = i->next;
        s->bytes -= i->len;
        free(i->data);
        free(i);
        return;
    }
}

const struct wk_image *wk_image_find(struct wk_images *s, const uint8_t hash[WK_HASH_LEN])
{
    const struct wk_image *found = NULL;

    pthread_mutex_lock(&s->lock);
    for (struct wk_image **at = &s->first; *at;) {
        struct wk_image *i = *at;

        if (!i->hashed)
            take_hash(s, at);
        if (*at != i)
            continue;
        if (i->hashed && memcmp(i->hash, hash, WK_HASH_LEN) == 0)
            found = i;
        at = &i->next;
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

int wk_image_charge(struct wk_images *s, uint64_t len)
{
    int err = -1;

    pthread_mutex_lock(&s->lock);
    if (len <= WK_IMAGES_MAX && s->loaded <= WK_IMAGES_MAX - len) {
        s->loaded += len;
        err = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return err;
}

void wk_image_uncharge(struct wk_images *s, uint64_t len)
{
    pthread_mutex_lock(&s->lock);
    s->loaded -= len;
    pthread_mutex_unlock(&s->lock);
}
