/* SPDX-License-Identifier: MIT */
/*
 * storm_drain N FILE SEEDS - at least N changed records through the worker's drain (fuzz_drain.c),
 * under the same sanitizers. Where libFuzzer looks for new paths with short inputs, these are long
 * sessions: hundreds of well-formed records, each with some of its fields changed, so that what one
 * record leaves behind meets all others. Fields whose change is mostly a violation are changed less
 * often.
 *
 * Prints how many records the drain has taken. On a failure the session is kept in FILE, which
 * fuzz_drain takes as its input.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "protocol/vgpuif.h"
#include "tests/fuzz/fuzz_drain.h"

#define SEEDS      2048u
#define SLOTS      64u /* of four octets, from the start of a record; further ones share the last */
#define SEED_MAX   (40u << 10)
#define SESSION    600u /* records at most */
#define INPUT_MAX  (256u << 10)
#define HEAD_SLOTS (sizeof(struct vgpu_rec) / 4)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How often something was tried, and how often it was a violation. */
struct odds {
    uint32_t tried, bad;
};

struct seed {
    uint8_t *data;
    uint32_t size;
    struct odds all, slot[SLOTS];
};

struct choice {
    struct seed *seed;
    size_t at; /* in the input */
    unsigned slot;
};

static struct seed seeds[SEEDS];
static struct choice chosen[SESSION];
static unsigned nchosen, noted;
static unsigned nseeds;
static uint8_t input[INPUT_MAX];
static size_t input_len;
static const char *crash_file;
static uint64_t rng;

static uint32_t roll(uint32_t below)
{
    rng ^= rng << 13; /* xorshift64 */
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)((rng >> 16) % below);
}

static void keep_input(void)
{
    int fd = open(crash_file, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    if (fd < 0 || write(fd, input, input_len) != (ssize_t)input_len)
        fprintf(stderr, "%s: %m\n", crash_file);
}

static void on_abort(int sig)
{
    keep_input();
    _exit(128 + sig);
}

static void load(const char *dir)
{
    struct dirent *e;
    DIR *d = opendir(dir);

    while (d && (e = readdir(d)) && nseeds < SEEDS) {
        struct seed *s = &seeds[nseeds];
        char path[512];
        struct stat st;
        int fd;

        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        fd = open(path, O_RDONLY);
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
            st.st_size >= (off_t)sizeof(struct vgpu_rec) && st.st_size <= (off_t)SEED_MAX) {
            s->data = malloc((size_t)st.st_size);
            s->size = (uint32_t)st.st_size;
            if (s->data && read(fd, s->data, s->size) == (ssize_t)s->size)
                nseeds++;
        }
        close(fd);
    }
    if (d)
        closedir(d);
}

/* What mostly breaks the rules is still done, but seldom. */
static bool risky(const struct odds *o)
{
    return o->bad * 8 > o->tried + 8 && roll(24);
}

static uint32_t value_for(uint32_t was)
{
    static const uint32_t edge[] = {
        0,     1,        2,          3,        4,       7,    8,          15,    16,
        63,    64,       255,        256,      1023,    1024, 4095,       4096,  65535,
        65536, 1u << 20, 0x7fffffff, 1u << 31, ~0u - 1, ~0u,  0x4d4f4b00, 0x4d4f};

    switch (roll(6)) {
    case 0:
        return roll(16);
    case 1:
        return was + 1 - roll(3);
    case 2:
        return was ^ 1u << roll(32);
    case 3:
        return (uint32_t)(rng >> 7);
    default:
        return edge[roll(sizeof(edge) / sizeof(edge[0]))];
    }
}

static unsigned pick_slot(struct seed *s)
{
    unsigned n = s->size / 4, slot;

    /* The header is mostly left alone: most of what it says has one right value. */
    for (int tries = 0; tries < 8; tries++) {
        slot = n > HEAD_SLOTS && roll(64) ? HEAD_SLOTS + roll(n - (unsigned)HEAD_SLOTS) : roll(n);
        if (!risky(&s->slot[slot < SLOTS ? slot : SLOTS - 1]))
            break;
    }
    return slot;
}

static struct choice add_record(void)
{
    struct choice c;
    uint8_t *at = input + input_len;
    int changes = 1 + (int)roll(3);

    do {
        c.seed = &seeds[roll(nseeds)];
    } while (risky(&c.seed->all) || (c.seed->size > 1024 && roll(64)));
    memcpy(at, c.seed->data, c.seed->size);
    while (changes--) {
        uint32_t v;

        c.slot = pick_slot(c.seed);
        memcpy(&v, at + c.slot * 4, 4);
        v = value_for(v);
        memcpy(at + c.slot * 4, &v, 4);
    }
    c.at = input_len;
    input_len += c.seed->size;
    return c;
}

static void learn(size_t at, bool violation)
{
    struct odds *o;

    while (noted < nchosen && chosen[noted].at < at)
        noted++;
    if (noted == nchosen || chosen[noted].at != at)
        return; /* a wrong length has moved the records */
    o = &chosen[noted].seed->slot[chosen[noted].slot < SLOTS ? chosen[noted].slot : SLOTS - 1];
    o->tried++;
    o->bad += violation;
    chosen[noted].seed->all.tried++;
    chosen[noted].seed->all.bad += violation;
}

/* One session in 16 has its pages changed while they are read. */
static void add_plan(void)
{
    unsigned n = roll(16) ? 0 : 1 + roll(40);

    for (unsigned i = 0; i < n * 5; i++)
        input[input_len++] = (uint8_t)(i % 5 == 3 && roll(4) ? 0 : roll(256));
    input[input_len++] = (uint8_t)n;
}

int main(int argc, char **argv)
{
    unsigned long wanted, sessions = 0;
    struct timespec t;
    uint64_t first;

    if (argc < 4 || !(wanted = strtoul(argv[1], NULL, 10))) {
        fprintf(stderr, "usage: storm_drain N FILE SEEDS\n");
        return 2;
    }
    crash_file = argv[2];
    load(argv[3]);
    if (!nseeds) {
        fprintf(stderr, "%s: no seeds\n", argv[3]);
        return 2;
    }
    clock_gettime(CLOCK_REALTIME, &t);
    rng = first = getenv("STORM_SEED") ? strtoull(getenv("STORM_SEED"), NULL, 0)
                                       : (uint64_t)t.tv_sec * 1000000007u + (uint64_t)t.tv_nsec;
    if (!rng)
        rng = 1;
    __sanitizer_set_death_callback(keep_input);
    signal(SIGABRT, on_abort);
    LLVMFuzzerInitialize(&argc, &argv);
    fuzz_drain_note = learn;
    while (fuzz_drain_records < wanted) {
        input_len = nchosen = noted = 0;
        while (nchosen < SESSION && input_len < INPUT_MAX - SEED_MAX - 256)
            chosen[nchosen++] = add_record();
        add_plan();
        LLVMFuzzerTestOneInput(input, input_len);
        sessions++;
    }
    printf("storm: %lu records in %lu sessions, %lu violations, seed 0x%llx\n", fuzz_drain_records,
           sessions, fuzz_drain_violations, (unsigned long long)first);
    return 0;
}
