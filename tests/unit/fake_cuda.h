/* SPDX-License-Identifier: MIT */
/*
 * fake_cuda.h - a libcuda.so.1 for tests without a GPU: two devices, memory that is only counted,
 * calls that are written down. `fake` is reached with dlsym().
 */
#ifndef GVM_TESTS_FAKE_CUDA_H
#define GVM_TESTS_FAKE_CUDA_H

#include <stdint.h>

#define FAKE_MEM   (64ull << 20) /* octets of each device */
#define FAKE_VRAM  (8ul << 20)   /* of it, octets that copies reach */
#define FAKE_CALLS 65536u
#define FAKE_DIRT  0xddu /* in memory that was just mapped or allocated */

struct fake {
    char calls[FAKE_CALLS];     /* names of the calls, each with a space behind it */
    unsigned long used;         /* octets of physical memory */
    unsigned maps;              /* ranges mapped */
    unsigned types;             /* handle types asked for by the last cuMemCreate */
    int device;                 /* of the primary context */
    unsigned flags;             /* of the same */
    unsigned registered;        /* cuMemHostRegister less cuMemHostUnregister */
    const char *fail;           /* this call fails... */
    int error;                  /* ...with this */
    const char *print;          /* cuCtxSynchronize writes it to descriptor 1 */
    unsigned image_len;         /* of the text given to cuModuleLoadDataEx */
    void (*host_fn)(void *arg); /* given to cuLaunchHostFunc, not called */
    void *host_arg;
    uint64_t base; /* of the first range reserved: where `vram` lies for copies */
    uint8_t vram[FAKE_VRAM];
    uint8_t *pinned; /* by cuMemHostAlloc, the largest */
    unsigned long pinned_len;
    unsigned foreign;    /* copies of other host memory */
    int hold;            /* cuStreamWriteValue32 does nothing */
    uint32_t *wait_word; /* of cuStreamWaitValue32 */
    uint32_t wait_value;
    uint64_t filled;      /* octets, by cuMemsetD8Async */
    uint64_t to_arrays;   /* octets copied to arrays */
    uint32_t *write_word; /* of cuStreamWriteValue32 */
    uint32_t write_value;
    unsigned process_state; /* by cuCheckpointProcessGetState */
    unsigned kernels;       /* of each module, without parameters */
};
extern struct fake fake;

/* Writes the call down. Its result. */
int fake_call(const char *name);

#endif
