/* SPDX-License-Identifier: MIT */
/*
 * vmm.h - virtual memory management: reservations, physical memory, mappings.
 */
#ifndef GVM_VMM_H
#define GVM_VMM_H

#include "core.h"

int gvm_vmm_granularity(uint64_t *minimum, uint64_t *recommended);
int gvm_vmm_reserve(uint64_t size, uint64_t align, uint64_t fixed, uint64_t *ptr);
int gvm_vmm_unreserve(uint64_t ptr, uint64_t size);
/* types: CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR or 0. */
int gvm_vmm_create(uint64_t size, uint32_t types, uint64_t *memory);
/* 1: no such memory, or not made for it. */
int gvm_vmm_export(uint64_t memory, int *fd);
int gvm_vmm_import(int fd, uint64_t *memory);
int gvm_vmm_release(uint64_t memory);
/* One more handle of the memory mapped at an address. */
int gvm_vmm_retain(uint64_t addr, uint64_t *memory);
uint32_t gvm_vmm_types(uint64_t memory);
int gvm_vmm_check(uint64_t memory);
int gvm_vmm_map(uint64_t ptr, uint64_t size, uint64_t offset, uint64_t memory);
int gvm_vmm_unmap(uint64_t ptr, uint64_t size);
/* CUmemAccess_flags */
int gvm_vmm_set_access(uint64_t ptr, uint64_t size, uint32_t flags);
int gvm_vmm_get_access(uint64_t ptr, uint32_t *flags);
/* The reservation that holds an address; false: none. */
bool gvm_vmm_reserved(uint64_t addr, uint64_t *base, uint64_t *size);

/* The connection has been made or is about to end. */
void gvm_vmm_reset(void);

#endif
