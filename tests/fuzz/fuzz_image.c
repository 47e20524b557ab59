/* SPDX-License-Identifier: MIT */
/* Fuzz target: the image of cuModuleLoadData() as far as it is read before NVIDIA's driver gets it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "dom0-backend/device/cuda/cuda_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int cudev_charge(struct dev *d, uint64_t bytes)
{
    return 0;
}

void cudev_uncharge(struct dev *d, uint64_t bytes)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cudev_image i;
    char log[160] = "";
    int err = cudev_image_check(data, size, &i, log, sizeof(log));

    if (err && (err != 200 || !log[0]))
        abort();
    cudev_vars(data, size);
    if (err)
        return 0;
    cudev_look(&i, 9);
    cudev_image_ready(&i, 9, 0);
    cudev_image_drop(&i);
    return 0;
}
