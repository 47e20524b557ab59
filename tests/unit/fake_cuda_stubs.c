/* SPDX-License-Identifier: MIT */
/* Every function that device/cuda looks for; fake_cuda.c defines those that do something. */
#include "tests/unit/fake_cuda.h"

#define X(name)                                                                                    \
    int name(void);                                                                                \
    __attribute__((weak)) int name(void)                                                           \
    {                                                                                              \
        return fake_call(#name);                                                                   \
    }
#define Y X
#include "dom0-backend/device/cuda/cuda_api.def"
