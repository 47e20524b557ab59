/* SPDX-License-Identifier: MIT */
/* The toolstack's half of a vgpu in XenStore, above all of one whose backend is not dom0. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dom0-backend/agent/nodes.h"
#include "dom0-backend/agent/wanted.h"
#include "dom0-backend/common/xs.h"
#include "tests/unit/mock_xs.h"

#define UUID  "01234567-89ab-cdef-0123-456789abcdef"
#define BACK  "/local/domain/7/backend/vgpu/5/0"
#define FRONT "/local/domain/5/device/vgpu/0"
#define ENTRY "/local/domain/0/gvm/vgpu/5/0/entry"

static void hosts(void)
{
    mock_xs_reset(0);
    mock_xs_put("/local/domain/0/name", "Domain-0");
    mock_xs_put("/local/domain/5/name", "guest");
    mock_xs_put("/local/domain/5/vm", "/vm/" UUID);
    mock_xs_put("/local/domain/7/name", "drv");
}

static int create(const char *text, uint32_t *devid)
{
    struct vgpu_spec spec;
    char why[256];

    assert_int_equal(vgpu_spec_parse(text, &spec, why, sizeof(why)), 0);
    return nodes_create(NULL, 5, devid, &spec);
}

static void entry_of(void *arg, uint32_t front, uint32_t devid, const char *entry)
{
    char *text = arg;

    assert_int_equal(front, 5);
    strcat(text, entry);
    strcat(text, ";");
    assert_true(devid < VGPU_MAX_DEVICES);
}

static void made_in_dom0(void **state)
{
    uint32_t devid = UINT32_MAX;

    hosts();
    assert_int_equal(create("mem=1M", &devid), 0);
    assert_int_equal(devid, 0);
    assert_string_equal(mock_xs_perms("/local/domain/0/backend/vgpu/5/0"), "n0,r5");
    assert_string_equal(mock_xs_perms(FRONT), "n5,r0");
    assert_string_equal(mock_xs_perms("/local/domain/5/name"), "n0");
    assert_null(mock_xs_value(ENTRY));
    assert_true(nodes_has_back(NULL, 5, 0));
}

static void made_in_a_driver_domain(void **state)
{
    uint32_t devid = UINT32_MAX;
    char text[400] = "";

    hosts();
    assert_int_equal(create("backend=drv,mem=1M", &devid), 0);
    assert_string_equal(mock_xs_perms(BACK), "n7,r5");
    assert_string_equal(mock_xs_perms(BACK "/mem"), "n7,r5");
    assert_string_equal(mock_xs_perms(FRONT "/state"), "n5,r7");
    assert_string_equal(mock_xs_perms("/local/domain/5/name"), "n0,r7");
    wanted_each(NULL, entry_of, text);
    assert_string_equal(text, "backend=drv,device=0,mem=1048576,weight=256,cap=0;");
    assert_string_equal(mock_xs_perms(ENTRY), "n0");
    /* A second one does not give the domain a second right to the name. */
    devid = UINT32_MAX;
    assert_int_equal(create("backend=drv", &devid), 0);
    assert_int_equal(devid, 1);
    assert_string_equal(mock_xs_perms("/local/domain/5/name"), "n0,r7");
    assert_int_equal(nodes_remove(NULL, 5, 7, 0), 0);
    assert_null(mock_xs_value(BACK));
    assert_null(mock_xs_value(ENTRY));
    assert_non_null(mock_xs_value("/local/domain/0/gvm/vgpu/5/1/entry"));
    nodes_remove_domain(NULL, 5);
    assert_null(mock_xs_value("/local/domain/7/backend/vgpu/5"));
    assert_null(mock_xs_value("/local/domain/0/gvm"));
}

static void outlives_its_backend(void **state)
{
    struct vgpu_spec change;
    uint32_t devid = UINT32_MAX;
    char why[256];

    hosts();
    assert_int_equal(create("backend=drv,mem=1M", &devid), 0);
    assert_int_equal(vgpu_spec_parse("mem=2M,weight=3", &change, why, sizeof(why)), 0);
    assert_int_equal(nodes_set(NULL, 5, 0, &change), 0);
    assert_string_equal(mock_xs_value(BACK "/mem"), "2097152");
    xs_rm(NULL, XBT_NULL, "/local/domain/7");
    assert_false(nodes_has_back(NULL, 5, 0));
    assert_int_equal(nodes_remove_front(NULL, 5, 0), 0);
    assert_null(mock_xs_value("/local/domain/5/device/vgpu"));
    assert_int_equal(nodes_remove_front(NULL, 5, 0), -ENOENT);
    assert_string_equal(mock_xs_value(ENTRY), "backend=drv,device=0,mem=2097152,weight=3,cap=0");
    /* Its number is not free meanwhile. */
    devid = UINT32_MAX;
    assert_int_equal(create("", &devid), 0);
    assert_int_equal(devid, 1);
    devid = 0;
    assert_int_equal(create(mock_xs_value(ENTRY), &devid), -ENOENT);
    mock_xs_put("/local/domain/9/name", "drv");
    assert_int_equal(create(mock_xs_value(ENTRY), &devid), 0);
    assert_string_equal(mock_xs_value("/local/domain/9/backend/vgpu/5/0/mem"), "2097152");
    assert_string_equal(mock_xs_value(FRONT "/backend-id"), "9");
}

static void detached_while_it_waits(void **state)
{
    struct vgpu_spec spec;
    char why[256];

    hosts();
    assert_int_equal(vgpu_spec_parse("backend=late", &spec, why, sizeof(why)), 0);
    assert_int_equal(wanted_put(NULL, XBT_NULL, 5, 0, &spec), 0);
    assert_int_equal(nodes_detach(NULL, 5, 0, 0), 0);
    assert_null(mock_xs_value("/local/domain/0/gvm"));
    assert_int_equal(nodes_detach(NULL, 5, 0, 0), -ENOENT);
}

static void seen_from_the_driver_domain(void **state)
{
    uint32_t devid = UINT32_MAX;

    hosts();
    mock_xs_put("/local/domain/7/domid", "7");
    xs_set_permissions(NULL, XBT_NULL, "/local/domain/7",
                       (struct xs_permissions[]){{0, XS_PERM_NONE}, {7, XS_PERM_READ}}, 2);
    xs_set_permissions(NULL, XBT_NULL, "/local/domain/7/domid",
                       (struct xs_permissions[]){{0, XS_PERM_NONE}, {7, XS_PERM_READ}}, 2);
    assert_int_equal(create("backend=drv", &devid), 0);
    devid = 1;
    assert_int_equal(create("", &devid), 0);
    mock_xs_ask(7);
    assert_true(nodes_has_back(NULL, 5, 0));
    assert_false(nodes_has_back(NULL, 5, 1)); /* dom0's own */
}

static void nothing_left_behind(void **state)
{
    static const char dir[] = "/local/domain/0/backend/vgpu";
    uint32_t devid = UINT32_MAX;

    hosts();
    assert_int_equal(nodes_remove_empty(NULL, 0), -ENOTEMPTY); /* there is none */
    assert_int_equal(create("mem=1M", &devid), 0);
    assert_int_equal(nodes_remove_empty(NULL, 0), -ENOTEMPTY);
    assert_int_equal(nodes_remove(NULL, 5, 0, devid), 0);
    assert_true(xs_exists(NULL, XBT_NULL, dir));
    assert_int_equal(nodes_remove_empty(NULL, 0), 0);
    assert_false(xs_exists(NULL, XBT_NULL, dir));
    assert_false(xs_exists(NULL, XBT_NULL, "/local/domain/5/device/vgpu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_in_dom0),
        cmocka_unit_test(made_in_a_driver_domain),
        cmocka_unit_test(outlives_its_backend),
        cmocka_unit_test(detached_while_it_waits),
        cmocka_unit_test(seen_from_the_driver_domain),
        cmocka_unit_test(nothing_left_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
