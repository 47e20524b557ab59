/* SPDX-License-Identifier: MIT */
/* Fuzz target: the image of cuModuleLoadData(), as a guest sends it, up to the PTX text. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/device/ptx/fatbin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fatbin_texts texts;
    char log[160];
    int err = fatbin_texts(data, size, &texts, log, sizeof(log));

    if (err != 0 && err != 2 && err != 200 && err != 209)
        abort();
    if ((err == 0) != (texts.n > 0) || (err && !log[0]) || strlen(log) >= sizeof(log))
        abort();
    for (unsigned i = 0; i < texts.n; i++)
        if (texts.v[i].text[texts.v[i].len] != '\0')
            abort();
    fatbin_texts_free(&texts);
    return 0;
}
