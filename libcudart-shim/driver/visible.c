/* SPDX-License-Identifier: MIT */
/*
 * visible.c - CUDA_VISIBLE_DEVICES: which devices this process sees. There is one, number 0.
 *
 * A list of numbers and of beginnings of UUIDs (GPU-...). The first entry that names no device ends
 * the list; a device named twice is an error.
 */
#include "state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NDEVICE 1

/* True if the text at s begins the device's UUID; *end is what follows. */
static bool is_uuid(const char *s, const struct vgpu_device_info *d, const char **end)
{
    char id[40];
    int at = 0, n;

    for (int i = 0; i < 16; i++)
        at +=
            snprintf(id + at, sizeof(id) - (size_t)at,
                     i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", (uint8_t)d->uuid[i]);
    for (n = 0; s[n] && s[n] != ',' && s[n] != ' '; n++)
        if (n >= at || tolower((unsigned char)s[n]) != id[n])
            return false;
    *end = s + n;
    return n > 0;
}

/* The number of the device that the entry at s names; -1: none. `d` NULL: not known yet. */
static int device_of(const char *s, const struct vgpu_device_info *d, const char **end)
{
    char *e;
    long v;

    if (strncmp(s, "GPU-", 4) == 0)
        return !d || is_uuid(s + 4, d, end) ? 0 : -1;
    v = strtol(s, &e, 10);
    *end = e;
    return e != s && v >= 0 && v < NDEVICE ? (int)v : -1;
}

int gvm_visible(const struct vgpu_device_info *d)
{
    const char *s = getenv("CUDA_VISIBLE_DEVICES"), *end;
    int n = 0;

    if (!s)
        return 0;
    while (*s && device_of(s, d, &end) >= 0) {
        n++;
        s = strchr(s, ',');
        if (!s)
            break;
        s++;
    }
    /* Which is which shows only when the device is known. */
    return n == 0 ? 100 : n > 1 && d ? 101 : 0;
}
