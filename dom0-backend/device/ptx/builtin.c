/* SPDX-License-Identifier: MIT */
/* builtin.c - functions of the device library: vprintf, malloc, free, __assertfail, conditions. */
#include "interp.h"

#define FMT_MAX 4096 /* bytes of a format or %s string that are looked at */
#define OUT_MAX 8192 /* bytes of output of one call */

/* Argument i of lane l as a 64-bit value. */
static uint64_t arg_value(struct warp *w, const struct call *c, uint32_t i, int l, uint32_t base)
{
    const struct call_arg *a = &c->args[i];
    uint64_t v = 0;
    const uint8_t *src = a->is_var ? w->local + (size_t)l * w->x->local_stride + base + a->off
                                   : (uint8_t *)reg_at(w, a->slot) + l * (a->wide ? 8 : 4);
    memcpy(&v, src, a->size < 8 ? a->size : 8);
    return v;
}

static void ret_value(struct warp *w, const struct call *c, int l, uint32_t base, uint64_t v)
{
    if (!c->nrets)
        return;
    const struct call_arg *a = &c->rets[0];
    memcpy(w->local + (size_t)l * w->x->local_stride + base + a->off, &v,
           a->size < 8 ? a->size : 8);
}

/* A guest string: at most max - 1 bytes and a NUL. */
static void get_string(struct warp *w, const struct uop *u, int l, uint64_t addr, char *buf,
                       size_t max)
{
    size_t n = 0;
    while (n + 1 < max) {
        char ch = *(const char *)ptx_generic(w, u, l, addr + n, 1);
        if (!ch)
            break;
        buf[n++] = ch;
    }
    buf[n] = 0;
}

struct out {
    char text[OUT_MAX];
    size_t n;
};

static void put(struct out *o, const char *s, size_t n)
{
    if (n > sizeof(o->text) - o->n)
        n = sizeof(o->text) - o->n;
    memcpy(o->text + o->n, s, n);
    o->n += n;
}

/* One conversion: spec is "%...c" rebuilt here, never the guest's own text. */
static void put_conv(struct out *o, const char *spec, char conv, bool wide, uint64_t bits,
                     const char *str)
{
    char tmp[1024];
    int n = 0;
    double d;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    switch (conv) {
    case 'd':
    case 'i':
        n = snprintf(tmp, sizeof(tmp), spec, wide ? (long long)bits : (long long)(int32_t)bits);
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        n = snprintf(tmp, sizeof(tmp), spec,
                     wide ? (unsigned long long)bits : (unsigned long long)(uint32_t)bits);
        break;
    case 'c':
        n = snprintf(tmp, sizeof(tmp), spec, (int)(unsigned char)bits);
        break;
    case 'p':
        n = snprintf(tmp, sizeof(tmp), spec, (void *)(uintptr_t)bits);
        break;
    case 's':
        n = snprintf(tmp, sizeof(tmp), spec, str);
        break;
    default:
        memcpy(&d, &bits, 8);
        n = snprintf(tmp, sizeof(tmp), spec, d);
        break;
    }
#pragma GCC diagnostic pop
    if (n > 0)
        put(o, tmp, (size_t)n < sizeof(tmp) ? (size_t)n : sizeof(tmp) - 1);
}

/* Formats for one lane as CUDA's printf does; returns the number of arguments. */
static int format(struct warp *w, const struct uop *u, int l, const char *fmt, uint64_t args,
                  struct out *o)
{
    uint64_t at = 0;
    int count = 0;
    for (const char *p = fmt; *p;) {
        if (*p != '%') {
            const char *q = strchr(p, '%');
            size_t n = q ? (size_t)(q - p) : strlen(p);
            put(o, p, n);
            p += n;
            continue;
        }
        if (p[1] == '%') {
            put(o, "%", 1);
            p += 2;
            continue;
        }
        const char *start = p++;
        char spec[64] = "%", num[16];
        size_t k = 1;
        bool wide = false;
        while (*p && strchr("-+ #0", *p)) {
            if (k < 8)
                spec[k++] = *p;
            p++;
        }
        for (int part = 0; part < 2; part++) { /* width, then .precision */
            int v = -1;
            if (part) {
                if (*p != '.')
                    break;
                p++;
                v = 0;
                spec[k++] = '.';
            }
            if (*p == '*') {
                at = (at + 3) & ~3ull;
                memcpy(&v, ptx_generic(w, u, l, args + at, 4), 4);
                at += 4;
                count++;
                p++;
                if (v < 0 && !part) {
                    spec[k++] = '-';
                    v = v == INT32_MIN ? 0 : -v;
                }
            } else if (*p >= '0' && *p <= '9') {
                for (v = 0; *p >= '0' && *p <= '9'; p++)
                    v = v < 1000 ? v * 10 + (*p - '0') : v;
            }
            if (v > 1000)
                v = 1000;
            if (v >= 0) {
                int n = snprintf(num, sizeof(num), "%d", v);
                memcpy(spec + k, num, n);
                k += n;
            }
        }
        while (*p == 'l' || *p == 'h' || *p == 'j' || *p == 'z' || *p == 't' || *p == 'L') {
            wide |= *p != 'h' && *p != 'L';
            p++;
        }
        char conv = *p;
        if (!conv || !strchr("diuxXocsfFeEgGaAp", conv)) { /* as it stands */
            put(o, start, conv ? (size_t)(p + 1 - start) : strlen(start));
            p += conv != 0;
            continue;
        }
        p++;
        bool eight = wide || strchr("sfFeEgGaAp", conv) != NULL;
        uint64_t bits = 0;
        unsigned size = eight ? 8 : 4;
        at = (at + size - 1) & ~(uint64_t)(size - 1);
        memcpy(&bits, ptx_generic(w, u, l, args + at, size), size);
        at += size;
        count++;
        char str[1024];
        if (strchr("diuxXo", conv)) {
            spec[k++] = 'l';
            spec[k++] = 'l';
        }
        spec[k++] = conv;
        spec[k] = 0;
        if (conv == 's') {
            if (bits)
                get_string(w, u, l, bits, str, sizeof(str));
            else
                strcpy(str, "(null)");
        }
        put_conv(o, spec, conv, wide, bits, str);
    }
    return count;
}

static void do_printf(struct warp *w, const struct uop *u, const struct call *c, uint32_t mask,
                      uint32_t base)
{
    const struct ptx_launch *l = w->x->l;
    char fmt[FMT_MAX];
    uint64_t last = 0;
    bool have = false;
    for (uint32_t k = mask; k; k &= k - 1) {
        int i = __builtin_ctz(k);
        uint64_t f = arg_value(w, c, 0, i, base), args = arg_value(w, c, 1, i, base);
        struct out o;
        int n = -1;
        o.n = 0;
        if (f) {
            if (!have || f != last)
                get_string(w, u, i, f, fmt, sizeof(fmt));
            have = true;
            last = f;
            n = format(w, u, i, fmt, args, &o);
            if (l->print && o.n)
                l->print(l->arg, o.text, o.n);
        }
        ret_value(w, c, i, base, (uint32_t)n);
    }
}

/* The line that the native runtime prints, in fault.what, for the first thread that failed. */
static void do_assert(struct warp *w, const struct uop *u, const struct call *c, uint32_t mask,
                      uint32_t base)
{
    int i = __builtin_ctz(mask);
    char msg[160], file[160], func[160];
    get_string(w, u, i, arg_value(w, c, 0, i, base), msg, sizeof(msg));
    get_string(w, u, i, arg_value(w, c, 1, i, base), file, sizeof(file));
    get_string(w, u, i, arg_value(w, c, 3, i, base), func, sizeof(func));
    ptx_throw(w, u, E_ASSERT, i, 0,
              "%s:%u: %s: block: [%u,%u,%u], thread: [%u,%u,%u] Assertion `%s` failed.", file,
              (uint32_t)arg_value(w, c, 2, i, base), func, w->cta->id[0], w->cta->id[1],
              w->cta->id[2], w->sregs[SR_TID_X][i], w->sregs[SR_TID_Y][i], w->sregs[SR_TID_Z][i],
              msg);
}

int ptx_builtin(struct warp *w, const struct uop *u, const struct call *c, uint32_t mask,
                uint32_t local_base)
{
    const struct ptx_launch *l = w->x->l;
    switch (c->builtin) {
    case BI_VPRINTF:
        do_printf(w, u, c, mask, local_base);
        break;
    case BI_ASSERTFAIL:
        do_assert(w, u, c, mask, local_base);
        break;
    case BI_MALLOC:
        for (uint32_t k = mask; k; k &= k - 1) {
            int i = __builtin_ctz(k);
            uint64_t n = arg_value(w, c, 0, i, local_base);
            ret_value(w, c, i, local_base, l->heap_alloc ? l->heap_alloc(l->arg, n) : 0);
        }
        break;
    case BI_FREE:
        for (uint32_t k = mask; k; k &= k - 1) {
            uint64_t a = arg_value(w, c, 0, __builtin_ctz(k), local_base);
            if (a && l->heap_free)
                l->heap_free(l->arg, a);
        }
        break;
    case BI_SETCOND: /* its handle is the address of its word (device_graph.c) */
        for (uint32_t k = mask; k; k &= k - 1) {
            int i = __builtin_ctz(k);
            uint64_t word = arg_value(w, c, 0, i, local_base);
            uint32_t v = (uint32_t)arg_value(w, c, 1, i, local_base);
            memcpy(ptx_generic(w, u, i, word, sizeof(v)), &v, sizeof(v));
        }
        break;
    default:
        break;
    }
    return 0;
}
