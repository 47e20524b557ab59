/* SPDX-License-Identifier: MIT */
/*
 * xs.h - XenStore in the manner of this project: paths by printf, values parsed strictly, what a
 * guest wrote treated as hostile.
 */
#ifndef GVM_XS_H
#define GVM_XS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xenstore.h>

#define XS_PATH_MAX  512
#define XS_MAX_DOMID 32751

enum xenbus_state { /* public/io/xenbus.h */
                    XB_UNKNOWN,
                    XB_INITIALISING,
                    XB_INITWAIT,
                    XB_INITIALISED,
                    XB_CONNECTED,
                    XB_CLOSING,
                    XB_CLOSED,
};

/* dir/key into buf; false if it does not fit. */
bool xs_path(char *buf, size_t n, const char *dir, const char *key);

/* Reads dir/key as a string into buf. 0; -ENOENT; -EINVAL: over n-1 octets, or holds a NUL. */
int xs_get(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key, char *buf,
           size_t n);

/* Reads dir/key: decimal digits only, min..max. 0, -ENOENT or -EINVAL. */
int xs_get_uint(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key,
                uint64_t min, uint64_t max, uint64_t *out);

/* A string of decimal digits in min..max. */
bool xs_parse_uint(const char *s, uint64_t min, uint64_t max, uint64_t *out);

/* Text of another domain, for a terminal or a log: '?' for what is not printable ASCII. */
void xs_printable(char *s);

/* Writes dir/key. 0 or -errno. */
int xs_put(struct xs_handle *xs, xs_transaction_t t, const char *dir, const char *key,
           const char *fmt, ...) __attribute__((format(printf, 5, 6)));

bool xs_exists(struct xs_handle *xs, xs_transaction_t t, const char *path);

/*
 * Runs fn in a transaction until it commits; other users may force it to be repeated, at most 20
 * times. fn returns 0 to commit, -errno to abort. Returns that, or -EAGAIN.
 */
int xs_transact(struct xs_handle *xs,
                int (*fn)(struct xs_handle *xs, xs_transaction_t t, void *arg), void *arg);

/* The directory's entries that are decimal numbers <= max; malloc'd, NULL if there are none. */
uint32_t *xs_numbers(struct xs_handle *xs, const char *dir, uint32_t max, unsigned *n);

/* This domain's id, from the relative key `domid`; 0 if that is absent (a dom0 without it). */
uint32_t xs_own_domid(struct xs_handle *xs);

/* The id of the domain named by a number or a name. 0; -ENOENT; -EEXIST: several have the name. */
int xs_find_domain(struct xs_handle *xs, const char *name, uint32_t *domid);

#endif
