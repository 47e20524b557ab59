/* SPDX-License-Identifier: MIT */
/* gvm.conf, and the files that keep accepted entries. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/find.h"
#include "dom0-backend/agent/saved.h"

static char last[512];
static unsigned last_line;

static void complain(void *arg, unsigned line, const char *text)
{
    snprintf(last, sizeof(last), "%s", text);
    last_line = line;
}

static unsigned parse(const char *text, struct gvm_conf *c)
{
    last[0] = '\0';
    gvm_conf_default(c);
    return gvm_conf_parse(text, strlen(text), c, complain, NULL);
}

static void good(void **state)
{
    struct gvm_conf c;

    assert_int_equal(
        parse("# comment\n\n  max_channels = 32  # more\n"
              "config_dirs = /a, /b/c ,/d\nwarm_workers=0\ndevice_kind = ptx\n"
              "max_host_pages = 100000\nuid_base = 0\nlog_level=debug\n"
              "run_dir = /tmp/run\nspin_us = 1000000\nmps_pipe_directory = /tmp/nvidia-mps",
              &c),
        0);
    assert_int_equal(c.max_channels, 32);
    assert_int_equal(c.nconfig_dirs, 3);
    assert_string_equal(c.config_dirs[1], "/b/c");
    assert_int_equal(c.warm_workers, 0);
    assert_string_equal(c.kind, "ptx");
    assert_int_equal(c.max_host_pages, 100000);
    assert_int_equal(c.uid_base, 0);
    assert_int_equal(c.spin_us, 1000000);
    assert_string_equal(c.log_level, "debug");
    assert_string_equal(c.run_dir, "/tmp/run");
    assert_string_equal(c.mps, "/tmp/nvidia-mps");
    assert_int_equal(parse("", &c), 0);
    assert_string_equal(c.mps, ""); /* off */
    assert_int_equal(parse("mps_pipe_directory = yes", &c), 1);
    assert_non_null(strstr(last, "absolute path of at most 100 octets"));
    assert_string_equal(c.mps, "");
}

static void limits_of_kernels(void **state)
{
    static const char *keys[] = {"max_kernel_s", "longest_kernel_s"};
    struct gvm_conf c;
    char text[64];

    assert_int_equal(parse("", &c), 0);
    assert_int_equal(c.max_kernel_s, 60);
    assert_int_equal(c.longest_kernel_s, 3600);
    assert_int_equal(parse("max_kernel_s = 0\nlongest_kernel_s = 86400", &c), 0);
    assert_int_equal(c.max_kernel_s, 0);
    assert_int_equal(c.longest_kernel_s, 86400);
    assert_int_equal(parse("max_kernel_s = 86400\nlongest_kernel_s = 0", &c), 0);
    assert_int_equal(c.max_kernel_s, 86400);
    assert_int_equal(c.longest_kernel_s, 0);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "%s = 86401", keys[i]);
        assert_int_equal(parse(text, &c), 1);
        assert_non_null(strstr(last, "0..86400 s (0: no limit)"));
        snprintf(text, sizeof(text), "%s = never", keys[i]);
        assert_int_equal(parse(text, &c), 1);
    }
}

static void agent_switch(void **state)
{
    static struct gvm_conf c;

    assert_int_equal(parse("", &c), 0);
    assert_int_equal(c.agent, 1);
    assert_int_equal(parse("agent = 0", &c), 0);
    assert_int_equal(c.agent, 0);
    assert_int_equal(parse("agent = 2", &c), 1);
    assert_non_null(strstr(last, "0 or 1"));
}

static void profiles(void **state)
{
    static struct gvm_conf c;
    struct vgpu_spec s;
    char why[256];

    assert_int_equal(parse("profile small = mem=4G, weight=128, cap=25, processes=4\n"
                           "profile big.1=mem=32G",
                           &c),
                     0);
    assert_int_equal(c.nprofiles, 2);
    assert_int_equal(gvm_conf_spec(&c, "profile=small,device=1,cap=50", &s, why, sizeof(why)), 0);
    assert_int_equal(s.mem, 4ull << 30);
    assert_int_equal(s.weight, 128);
    assert_int_equal(s.cap, 50); /* the entry's own */
    assert_int_equal(s.processes, 4);
    assert_string_equal(s.device, "1");
    assert_int_equal(gvm_conf_spec(&c, "profile=big.1", &s, why, sizeof(why)), 0);
    assert_int_equal(s.weight, VGPU_DEFAULT_WEIGHT); /* neither says */
    assert_int_equal(gvm_conf_spec(&c, "profile=none", &s, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "profile='none' is not in gvm.conf, which has small big.1");
    assert_int_equal(parse("", &c), 0);
    assert_int_equal(gvm_conf_spec(&c, "profile=small", &s, why, sizeof(why)), -EINVAL);
    assert_string_equal(why, "profile='small' is not in gvm.conf, which has none");
    assert_int_equal(parse("profile a/b = mem=1G", &c), 1);
    assert_int_equal(parse("profile a = mem=lots", &c), 1);
    assert_int_equal(parse("profile a = device=1", &c), 1);
    assert_non_null(strstr(last, "mem, weight, cap, processes"));
    assert_int_equal(parse("profile a = mem=1G\nprofile a = mem=2G", &c), 1);
    assert_int_equal(last_line, 2);
    assert_int_equal(c.profiles[0].spec.mem, 1ull << 30);
}

static void bad_lines_change_nothing(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"\nmax_chanels = 3", "keys are config_dirs"},
        {"\nmax_channels = 0", "1..256"},
        {"\nmax_channels = 257", "1..256"},
        {"\nmax_channels = 3x", "1..256"},
        {"\nmax_channels =", "1..256"},
        {"\nconfig_dirs = etc", "absolute"},
        {"\nconfig_dirs = /a,,/b", "absolute"},
        {"\ndevice_kind = gpu", "ptx, cuda or ptx-held"},
        {"\nlog_level = loud", "debug"},
        {"\nlog_level =", "debug"},
        {"\nrun_dir = x", "absolute"},
        {"\nnonsense", "key = value"},
        {"\nconfig_dirs = /1,/2,/3,/4,/5,/6,/7,/8,/9", "up to 8"},
        {"\nmax_pages = 99999999999999999999999", "64..4294967295"},
    };
    struct gvm_conf c, d;

    gvm_conf_default(&d);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(parse(cases[i].text, &c), 1);
        print_message("%s\n", last);
        assert_int_equal(last_line, 2);
        assert_non_null(strstr(last, cases[i].says));
        assert_memory_equal(&c, &d, sizeof(c));
    }
}

static void saved_files(void **state)
{
    static struct saved s, t;
    const char text[] = "0 mem=1G\n3 device=1\n99 x\n-1 y\nnonsense\n1\n2 \n";

    saved_parse(text, sizeof(text) - 1, &s);
    assert_true(s.has[0] && s.has[3] && s.has[2] && !s.has[1]);
    assert_string_equal(s.spec[0], "mem=1G");
    assert_string_equal(s.spec[3], "device=1");
    assert_string_equal(s.spec[2], "");

    char dir[] = "/tmp/gvm-test-XXXXXX";

    assert_non_null(mkdtemp(dir));
    assert_int_equal(saved_store(dir, "u", &s), 0);
    assert_int_equal(saved_load(dir, "u", &t), 0);
    assert_memory_equal(&s, &t, sizeof(s));
    memset(&s, 0, sizeof(s));
    assert_int_equal(saved_store(dir, "u", &s), 0); /* nothing to keep: no file */
    assert_true(saved_load(dir, "u", &t) < 0);
    assert_int_equal(rmdir(dir), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void find_by_name(void **state)
{
    char dir[] = "/tmp/gvm-test-XXXXXX", sub[64], files[512], cmd[128];
    static struct xlcfg cfg;
    struct gvm_conf c;

    assert_non_null(mkdtemp(dir));
    snprintf(sub, sizeof(sub), "%s/auto", dir);
    assert_int_equal(mkdir(sub, 0700), 0);
    gvm_conf_default(&c);
    snprintf(c.config_dirs[0], sizeof(c.config_dirs[0]), "%s", dir);
    snprintf(c.config_dirs[1], sizeof(c.config_dirs[1]), "%s", sub);
    put(dir, "a.cfg", "name='a'\nvgpu=['mem=1G']\n");
    put(dir, "b.cfg", "name='b'\n");
    put(dir, "xl.conf", "## not a domain {}\nautoballoon=\"auto\"\n");
    put(dir, "script", "#!/bin/sh\nexit 0\n");
    assert_int_equal(find_config(&c, "a", &cfg, files, sizeof(files)), 1);
    assert_int_equal(cfg.nvgpu, 1);
    assert_non_null(strstr(files, "a.cfg"));
    assert_int_equal(find_config(&c, "c", &cfg, files, sizeof(files)), 0);
    snprintf(cmd, sizeof(cmd), "ln -s ../a.cfg %s/a", sub);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(find_config(&c, "a", &cfg, files, sizeof(files)), 1); /* the same file */
    put(sub, "other", "name='a'\n");
    assert_int_equal(find_config(&c, "a", &cfg, files, sizeof(files)), 2);
    assert_non_null(strstr(files, "other"));
    snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    assert_int_equal(system(cmd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(limits_of_kernels),
        cmocka_unit_test(agent_switch),
        cmocka_unit_test(profiles),
        cmocka_unit_test(bad_lines_change_nothing),
        cmocka_unit_test(saved_files),
        cmocka_unit_test(find_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
