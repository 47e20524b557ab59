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

static struct wk_image *find_locked(struct wk_images *s, const uint8_t *hash)
{
    struct wk_image *i;

    for (i = s->first; i; i = i->next) {
        if (memcmp(i->hash, hash, WK_HASH_LEN) == 0)
            return i;
    }
    return NULL;
}

const struct wk_image *wk_image_keep(struct wk_images *s, uint8_t *data, uint64_t len)
{
    struct wk_image *i = malloc(sizeof(*i));
    struct wk_image *have;

    if (!i || blake2b(i->hash, data, NULL, WK_HASH_LEN, len, 0) != 0) {
        free(i);
        free(data);
        return NULL;
    }
    i->data = data;
    i->len = len;
    pthread_mutex_lock(&s->lock);
    have = find_locked(s, i->hash);
    if (!have && len <= WK_IMAGES_MAX && s->bytes <= WK_IMAGES_MAX - len) {
        s->bytes += len;
        i->next = s->first;
        s->first = i;
        have = i;
    }
    pthread_mutex_unlock(&s->lock);
    if (have != i) {
        free(i);
        free(data);
    }
    return have;
}

const struct wk_image *wk_image_find(struct wk_images *s, const uint8_t hash[WK_HASH_LEN])
{
    const struct wk_image *i;

    pthread_mutex_lock(&s->lock);
    i = find_locked(s, hash);
    pthread_mutex_unlock(&s->lock);
    return i;
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
