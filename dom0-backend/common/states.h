/* SPDX-License-Identifier: MIT */
/*
 * states.h - what lies in state_dir (/var/lib/gvm): for each domain its accepted vgpu entries, UUID,
 * and for each program of a saved domain its state, UUID.DEVICE.CHANNEL.
 *
 * A state is used once, by the restore of the image that it was saved with, and is of no use after
 * the domain's next save. Whether that image still exists nobody here knows: states are kept for
 * state_days of gvm.conf, `gvm doctor` and `gvm saved` name them, and gvm-backd removes older ones.
 */
#ifndef GVM_STATES_H
#define GVM_STATES_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define STATES_NAME 64

struct state_file {
    char name[STATES_NAME]; /* in the folder */
    char uuid[37];
    bool entries;     /* of a domain's vgpus; else a program's state */
    unsigned device;  /* of a state */
    unsigned channel; /* of a state */
    time_t time;      /* when it was written */
    uint64_t size;    /* octets */
};

/* What a name says; false if it is none that the daemon gives. `time` and `size` are not set. */
bool states_name(const char *name, struct state_file *f);

/* Calls fn for each file of the folder in the order of their names. 0, or -errno. */
int states_each(const char *dir, void (*fn)(void *arg, const struct state_file *f), void *arg);

/*
 * Removes what is older than `days` (1 or more) at the time `now`: states, and entries of domains
 * that do not run (those that run have a file known-ID-UUID in run_dir). One line in the log for
 * each domain whose states went. Returns the number of files that are gone.
 */
unsigned states_expire(const char *dir, const char *run_dir, unsigned days, time_t now);

/* Removes states of a domain's device that are not of the save that began at the time `since`. */
void states_drop_older(const char *dir, const char *uuid, unsigned device, time_t since);

#endif
