/* SPDX-License-Identifier: MIT */
/*
 * mock_xs.h - XenStore in memory, in place of libxenstore: nodes, values and permissions as
 * xenstored has them for the domain that asks. Transactions are not undone, and watches fire when
 * the test says so. A domain is there while it has a directory.
 */
#ifndef GVM_MOCK_XS_H
#define GVM_MOCK_XS_H

#include <stdint.h>
#include <xenstore.h>

/* Empties it. domid: who asks from now on; 0 may read everything. */
void mock_xs_reset(uint32_t domid);
/* The same nodes, asked for by another domain. */
void mock_xs_ask(uint32_t domid);
void mock_xs_put(const char *path, const char *value);
/* NULL: there is no such node. */
const char *mock_xs_value(const char *path);
/* As xenstore-ls -p shows them: "n7,r5". */
const char *mock_xs_perms(const char *path);
/* Some watch of whoever used xs_open_watched() fires. */
void mock_xs_fire(void);

#endif
