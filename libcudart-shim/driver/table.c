/* SPDX-License-Identifier: MIT */
#include "table.h"

#include <string.h>

#define PARAM_BYTES_MAX VGPU_MAX_Launch_params

int gvm_table_count(const uint8_t *t, size_t size, struct gvm_table_count *n)
{
    struct vgpu_table_head h;
    size_t at = sizeof(h);

    if (size < sizeof(h))
        return -1;
    memcpy(&h, t, sizeof(h));
    if (h.magic != VGPU_TABLE_MAGIC || h.bytes != size)
        return -1;
    *n = (struct gvm_table_count){.at = at};
    for (uint32_t i = 0; i < h.nfunc; i++) {
        struct vgpu_table_func f;
        size_t len;

        if (size - at < sizeof(f))
            return -1;
        memcpy(&f, t + at, sizeof(f));
        len = sizeof(f) + f.nparam * sizeof(struct vgpu_table_param) +
              vgpu_table_name_room(f.name_len);
        if (size - at < len || f.param_bytes > PARAM_BYTES_MAX)
            return -1;
        n->nfunc++;
        n->nparam += f.nparam;
        n->name_bytes += f.name_len + 1u;
        at += len;
    }
    return 0;
}

void gvm_table_next(const uint8_t *t, struct gvm_table_count *n, struct gvm_table_func *f)
{
    struct vgpu_table_func v;

    memcpy(&v, t + n->at, sizeof(v));
    f->nparam = v.nparam;
    f->param_bytes = v.param_bytes;
    f->name_len = v.name_len;
    f->params = (const void *)(t + n->at + sizeof(v));
    f->name = (const char *)(f->params + v.nparam);
    n->at += sizeof(v) + v.nparam * sizeof(*f->params) + vgpu_table_name_room(v.name_len);
}
