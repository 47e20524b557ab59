/* SPDX-License-Identifier: MIT */
/* XenStore nodes against the schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "xenstore-schema/check.h"

#define B "/local/domain/0/backend/vgpu/5/0/"
#define F "/local/domain/5/device/vgpu/0/"

struct kv {
    const char *path, *value;
};

static const struct kv good[] = {
    {B "frontend", "/local/domain/5/device/vgpu/0"},
    {B "frontend-id", "5"},
    {B "online", "1"},
    {B "state", "4"},
    {B "uuid", "0f0d0f0d-0f0d-0f0d-0f0d-0f0d0f0d0f0d"},
    {B "device", "0"},
    {B "mem", "1073741824"},
    {B "weight", "256"},
    {B "versions", "1"},
    {B "max-channels", "16"},
    {B "max-pages", "65536"},
    {F "backend", "/local/domain/0/backend/vgpu/5/0"},
    {F "backend-id", "0"},
    {F "state", "4"},
    {F "version", "1"},
    {F "ring-ref", "8"},
    {F "event-channel", "12"},
};
#define N (sizeof(good) / sizeof(good[0]))

static char hit[256];

static void report(void *arg, const char *path, const char *value, const char *allowed)
{
    print_message("%s = \"%s\": %s\n", path, value, allowed);
    snprintf(hit, sizeof(hit), "%s", path);
}

/* The good tree with one change: `value` NULL drops the node. */
static unsigned changed(const char *path, const char *value)
{
    struct check *c = check_new();
    unsigned bad, found = 0;

    for (unsigned i = 0; i < N; i++) {
        const char *v = good[i].value;

        if (strcmp(good[i].path, path) == 0) {
            found = 1;
            v = value;
        }
        if (v)
            assert_int_equal(check_add(c, good[i].path, v, NULL), 0);
    }
    if (!found)
        assert_int_equal(check_add(c, path, value, NULL), 0);
    hit[0] = '\0';
    bad = check_run(c, report, NULL);
    assert_int_equal(check_dirs(c), 2);
    check_free(c);
    return bad;
}

static void good_tree(void **state)
{
    assert_int_equal(changed("/local/domain/5/device/vif/0/state", "77"), 0);
}

static void one_bad_value(void **state)
{
    static const struct kv bad[] = {
        {B "frontend", "/local/domain/6/device/vgpu/0"},
        {B "frontend", "/local/domain/5/device/vgpu/1"},
        {B "frontend-id", "6"},
        {B "online", "2"},
        {B "state", "9"},
        {B "state", "04"},
        {B "uuid", "zz"},
        {B "device", "64"},
        {B "mem", "-1"},
        {B "mem", "1G"},
        {B "weight", "0"},
        {B "weight", "65536"},
        {B "versions", "1,"},
        {B "versions", ""},
        {B "max-channels", "0"},
        {B "max-pages", "18446744073709551617"},
        {B "error", "two\nlines"},
        {B "colour", "red"},
        {F "backend", "/local/domain/3/backend/vgpu/5/0"},
        {F "version", "x"},
        {F "ring-ref", "0"},
        {F "event-channel", "4294967296"},
        {"/local/domain/5/error/device/vgpu/0/other", "x"},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        print_message("%s = %s\n", bad[i].path, bad[i].value);
        assert_int_equal(changed(bad[i].path, bad[i].value), 1);
        assert_string_equal(hit, bad[i].path);
    }
}

static void missing_nodes(void **state)
{
    for (unsigned i = 0; i < N; i++) {
        if (strstr(good[i].path, "state") || strcmp(good[i].path, F "backend-id") == 0)
            continue;
        assert_int_equal(changed(good[i].path, NULL), 1);
        assert_string_equal(hit, good[i].path);
    }
    /* In state 2 the frontend need not have written anything. */
    assert_true(changed(B "state", "2") == 0);
}

static void text_form(void **state)
{
    static const char text[] = B "state = \"9\"   (n0,r5)\r\n"
                                 "garbage\n" F "state = \"1\"   (n5,r7)\n" F
                                 "backend = \"a = \"b\" c\"\n" F "backend-id = \"0\"";
    struct check *c = check_new();
    unsigned other;

    assert_int_equal(check_add_text(c, text, sizeof(text) - 1, &other), 0);
    assert_int_equal(other, 1);
    assert_int_equal(check_dirs(c), 2);
    /* Value 9; five keys missing behind it (mem and weight may be a profile's); permissions; path. */
    assert_int_equal(check_run(c, report, NULL), 1 + 5 + 1 + 1);
    check_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tree),
        cmocka_unit_test(one_bad_value),
        cmocka_unit_test(missing_nodes),
        cmocka_unit_test(text_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
