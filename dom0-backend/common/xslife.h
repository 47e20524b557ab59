/* SPDX-License-Identifier: MIT */
/*
 * xslife.h - notices that the connection to XenStore is gone. libxenstore does not say so: the
 * descriptor that it gives out to be waited on stays silent for ever, and a call that fails for
 * this looks as if the node did not exist or its value were bad.
 */
#ifndef GVM_XSLIFE_H
#define GVM_XSLIFE_H

#include <stdbool.h>
#include <xenstore.h>

/*
 * xs_open(0). *hangup becomes a descriptor that is readable once the daemon has closed the
 * connection (the caller closes it), or -1 where XenStore is reached through the kernel, which never
 * closes it. NULL: errno. Not safe beside another thread that opens descriptors.
 */
struct xs_handle *xs_open_watched(int *hangup);

/* Asks: false if the daemon answers. For a call that has failed, to know why. */
bool xs_lost(struct xs_handle *xs);

#endif
