/* SPDX-License-Identifier: MIT */
#include "dom0-backend/agent/conf.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void gvm_conf_default(struct gvm_conf *c)
{
    *c = (struct gvm_conf){
        .config_dirs = {"/etc/xen", "/etc/xen/auto"},
        .nconfig_dirs = 2,
        .agent = 1,
        .run_dir = "/run/gvm",
        .state_dir = "/var/lib/gvm",
        .state_days = 90,
        .warm_workers = 1,
        .spin_us = 50,
        .slice_us = 10000,
        .max_kernel_s = 60,
        .longest_kernel_s = 3600,
        .suspend_wait_s = 5,
        .log_level = "info",
        .max_channels = 16,
        .max_pages = 65536,
        /* Half of the maptrack entries of a PV dom0, where each mapped page takes two. */
        .max_host_pages = 65536,
        .uid_base = 60000,
        .worker_memory = 8192,
    };
}

enum kind { NUMBER, DIRS, PATH, WORD };

static const struct {
    const char *name;
    enum kind kind;
    size_t off, size;  /* of the member */
    uint64_t min, max; /* NUMBER */
    const char *words; /* WORD: allowed, separated and enclosed by spaces */
    const char *allowed;
} keys[] = {
#define AT(m) offsetof(struct gvm_conf, m), sizeof(((struct gvm_conf *)0)->m)
    {"config_dirs", DIRS, AT(config_dirs), 0, 0, NULL,
     "up to 8 absolute paths, separated by commas"},
    {"agent", NUMBER, AT(agent), 0, 1, NULL, "0 or 1"},
    {"run_dir", PATH, AT(run_dir), 0, 0, NULL, "an absolute path of at most 63 octets"},
    {"state_dir", PATH, AT(state_dir), 0, 0, NULL, "an absolute path of at most 127 octets"},
    {"state_days", NUMBER, AT(state_days), 0, 36500, NULL, "0..36500 (0: for ever)"},
    {"warm_workers", NUMBER, AT(warm_workers), 0, 64, NULL, "0..64"},
    {"threads", NUMBER, AT(threads), 0, 1024, NULL, "0..1024 (0: all)"},
    {"spin_us", NUMBER, AT(spin_us), 0, 1000000, NULL, "0..1000000 (0: never)"},
    {"slice_us", NUMBER, AT(slice_us), 1000, 1000000, NULL, "1000..1000000"},
    {"max_kernel_s", NUMBER, AT(max_kernel_s), 0, 86400, NULL, "0..86400 s (0: no limit)"},
    {"longest_kernel_s", NUMBER, AT(longest_kernel_s), 0, 86400, NULL, "0..86400 s (0: no limit)"},
    {"mps_pipe_directory", PATH, AT(mps), 0, 0, NULL, "an absolute path of at most 100 octets"},
    {"suspend_wait_s", NUMBER, AT(suspend_wait_s), 1, 10, NULL, "1..10 s"},
    {"device_kind", WORD, AT(kind), 0, 0, " ptx cuda ptx-held ", "ptx, cuda or ptx-held"},
    {"log_level", WORD, AT(log_level), 0, 0, " error warning info debug ",
     "error, warning, info or debug"},
    {"max_channels", NUMBER, AT(max_channels), 1, 256, NULL, "1..256"},
    {"max_pages", NUMBER, AT(max_pages), 64, UINT32_MAX, NULL, "64..4294967295"},
    {"max_host_pages", NUMBER, AT(max_host_pages), 64, UINT32_MAX, NULL, "64..4294967295"},
    {"worker_memory", NUMBER, AT(worker_memory), 0, 1u << 20, NULL, "0..1048576 MiB (0: no limit)"},
    {"uid_base", NUMBER, AT(uid_base), 0, 4000000000u, NULL, "0..4000000000 (0: as gvm-backd)"},
#undef AT
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t\r");
    n = strlen(s);
    while (n && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static bool set_number(struct gvm_conf *c, unsigned k, const char *v)
{
    uint64_t n = 0;

    if (!*v || strlen(v) > 19)
        return false;
    for (const char *p = v; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    if (n < keys[k].min || n > keys[k].max)
        return false;
    if (keys[k].size == sizeof(uint64_t)) {
        memcpy((char *)c + keys[k].off, &n, sizeof(n));
    } else {
        uint32_t n32 = (uint32_t)n;

        memcpy((char *)c + keys[k].off, &n32, sizeof(n32));
    }
    return true;
}

static bool set_dirs(struct gvm_conf *c, char *v)
{
    struct gvm_conf new = {.nconfig_dirs = 0};
    char *item;

    while ((item = strsep(&v, ","))) {
        item = trim(item);
        if (item[0] != '/' || strlen(item) >= sizeof(new.config_dirs[0]) ||
            new.nconfig_dirs == GVM_CONF_MAX_DIRS)
            return false;
        strcpy(new.config_dirs[new.nconfig_dirs++], item);
    }
    memcpy(c->config_dirs, new.config_dirs, sizeof(c->config_dirs));
    c->nconfig_dirs = new.nconfig_dirs;
    return true;
}

static bool set(struct gvm_conf *c, unsigned k, char *v)
{
    char word[32];

    switch (keys[k].kind) {
    case NUMBER:
        return set_number(c, k, v);
    case DIRS:
        return set_dirs(c, v);
    case PATH:
        if (v[0] != '/' || strlen(v) >= keys[k].size)
            return false;
        break;
    case WORD:
        if (strlen(v) >= keys[k].size || strchr(v, ' ') || !*v)
            return false;
        snprintf(word, sizeof(word), " %s ", v);
        if (!strstr(keys[k].words, word))
            return false;
        break;
    }
    strcpy((char *)c + keys[k].off, v);
    return true;
}

static const struct gvm_profile *find_profile(const struct gvm_conf *c, const char *name)
{
    for (unsigned i = 0; i < c->nprofiles; i++) {
        if (strcmp(c->profiles[i].name, name) == 0)
            return &c->profiles[i];
    }
    return NULL;
}

/* `profile NAME = KEY=VALUE, ...` */
static bool set_profile(struct gvm_conf *c, const char *name, const char *text, char *why,
                        size_t why_n)
{
    struct gvm_profile new = {.name = ""};

    if (!vgpu_profile_name_ok(name)) {
        snprintf(why, why_n, "profile '%.40s': a name has 1..%d letters, digits, '_', '.' or '-'",
                 name, VGPU_PROFILE_MAX);
        return false;
    }
    strcpy(new.name, name);
    if (vgpu_spec_parse(text, &new.spec, why, (unsigned)why_n))
        return false;
    if (new.spec.given & ~VGPU_GIVEN_LIVE) {
        snprintf(why, why_n, "profile %s: keys of a profile are mem, weight, cap, processes", name);
        return false;
    }
    if (find_profile(c, name)) {
        snprintf(why, why_n, "profile %s is there already", name);
        return false;
    }
    if (c->nprofiles == GVM_CONF_MAX_PROFILES) {
        snprintf(why, why_n, "profile %s: allowed are %d", name, GVM_CONF_MAX_PROFILES);
        return false;
    }
    c->profiles[c->nprofiles++] = new;
    return true;
}

int gvm_conf_spec(const struct gvm_conf *c, const char *text, struct vgpu_spec *out, char *why,
                  unsigned why_n)
{
    const struct gvm_profile *p;
    int used, err = vgpu_spec_parse(text, out, why, why_n);

    if (err || !out->profile[0])
        return err;
    p = find_profile(c, out->profile);
    if (p) {
        vgpu_spec_take(out, &p->spec, VGPU_GIVEN_LIVE & ~out->given);
        return 0;
    }
    used = snprintf(why, why_n, "profile='%s' is not in gvm.conf, which has", out->profile);
    for (unsigned i = 0; i < c->nprofiles && used > 0 && (unsigned)used < why_n; i++)
        used += snprintf(why + used, why_n - (unsigned)used, " %s", c->profiles[i].name);
    if (!c->nprofiles)
        snprintf(why + used, why_n - (unsigned)used, " none");
    return -EINVAL;
}

static bool parse_line(char *line, struct gvm_conf *c, char *why, size_t why_n)
{
    char *eq = strchr(line, '='), *key, *value;
    size_t used;
    unsigned k;

    if (!eq) {
        snprintf(why, why_n, "'%.80s' is not of the form key = value", line);
        return false;
    }
    *eq = '\0';
    key = trim(line);
    value = trim(eq + 1);
    if (strncmp(key, "profile ", 8) == 0)
        return set_profile(c, trim(key + 8), value, why, why_n);
    for (k = 0; k < NKEYS && strcmp(keys[k].name, key) != 0; k++)
        ;
    if (k == NKEYS) {
        used = (size_t)snprintf(why, why_n, "key '%.40s' is unknown; keys are", key);
        for (k = 0; k < NKEYS && used < why_n; k++)
            used += (size_t)snprintf(why + used, why_n - used, " %s", keys[k].name);
        if (used < why_n)
            snprintf(why + used, why_n - used, ", and profile NAME");
        return false;
    }
    if (!set(c, k, value)) {
        snprintf(why, why_n, "%s = '%.80s' is not allowed; allowed is %s", key, value,
                 keys[k].allowed);
        return false;
    }
    return true;
}

unsigned gvm_conf_parse(const char *text, size_t len, struct gvm_conf *c,
                        void (*complain)(void *arg, unsigned line, const char *text), void *arg)
{
    const char *end = text + len;
    unsigned no = 0, bad = 0;

    while (text < end) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((nl ? nl : end) - text);
        char line[2048 + 1], why[400], *p;

        no++;
        if (n > sizeof(line) - 1 || memchr(text, '\0', n)) {
            complain(arg, no, "the line is longer than 2048 octets or holds a NUL");
            bad++;
        } else {
            memcpy(line, text, n);
            line[n] = '\0';
            line[strcspn(line, "#")] = '\0';
            p = trim(line);
            if (*p && !parse_line(p, c, why, sizeof(why))) {
                complain(arg, no, why);
                bad++;
            }
        }
        text += n + 1;
    }
    return bad;
}

static void say_nothing(void *arg, unsigned line, const char *text)
{
}

void gvm_conf_load_file(const char *path, struct gvm_conf *c)
{
    FILE *f = fopen(path, "re");
    char text[65536];

    gvm_conf_default(c);
    if (!f)
        return;
    gvm_conf_parse(text, fread(text, 1, sizeof(text), f), c, say_nothing, NULL);
    fclose(f);
}
