/* SPDX-License-Identifier: MIT */
/*
 * backd.h - asking gvm-backd: its socket and what it answers (dom0-backend/broker/query.c).
 */
#ifndef GVM_TOOL_BACKD_H
#define GVM_TOOL_BACKD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Where it listens: `named` (the socket of a local daemon, as gvm run --backd has it), else the
 * environment's GVM_BACKD, else the service's. False if that is too long.
 */
bool backd_path(const char *named, char *buf, size_t n);

/* Sends one request (no newline); the socket, or -1 with errno set. */
int backd_request(const char *path, const char *request);

/* The text that answers a request; malloc'd, NULL with errno set. */
char *backd_ask(const char *path, const char *request);

/* What a guest process, or all of a device's, have used. Order as in stat_fields[]. */
struct counters {
    uint64_t calls, launches, doorbells_in, doorbells_out, bytes_in, bytes_out;
    uint64_t busy_ns, wait_ns;
    uint64_t mem_used, waiting, sticky;
};

struct stat_field {
    const char *name;
    size_t off; /* in struct counters */
    bool grows; /* a counter, not a gauge */
    const char *what;
};
extern const struct stat_field stat_fields[];
#define NSTAT_FIELDS 11u

static inline uint64_t stat_get(const struct counters *c, unsigned i)
{
    return *(const uint64_t *)((const char *)c + stat_fields[i].off);
}

struct vgpu_process {
    uint32_t domid, devid, channel;
    uint64_t pid, uid, worker, pages;
    struct counters c;
};

struct vgpu_device {
    uint32_t domid, devid;
    uint64_t state, mem, weight, channels, pages, max_pages;
    char device[64];
    struct counters c;
};

/* A process of a domain that is saved, in its worker, off its GPU. */
struct vgpu_suspended {
    char uuid[40];
    uint32_t devid, channel;
    uint64_t pid, worker, octets, since; /* of the GPU; seconds of CLOCK_REALTIME */
};

/* One answer to `list`. */
struct sample {
    bool local;       /* of a daemon without Xen */
    char version[32]; /* the daemon's */
    uint64_t now_ns, pid, pages, max_pages, workers, warm;
    struct vgpu_device *devices;
    unsigned ndevices;
    struct vgpu_process *processes;
    unsigned nprocesses;
    struct vgpu_suspended *suspended;
    unsigned nsuspended;
};

/* Reads the text; what it does not know, it skips. NULL: no memory. */
struct sample *sample_parse(const char *text);
void sample_free(struct sample *s);

/* The one with this number; NULL: there is none. */
const struct vgpu_device *sample_device(const struct sample *s, uint32_t domid, uint32_t devid);
/* The one that this worker serves. */
const struct vgpu_process *sample_process(const struct sample *s, const struct vgpu_process *like);

/* --count: 1 or more. False after one line, in which `who` speaks. */
bool opt_count(const char *who, const char *text, unsigned long *count);
/* --interval: `least` to 3600 seconds. Likewise. */
bool opt_interval(const char *who, const char *text, double least, double *seconds);

/* "1.5G"; bytes in powers of 1024. */
void human(uint64_t bytes, char *buf, size_t n);
/* A JSON string with its quotes. */
void json_str(FILE *f, const char *s);
/* ,"calls":1,... of all fields. */
void json_counters(FILE *f, const struct counters *c);

#endif
