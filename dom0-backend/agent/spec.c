/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/spec.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Decimal digits only. */
static bool parse_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;

    if (!*s)
        return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *out = v;
    return true;
}

int vgpu_size_parse(const char *text, uint64_t *bytes)
{
    static const char units[] = "kmgt";
    size_t n = strlen(text);
    unsigned shift = 0;
    const char *u;
    char digits[24];
    uint64_t v;

    if (n == 0)
        return -EINVAL;
    u = strchr(units, tolower((unsigned char)text[n - 1]));
    if (u) {
        shift = 10u * (unsigned)(u - units + 1);
        n--;
    }
    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
    }
    if (n >= sizeof(digits))
        return -ERANGE;
    memcpy(digits, text, n);
    digits[n] = '\0';
    if (!parse_u64(digits, &v) || v >= 1ull << (63 - shift))
        return -ERANGE;
    *bytes = v << shift;
    return 0;
}

static bool is_hex_uuid(const char *s)
{
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
            return false;
    }
    return s[36] == '\0';
}

static const char *set_backend(struct vgpu_spec *out, const char *v)
{
    if (!*v || strlen(v) >= sizeof(out->backend))
        return "a domain's id or name";
    for (const char *p = v; *p; p++) {
        if (!isalnum((unsigned char)*p) && !strchr("._+-", *p))
            return "a domain's id or name";
    }
    strcpy(out->backend, v);
    return NULL;
}

static const char *set_device(struct vgpu_spec *out, const char *v)
{
    uint64_t n;

    if (!(parse_u64(v, &n) && n < 64 && strlen(v) <= 2) &&
        !(strncmp(v, "GPU-", 4) == 0 && is_hex_uuid(v + 4)))
        return "an index 0..63 or GPU-<uuid>";
    strcpy(out->device, v);
    return NULL;
}

static const char *set_mem(struct vgpu_spec *out, const char *v)
{
    if (vgpu_size_parse(v, &out->mem))
        return "bytes, or a number with K, M, G or T, such as 1G";
    return NULL;
}

static const char *set_weight(struct vgpu_spec *out, const char *v)
{
    uint64_t n;

    if (!parse_u64(v, &n) || n < 1 || n > 65535)
        return "1..65535";
    out->weight = (uint32_t)n;
    return NULL;
}

static const char *set_cap(struct vgpu_spec *out, const char *v)
{
    uint64_t n;

    if (!parse_u64(v, &n) || n > 100)
        return "0..100 (per cent; 0: no limit)";
    out->cap = (uint32_t)n;
    return NULL;
}

static const char *set_processes(struct vgpu_spec *out, const char *v)
{
    uint64_t n;

    if (!parse_u64(v, &n) || n < 1 || n > 256)
        return "1..256";
    out->processes = (uint32_t)n;
    return NULL;
}

int vgpu_profile_name_ok(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > VGPU_PROFILE_MAX)
        return 0;
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
            return 0;
    }
    return 1;
}

static const char *set_profile(struct vgpu_spec *out, const char *v)
{
    if (!vgpu_profile_name_ok(v))
        return "the name of a profile in gvm.conf";
    strcpy(out->profile, v);
    return NULL;
}

/* In the order of VGPU_GIVEN_*. */
static const struct {
    const char *name;
    const char *(*set)(struct vgpu_spec *out, const char *value); /* NULL, or what is allowed */
} keys[] = {
    {"backend", set_backend}, {"device", set_device}, {"mem", set_mem},
    {"weight", set_weight},   {"cap", set_cap},       {"processes", set_processes},
    {"profile", set_profile},
};
#define KEY_NAMES "backend, device, mem, weight, cap, processes, profile"

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static char *trim(char *s)
{
    size_t n;

    while (*s == ' ' || *s == '\t')
        s++;
    n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        s[--n] = '\0';
    return s;
}

/* "key=value", writable. */
static int parse_item(char *item, struct vgpu_spec *out, char *why, unsigned why_n)
{
    char *eq = strchr(item, '='), *key, *value;
    const char *allowed;
    unsigned i;

    if (!eq) {
        snprintf(why, why_n, "'%.60s' is not of the form KEY=VALUE; keys are " KEY_NAMES, item);
        return -EINVAL;
    }
    *eq = '\0';
    key = trim(item);
    value = trim(eq + 1);
    for (i = 0; i < NKEYS && strcmp(keys[i].name, key) != 0; i++)
        ;
    if (i == NKEYS) {
        snprintf(why, why_n, "key '%.60s' is unknown; keys are " KEY_NAMES, key);
        return -EINVAL;
    }
    if (out->given & 1u << i) {
        snprintf(why, why_n, "key '%s' is given twice", key);
        return -EINVAL;
    }
    out->given |= 1u << i;
    allowed = keys[i].set(out, value);
    if (allowed) {
        snprintf(why, why_n, "%s='%.60s' is not allowed; allowed is %s", key, value, allowed);
        return -EINVAL;
    }
    return 0;
}

int vgpu_spec_parse(const char *text, struct vgpu_spec *out, char *why, unsigned why_n)
{
    char copy[VGPU_SPEC_MAX + 1], *p = copy, *item;
    int err;

    *out = (struct vgpu_spec){.backend = "0", .device = "0", .weight = VGPU_DEFAULT_WEIGHT};
    if (strlen(text) > VGPU_SPEC_MAX) {
        snprintf(why, why_n, "entry of %zu octets; allowed are %d", strlen(text), VGPU_SPEC_MAX);
        return -EINVAL;
    }
    /* What is refused is quoted in one line of the log. */
    for (const char *c = text; *c; c++) {
        if (((unsigned char)*c < 0x20 && *c != '\t') || *c == 0x7f) {
            snprintf(why, why_n, "octet 0x%02x; allowed are printable characters",
                     (unsigned char)*c);
            return -EINVAL;
        }
    }
    strcpy(copy, text);
    if (!*trim(copy))
        return 0; /* all defaults */
    while ((item = strsep(&p, ","))) {
        err = parse_item(item, out, why, why_n);
        if (err)
            return err;
    }
    return 0;
}

void vgpu_spec_take(struct vgpu_spec *to, const struct vgpu_spec *from, unsigned which)
{
    which &= from->given;
    if (which & VGPU_GIVEN_MEM)
        to->mem = from->mem;
    if (which & VGPU_GIVEN_WEIGHT)
        to->weight = from->weight;
    if (which & VGPU_GIVEN_CAP)
        to->cap = from->cap;
    if (which & VGPU_GIVEN_PROCESSES)
        to->processes = from->processes;
    to->given |= which;
}

void vgpu_spec_format(const struct vgpu_spec *spec, char *buf, unsigned n)
{
    int used = snprintf(buf, n, "backend=%s,device=%s,mem=%" PRIu64 ",weight=%u,cap=%u",
                        spec->backend, spec->device, spec->mem, spec->weight, spec->cap);

    if (spec->processes)
        snprintf(buf + used, n - (unsigned)used, ",processes=%u", spec->processes);
}
