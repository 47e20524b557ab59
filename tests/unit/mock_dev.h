/* SPDX-License-Identifier: MIT */
/*
 * mock_dev.h - a device that executes nothing: it writes down what it is asked to do, copies for
 * real within its own small memory, and completes everything at once unless told to hold.
 */
#ifndef MOCK_DEV_H
#define MOCK_DEV_H

#include <stdbool.h>

#include "dom0-backend/device/device.h"

#define MOCK_MEM_SIZE (1u << 20) /* device memory; addresses are host addresses */

extern const struct dev_ops mock_ops;

/* One mock at a time: its state is global. Opens it and forgets all notes. */
struct dev *mock_open(const struct dev_config *cfg);
void mock_close(struct dev *d);

/* Notes since mock_open() or the last mock_clear(), one call each, ';' after each. */
const char *mock_notes(void);
void mock_clear(void);
/* Number of notes that start with `prefix`. */
unsigned mock_count(const char *prefix);

/* The operation with this name returns `err` from now on; NULL: none. */
void mock_fail(const char *op, int err);
/* While held, stream_sync, event_sync and ctx_sync block, and host functions wait. */
void mock_hold(bool on);
/* Calls on_fault / on_output of the configuration. */
void mock_fault(int err, const char *what);
void mock_print(int fd, const char *text);
/* Objects made and not destroyed. */
int mock_live(void);

#endif
