/* SPDX-License-Identifier: MIT */
/* Which vgpus a domain gets: those of its file, or those that it had when it was here last. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "dom0-backend/agent/agent.h"
#include "tests/unit/mock_xs.h"

#define UUID  "01234567-89ab-cdef-0123-456789abcdef"
#define OTHER "01234567-89ab-cdef-0123-456789abcdee"
#define FILED "name='web'\nvgpu=['mem=1G,weight=128']\n"

static char dir[64];
static struct gvm_conf conf;
static struct ev_loop *loop;

static void put(const char *folder, const char *name, const char *text)
{
    char path[200];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s/%s", dir, folder, name);
    f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void start(void)
{
    assert_int_equal(agent_start(loop, &conf), 0);
}

/* As an upgrade of the package does it. */
static void restart(void)
{
    agent_stop(loop);
    start();
}

static void look(void)
{
    mock_xs_fire();
    ev_run(loop, EVRUN_NOWAIT);
}

static void begins(unsigned id, const char *name, const char *uuid)
{
    char path[64], vm[64];

    snprintf(path, sizeof(path), "/local/domain/%u/name", id);
    mock_xs_put(path, name);
    snprintf(path, sizeof(path), "/local/domain/%u/vm", id);
    snprintf(vm, sizeof(vm), "/vm/%s", uuid);
    mock_xs_put(path, vm);
    look();
}

static void ends(unsigned id)
{
    char path[64];

    snprintf(path, sizeof(path), "/local/domain/%u", id);
    xs_rm(NULL, XBT_NULL, path);
    look();
}

/* The weight that a domain's vgpu 0 has; 0: there is none. */
static unsigned weight(unsigned id)
{
    const char *value;
    char path[100];

    snprintf(path, sizeof(path), "/local/domain/0/backend/vgpu/%u/0/weight", id);
    value = mock_xs_value(path);
    return value ? (unsigned)atoi(value) : 0;
}

/* A domain that had what its file says, and weight 512 by gvm set since; it has ended. */
static void was_here(void)
{
    begins(1, "web", UUID);
    assert_int_equal(weight(1), 128);
    put("state", UUID, "0 mem=1G,weight=512\n");
    ends(1);
    assert_int_equal(weight(1), 0);
}

static int setup(void **state)
{
    static const char *const folders[] = {"etc", "state", "run"};
    char path[100];

    strcpy(dir, "/tmp/gvm-test-XXXXXX");
    assert_non_null(mkdtemp(dir));
    for (unsigned i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    gvm_conf_default(&conf);
    conf.nconfig_dirs = 1;
    snprintf(conf.config_dirs[0], sizeof(conf.config_dirs[0]), "%s/etc", dir);
    snprintf(conf.state_dir, sizeof(conf.state_dir), "%s/state", dir);
    snprintf(conf.run_dir, sizeof(conf.run_dir), "%s/run", dir);
    put("etc", "web.cfg", FILED);
    mock_xs_reset(0);
    mock_xs_put("/local/domain/0/name", "Domain-0");
    loop = ev_loop_new(0);
    assert_non_null(loop);
    start();
    return 0;
}

static int teardown(void **state)
{
    char cmd[100];

    agent_stop(loop);
    ev_loop_destroy(loop);
    snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    return system(cmd);
}

static void rebooted(void **state)
{
    was_here();
    begins(2, "web", UUID);
    assert_int_equal(weight(2), 512);
}

/* xl restore: with the same UUID, at any time later, which the agent has not seen before. */
static void restored(void **state)
{
    was_here();
    restart();
    begins(2, "web", UUID);
    assert_int_equal(weight(2), 512);
}

static void received_by_migration(void **state)
{
    put("etc", "web.cfg", FILED "uuid='" UUID "'\n");
    was_here();
    restart();
    begins(2, "web--incoming", UUID);
    assert_int_equal(weight(2), 512);
}

/* Its file is gone, or there are two of its name. */
static void restored_without_its_file(void **state)
{
    was_here();
    put("etc", "web.cfg", "");
    restart();
    begins(2, "web", UUID);
    assert_int_equal(weight(2), 512);
    ends(2);
    put("etc", "web.cfg", FILED);
    put("etc", "copy.cfg", FILED);
    restart();
    begins(3, "web", UUID);
    assert_int_equal(weight(3), 512);
    begins(4, "web", OTHER);
    assert_int_equal(weight(4), 0);
}

/* xl create makes up another UUID. */
static void created_anew(void **state)
{
    was_here();
    begins(2, "web", OTHER);
    assert_int_equal(weight(2), 128);
    ends(2);
    restart();
    begins(3, "web", OTHER);
    assert_int_equal(weight(3), 128);
}

/* A file that gives the UUID counts, unless programs were saved with the domain. */
static void created_anew_with_its_uuid(void **state)
{
    static const char *const as_written[] = {UUID, "01234567-89AB-CDEF-0123-456789ABCDEF"};
    char text[200];

    for (unsigned i = 0; i < 2; i++) {
        snprintf(text, sizeof(text), "%suuid = \"%s\"\n", FILED, as_written[i]);
        put("etc", "web.cfg", text);
        was_here();
        put("state", OTHER ".0.1", "");
        restart();
        begins(2, "web", UUID);
        assert_int_equal(weight(2), 128);
        ends(2);
        restart();
    }
    was_here();
    put("state", UUID ".0.1", "");
    restart();
    begins(2, "web", UUID);
    assert_int_equal(weight(2), 512);
}

/* What was detached does not come back with the daemon. */
static void kept_running(void **state)
{
    begins(1, "web", UUID);
    xs_rm(NULL, XBT_NULL, "/local/domain/1/device/vgpu");
    xs_rm(NULL, XBT_NULL, "/local/domain/0/backend/vgpu/1");
    restart();
    look();
    assert_int_equal(weight(1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rebooted, setup, teardown),
        cmocka_unit_test_setup_teardown(restored, setup, teardown),
        cmocka_unit_test_setup_teardown(received_by_migration, setup, teardown),
        cmocka_unit_test_setup_teardown(restored_without_its_file, setup, teardown),
        cmocka_unit_test_setup_teardown(created_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(created_anew_with_its_uuid, setup, teardown),
        cmocka_unit_test_setup_teardown(kept_running, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
