/* SPDX-License-Identifier: MIT */
/*
 * image.h - module images already sent by the guest process, found by the hash of their content.
 */
#ifndef GVM_WORKER_IMAGE_H
#define GVM_WORKER_IMAGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define WK_HASH_LEN   32           /* BLAKE2b-256 */
#define WK_IMAGES_MAX (512u << 20) /* octets kept, and octets charged for loaded modules */
/* Charged for a module beside its image, so that there are 16,000 at most: one of a single small kernel
 * takes 14 KiB on the software device. */
#define WK_MODULE_OWN (32u << 10)

struct wk_image {
    struct wk_image *next;
    uint8_t hash[WK_HASH_LEN];
    bool hashed; /* when somebody first asks for an image by its hash */
    uint64_t len;
    uint8_t *data;
};

struct wk_images {
    pthread_mutex_t lock;
    struct wk_image *first;
    uint64_t bytes;  /* kept */
    uint64_t loaded; /* octets of images behind modules that are loaded now */
};

void wk_images_init(struct wk_images *s);
void wk_images_fini(struct wk_images *s);

/* Takes over `data` (malloc'ed, private) and keeps it; an image that does not fit is freed. Images
 * are never dropped: what is found is valid until wk_images_fini(). */
void wk_image_keep(struct wk_images *s, uint8_t *data, uint64_t len);
/* NULL: not sent yet. */
const struct wk_image *wk_image_find(struct wk_images *s, const uint8_t hash[WK_HASH_LEN]);

/* Counts `len` octets for a module being loaded; -1 if that is more than a worker holds. */
int wk_image_charge(struct wk_images *s, uint64_t len);
void wk_image_uncharge(struct wk_images *s, uint64_t len);

#endif
