/* SPDX-License-Identifier: MIT */
/*
 * cuda_park.c - takes another process off the GPU and puts it back, by the driver's process
 * checkpoint (R570 and later). Its device memory lies in its host memory meanwhile. Called in a
 * process of its own, as the calls wait.
 */
#include <stdio.h>
#include <sys/types.h>

#include "cuda_int.h"

static char text[160];

static int fail(const char *what, CUresult r, const char **why)
{
    const char *name = NULL;

    if (cu.cuGetErrorName(r, &name) != CUDA_SUCCESS || !name)
        name = "unknown error";
    snprintf(text, sizeof(text), "%s: %s (%d)", what, name, (int)r);
    *why = text;
    return (int)r;
}

static int load(const char **why)
{
    CUresult r;

    *why = text;
    if (cuda_api_load(text, sizeof(text)) < 0)
        return CUDA_ERROR_NOT_INITIALIZED;
    if (!cu.cuCheckpointProcessLock || !cu.cuCheckpointProcessCheckpoint ||
        !cu.cuCheckpointProcessRestore || !cu.cuCheckpointProcessUnlock) {
        *why = "the NVIDIA driver has no process checkpoint: it is older than R570";
        return CUDA_ERROR_NOT_SUPPORTED;
    }
    r = cu.cuInit(0);
    return r ? fail("cuInit", r, why) : 0;
}

int cudev_park(pid_t pid, uint32_t timeout_ms, const char **why)
{
    CUcheckpointLockArgs args = {.timeoutMs = timeout_ms ? timeout_ms : 1};
    CUresult r;
    int err = load(why);

    if (err)
        return err;
    r = cu.cuCheckpointProcessLock(pid, &args);
    if (r == CUDA_ERROR_NOT_READY) {
        snprintf(text, sizeof(text), "kernels, copies or functions have not ended within %u ms",
                 timeout_ms);
        *why = text;
        return (int)r;
    }
    if (r == CUDA_ERROR_NOT_INITIALIZED) {
        /* Seen with 580.159.04; cuda_comm.c is about the same names. */
        *why = "the driver does not find the worker: it goes by the names of the worker's threads, "
               "which could not be written";
        return (int)r;
    }
    if (r)
        return fail("the driver does not lock the process", r, why);
    r = cu.cuCheckpointProcessCheckpoint(pid, NULL);
    if (!r)
        return 0;
    err = fail("the driver does not save the process's state", r, why);
    cu.cuCheckpointProcessUnlock(pid, NULL);
    return err;
}

int cudev_unpark(pid_t pid, const char **why)
{
    CUprocessState state = CU_PROCESS_STATE_CHECKPOINTED;
    CUresult r;
    int err = load(why);

    if (err)
        return err;
    /* Whoever parked it may have ended half way. */
    if (cu.cuCheckpointProcessGetState &&
        cu.cuCheckpointProcessGetState(pid, &state) == CUDA_SUCCESS &&
        state == CU_PROCESS_STATE_RUNNING)
        return 0;
    r = state == CU_PROCESS_STATE_LOCKED ? CUDA_SUCCESS : cu.cuCheckpointProcessRestore(pid, NULL);
    if (r)
        return fail("the driver does not put the process back on the GPU", r, why);
    r = cu.cuCheckpointProcessUnlock(pid, NULL);
    return r ? fail("the driver does not unlock the process", r, why) : 0;
}
