/* SPDX-License-Identifier: MIT */
/*
 * library.h - libraries (code that belongs to no context) and the linker, inside libcuda.so.1.
 */
#ifndef GVM_LIBRARY_H
#define GVM_LIBRARY_H

#include "core.h"
#include "image.h"
#include "module.h"

struct gvm_library {
    struct gvm_library *next;  /* all of them */
    struct gvm_module *module; /* NULL: */
    int err;                   /* why there is none */
};

/* Owner of modules that no context owns. */
#define GVM_OWNER_LIBRARY ((void *)1)

bool gvm_library_valid(const struct gvm_library *l);
/* The library that a module belongs to; NULL: none. */
struct gvm_library *gvm_library_of(const struct gvm_module *m);

/* GVM_AHEAD: before anybody asks for it, so only if nothing has to be compiled (else 801), and
 * without a word if it cannot be loaded. */
enum gvm_when { GVM_NOW, GVM_AHEAD };

/* A module of an image, made with options. owner: as gvm_owner(), or GVM_OWNER_LIBRARY. */
int gvm_module_load_image(const struct gvm_image *i, const struct gvm_jit *jit, void *owner,
                          enum gvm_when when, struct gvm_module **out);

int gvm_link_create(const struct gvm_jit *jit, uint64_t *handle);
int gvm_link_add(uint64_t handle, unsigned form, const void *data, size_t n, const char *name,
                 const struct gvm_jit *jit);
/* The image is the linker's. */
int gvm_link_complete(uint64_t handle, void **image, size_t *n);
int gvm_link_destroy(uint64_t handle);
/* The connection has ended. */
void gvm_linkers_reset(void);
void gvm_libraries_reset(void);

#endif
