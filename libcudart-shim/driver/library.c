/* SPDX-License-Identifier: MIT */
/*
 * library.c - libraries. The worker has one context, so a library is a module that belongs to none
 * of the program's contexts; its kernels (CUkernel) are the functions of that module.
 */
#include "library.h"
#include "log.h"

#include <stdlib.h>

static struct {
    pthread_mutex_t lock;
    struct gvm_library *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool gvm_library_valid(const struct gvm_library *l)
{
    const struct gvm_library *k;

    pthread_mutex_lock(&all.lock);
    for (k = all.first; k && k != l; k = k->next)
        ;
    pthread_mutex_unlock(&all.lock);
    return k != NULL;
}

struct gvm_library *gvm_library_of(const struct gvm_module *m)
{
    struct gvm_library *k;

    pthread_mutex_lock(&all.lock);
    for (k = all.first; k && k->module != m; k = k->next)
        ;
    pthread_mutex_unlock(&all.lock);
    return k;
}

static void enter(struct gvm_library *l)
{
    pthread_mutex_lock(&all.lock);
    l->next = all.first;
    all.first = l;
    pthread_mutex_unlock(&all.lock);
}

int gvm_library_load(const void *code, unsigned n, const int *opt, void **val,
                     struct gvm_library **out)
{
    struct gvm_library *l;
    struct gvm_image image;
    struct gvm_jit jit;
    int rc = gvm_jit_take(n, opt, val, &jit);

    if (rc)
        return rc;
    if (!code || !out)
        return 1;
    l = calloc(1, sizeof(*l));
    if (!l)
        return 2;
    rc = gvm_image_take(code, &image);
    if (rc == 0)
        rc = gvm_module_load_image(&image, n ? &jit : NULL, GVM_OWNER_LIBRARY, GVM_NOW, &l->module);
    gvm_image_drop(&image);
    /* Code is made at its first use, as far as a program can tell: what is wrong with the text
     * comes out then. */
    if (rc == 200 || rc == 218 || rc == 222) {
        l->err = rc;
    } else if (rc) {
        free(l);
        return rc;
    }
    enter(l);
    *out = l;
    return 0;
}

int gvm_library_ahead(const void *code, size_t most, size_t *size, struct gvm_library **out)
{
    struct gvm_image image;
    struct gvm_library *l;
    int rc;

    if (gvm_image_linked(code))
        return 801; /* to be linked again */
    rc = gvm_image_take(code, &image);
    if (rc)
        return rc;
    if (image.size > most)
        return 801;
    *size = image.size;
    l = calloc(1, sizeof(*l));
    if (!l)
        return 2;
    rc = gvm_module_load_image(&image, NULL, GVM_OWNER_LIBRARY, GVM_AHEAD, &l->module);
    if (rc) {
        free(l);
        return rc;
    }
    enter(l);
    *out = l;
    return 0;
}

static bool take_out(struct gvm_library *l)
{
    struct gvm_library **at;

    pthread_mutex_lock(&all.lock);
    for (at = &all.first; *at && *at != l; at = &(*at)->next)
        ;
    if (*at)
        *at = l->next;
    pthread_mutex_unlock(&all.lock);
    return at != NULL;
}

int gvm_library_unload(struct gvm_library *l)
{
    struct gvm_module *m;
    int rc;

    if (!gvm_library_valid(l))
        return 400;
    m = l->module;
    take_out(l);
    free(l);
    rc = m ? gvm_module_unload(m) : 0;
    return rc == 400 ? 0 : rc; /* gone with its connection */
}

int gvm_library_module(struct gvm_library *l, struct gvm_module **m)
{
    if (!gvm_library_valid(l))
        return 400;
    if (l->err)
        return l->err;
    *m = l->module;
    return gvm_module_valid(*m) ? 0 : 400;
}

/* Their modules are gone; the structs stay, for programs that look at them once more. */
void gvm_libraries_reset(void)
{
    pthread_mutex_lock(&all.lock);
    all.first = NULL;
    pthread_mutex_unlock(&all.lock);
}
