/* SPDX-License-Identifier: MIT */
/*
 * jit_cache.h - compiled kernels by content: who loads the same kernel again, in another module too,
 * gets the code that is there. The cache is the process's, and a process serves one process of one
 * guest: nothing that runs here was compiled for somebody else (docs/compiler.md says why no code is
 * kept in files).
 */
#ifndef GVM_PTX_JIT_CACHE_H
#define GVM_PTX_JIT_CACHE_H

#include "jit.h"

#define JIT_CACHE_ENTRIES 1024u       /* that nobody uses are kept, at most */
#define JIT_CACHE_BYTES   (32u << 20) /* of code and keys of these */

/* All that the compiler's result depends on, octet by octet: compared, not only hashed, because a
 * wrong hit would run code with other places of registers than the kernel has. */
struct jit_key {
    uint8_t *bytes;
    size_t n, cap;
    bool failed; /* out of memory */
    uint64_t hash;
};

struct jit_entry;

/* Makes the key of a compilation. 0, or -1: out of memory. */
int jit_key_make(struct jit_key *k, const struct jit_job *job);
void jit_key_free(struct jit_key *k);
/* A hash of a lowered kernel, for a first look: the same kernel has the same one. */
uint64_t jit_rough(const struct prog *g);

/* The entry of this content, held for the caller, or NULL. */
struct jit_entry *jit_cache_find(const struct jit_key *k);
/* Something with this rough hash has been compiled. */
bool jit_cache_has(uint64_t rough);
/* Adds what was compiled, or NULL and why it was not; takes over key and code. The entry, which may
 * be an older one of the same content, is held for the caller; NULL: out of memory, code released. */
struct jit_entry *jit_cache_add(struct jit_key *k, uint64_t rough, struct jit_code *code,
                                const char *why, void (*release)(struct jit_code *code));
void jit_cache_put(struct jit_entry *e);
struct jit_code *jit_entry_code(const struct jit_entry *e); /* NULL: it was refused, */
const char *jit_entry_why(const struct jit_entry *e);       /* for this reason */

#endif
