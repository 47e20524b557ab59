/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/hook.h"

void (*fuzz_hook)(void);
