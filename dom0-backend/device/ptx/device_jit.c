/* SPDX-License-Identifier: MIT */
/* device_jit.c - how kernels are taken, compiled and checked: GVM_PTX_SM, GVM_PTX_JIT and
 * GVM_PTX_CHECK, the plug-in. */
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/common/log.h"
#include "dom0-backend/device/ptx/device_int.h"

static bool loaded;

static void on_note(const char *line)
{
    log_debug("%s", line);
}

int target_setup(void)
{
    const char *v = getenv("GVM_PTX_SM");

    if (v && strcmp(v, "90") && strcmp(v, "100")) {
        log_error("GVM_PTX_SM=%.40s: allowed are 90 and 100 (compute capability 9.0, 10.0)", v);
        return CUDA_ERROR_INVALID_VALUE;
    }
    ptx_target_set(v && *v == '1' ? PTX_TARGET_LATER : PTX_TARGET);
    return 0;
}

int jit_setup(void)
{
    const char *v = getenv("GVM_PTX_JIT"), *check = getenv("GVM_PTX_CHECK");
    char why[300];

    if (check && strcmp(check, "0") && strcmp(check, "1")) {
        log_error("GVM_PTX_CHECK=%.40s: allowed are 0 and 1 (look for races on shared memory)",
                  check);
        return CUDA_ERROR_INVALID_VALUE;
    }
    ptx_check_set(check && *check == '1');

    if (v && (strlen(v) != 1 || *v < '0' || *v > '2')) {
        log_error(
            "GVM_PTX_JIT=%.40s: allowed are 0 (interpret), 1 (compile what runs for long) and 2 "
            "(compile before the first launch)",
            v);
        return CUDA_ERROR_INVALID_VALUE;
    }
    /* Under QEMU's emulation small programs would spend most of their time in the compiler. */
    if (v ? *v == '0' : ptx_jit_emulated())
        return 0;
    ptx_jit_notes(on_note);
    loaded = ptx_jit_load(v && *v == '2' ? PTX_JIT_FIRST : PTX_JIT_ON, why, sizeof(why));
    if (!loaded && v)
        log_warn("GVM_PTX_JIT=%s: kernels are interpreted all the same: %s", v, why);
    else if (!loaded)
        log_debug("kernels are interpreted: %s", why);
    return 0;
}

bool swdev_makes_code(struct dev *d)
{
    (void)d;
    return loaded;
}
