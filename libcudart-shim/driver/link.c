/* SPDX-License-Identifier: MIT */
/*
 * link.c - the linker of the driver API. What it makes is copied here, because the program may read
 * it and hand it to cuModuleLoadData().
 */
#include "idtab.h"
#include "image.h"
#include "library.h"
#include "log.h"
#include "objects.h"
#include "pool.h"
#include "stubs.h"

#include <stdlib.h>
#include <string.h>

struct linker {
    struct gvm_obj o;
    struct gvm_jit jit; /* its pointers are good as long as the linker, by cuLinkCreate's rules */
    void *image;
    size_t image_len;
};

static struct gvm_idtab linkers = GVM_IDTAB_INIT(12, struct linker);

int gvm_link_create(const struct gvm_jit *jit, uint64_t *handle)
{
    struct gvm_chan *c;
    struct linker *l;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    l = gvm_id_new(&linkers);
    if (!l)
        return 2;
    l->jit = *jit;
    rc = vgpu_LinkCreate(c, 0, l->o.id, jit->info_max, jit->error_max, jit->opt,
                         jit->n * (uint32_t)sizeof(jit->opt[0]));
    if (rc)
        gvm_id_free(&linkers, l);
    else
        *handle = gvm_handle(&linkers, l);
    return rc;
}

int gvm_link_add(uint64_t handle, unsigned form, const void *data, size_t n, const char *name,
                 const struct gvm_jit *jit)
{
    struct linker *l = gvm_id_get(&linkers, handle);
    struct gvm_pool_ref ref, at;
    struct gvm_logs logs;
    struct gvm_chan *c;
    char cut[256];
    void *p;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!l)
        return 400;
    if (!data || !n)
        return 1;
    rc = gvm_logs_take(&l->jit, &logs);
    if (rc)
        return rc;
    p = gvm_pool_alloc(n);
    rc = 2;
    if (!p || !gvm_pool_find(p, n, &ref) || ref.len != n ||
        !gvm_pool_find(logs.p, logs.room, &at) || at.len != logs.room)
        goto out;
    memcpy(p, data, n);
    strncpy(cut, name ? name : "", sizeof(cut) - 1);
    cut[sizeof(cut) - 1] = 0;
    rc = vgpu_LinkAdd(c, 0, l->o.id, form, ref.chunk, ref.off, ref.len, at.chunk, at.off, at.len,
                      cut, jit->opt, jit->n * (uint32_t)sizeof(jit->opt[0]));
    gvm_logs_give(&l->jit, &logs);
out:
    if (p)
        gvm_pool_free(p, n);
    gvm_logs_drop(&logs);
    return rc;
}

static int fetch_image(struct gvm_chan *c, struct linker *l, uint64_t size)
{
    struct gvm_pool_ref ref;
    void *p = gvm_pool_alloc(size);
    int rc = 2;

    if (p && gvm_pool_find(p, size, &ref) && ref.len == size)
        rc = vgpu_LinkImage(c, 0, l->o.id, ref.chunk, ref.off, ref.len);
    if (rc == 0) {
        l->image = malloc(size);
        l->image_len = size;
        if (l->image)
            memcpy(l->image, p, size);
        else
            rc = 2;
    }
    if (p)
        gvm_pool_free(p, size);
    return rc;
}

int gvm_link_complete(uint64_t handle, void **image, size_t *n)
{
    struct linker *l = gvm_id_get(&linkers, handle);
    struct gvm_pool_ref at;
    struct gvm_logs logs;
    struct gvm_chan *c;
    uint64_t size = 0;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!l)
        return 400;
    if (!l->image) {
        rc = gvm_logs_take(&l->jit, &logs);
        if (rc)
            return rc;
        rc = gvm_pool_find(logs.p, logs.room, &at) && at.len == logs.room
                 ? vgpu_LinkComplete(c, 0, l->o.id, at.chunk, at.off, at.len, &size)
                 : 2;
        gvm_logs_give(&l->jit, &logs);
        gvm_logs_drop(&logs);
        if (rc == 0)
            rc = fetch_image(c, l, size);
        if (rc)
            return rc;
    }
    *image = l->image;
    if (n)
        *n = l->image_len;
    return 0;
}

static void forget(void *obj, void *arg)
{
    struct linker *l = obj;

    free(l->image);
    gvm_id_free(&linkers, l);
}

int gvm_link_destroy(uint64_t handle)
{
    struct linker *l = gvm_id_get(&linkers, handle);
    struct gvm_chan *c;
    int rc = gvm_need(&c);

    if (rc)
        return rc;
    if (!l)
        return 400;
    rc = vgpu_LinkDestroy(c, 0, l->o.id);
    forget(l, NULL);
    return rc;
}

void gvm_linkers_reset(void)
{
    gvm_id_each(&linkers, forget, NULL);
}
