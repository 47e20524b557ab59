/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "dom0-backend/worker/state.h"

#define BUF   (1u << 17)
#define LEVEL 1 /* device memory is large, and the guest waits */

static void fail(struct wk_state *s)
{
    s->d.failed = true;
}

static void write_all(struct wk_state *s, size_t n)
{
    size_t at = 0;

    while (at < n && !s->d.failed) {
        ssize_t k = write(s->fd, s->buf + at, n - at);

        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            fail(s);
        else
            at += (size_t)k;
    }
}

static void compress(struct wk_state *s, ZSTD_EndDirective end)
{
    ZSTD_inBuffer in = {s->raw, s->rlen, 0};
    size_t left;

    do {
        ZSTD_outBuffer out = {s->buf, BUF, 0};

        left = ZSTD_compressStream2(s->zs, &out, &in, end);
        if (ZSTD_isError(left))
            fail(s);
        else
            write_all(s, out.pos);
    } while (!s->d.failed && (in.pos < in.size || (end == ZSTD_e_end && left)));
    s->rlen = 0;
}

static void put(struct dev_state *d, const void *p, size_t n)
{
    struct wk_state *s = (struct wk_state *)d;
    const uint8_t *from = p;

    s->octets += n;
    while (n && !d->failed) {
        size_t k = BUF - s->rlen < n ? BUF - s->rlen : n;

        memcpy(s->raw + s->rlen, from, k);
        s->rlen += k;
        from += k;
        n -= k;
        if (s->rlen == BUF)
            compress(s, ZSTD_e_continue);
    }
}

/* More plain octets; none are left of the last ones. */
static void decompress(struct wk_state *s)
{
    ZSTD_outBuffer out = {s->raw, BUF, 0};

    while (!out.pos && !s->d.failed && !s->ended) {
        ZSTD_inBuffer in = {s->buf, s->len, s->at};
        size_t left;

        if (s->at == s->len) {
            ssize_t k;

            do {
                k = read(s->fd, s->buf, BUF);
            } while (k < 0 && errno == EINTR);
            if (k <= 0) {
                fail(s);
                break;
            }
            s->at = 0;
            s->len = (size_t)k;
            continue;
        }
        left = ZSTD_decompressStream(s->zs, &out, &in);
        s->at = in.pos;
        if (ZSTD_isError(left))
            fail(s);
        else if (left == 0)
            s->ended = true;
    }
    s->rat = 0;
    s->rlen = out.pos;
}

static void get(struct dev_state *d, void *p, size_t n)
{
    struct wk_state *s = (struct wk_state *)d;
    uint8_t *to = p;

    s->octets += n;
    while (n && !d->failed) {
        size_t k = s->rlen - s->rat < n ? s->rlen - s->rat : n;

        if (k == 0) {
            if (s->ended)
                fail(s);
            else
                decompress(s);
            continue;
        }
        memcpy(to, s->raw + s->rat, k);
        s->rat += k;
        to += k;
        n -= k;
    }
    if (n)
        memset(to, 0, n);
}

int wk_state_open(struct wk_state *s, int fd, bool writing)
{
    memset(s, 0, sizeof(*s));
    s->fd = fd;
    s->writing = writing;
    s->d.put = put;
    s->d.get = get;
    s->buf = malloc(BUF);
    s->raw = malloc(BUF);
    s->zs = writing ? (void *)ZSTD_createCCtx() : (void *)ZSTD_createDCtx();
    if (!s->buf || !s->raw || !s->zs ||
        (writing && (ZSTD_isError(ZSTD_CCtx_setParameter(s->zs, ZSTD_c_compressionLevel, LEVEL)) ||
                     ZSTD_isError(ZSTD_CCtx_setParameter(s->zs, ZSTD_c_checksumFlag, 1))))) {
        fail(s);
        wk_state_close(s);
        return -ENOMEM;
    }
    return 0;
}

int wk_state_close(struct wk_state *s)
{
    if (s->writing && s->zs && !s->d.failed)
        compress(s, ZSTD_e_end);
    /* The checksum is behind the last octet. */
    if (!s->writing && s->zs && !s->d.failed && s->rat == s->rlen && !s->ended)
        decompress(s);
    if (!s->writing && (!s->ended || s->rat != s->rlen))
        fail(s);
    if (s->writing)
        ZSTD_freeCCtx(s->zs);
    else
        ZSTD_freeDCtx(s->zs);
    s->zs = NULL;
    free(s->buf);
    free(s->raw);
    s->buf = s->raw = NULL;
    return s->d.failed ? -EIO : 0;
}
