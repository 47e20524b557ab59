/* SPDX-License-Identifier: MIT */
/* vgpu= entries and sizes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dom0-backend/agent/spec.h"

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t bytes;
    } cases[] = {
        {"0", 0, 0},
        {"1", 0, 1},
        {"1k", 0, 1024},
        {"1G", 0, 1ull << 30},
        {"8191T", 0, 8191ull << 40},
        {"", -EINVAL, 0},
        {"G", -EINVAL, 0},
        {"1.5G", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1GB", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"8388608T", -ERANGE, 0},
        {"9223372036854775808", -ERANGE, 0},
        {"9223372036854775807", 0, INT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999999K", -ERANGE, 0},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t v = 0;

        print_message("%s\n", cases[i].text);
        assert_int_equal(vgpu_size_parse(cases[i].text, &v), cases[i].err);
        if (!cases[i].err)
            assert_int_equal(v, cases[i].bytes);
    }
}

static void good_entries(void **state)
{
    struct vgpu_spec s;
    char why[256];

    assert_int_equal(vgpu_spec_parse("", &s, why, sizeof(why)), 0);
    assert_string_equal(s.backend, "0");
    assert_string_equal(s.device, "0");
    assert_int_equal(s.mem, 0);
    assert_int_equal(s.weight, 256);
    assert_int_equal(
        vgpu_spec_parse("backend=gpu-dom, device=3 ,mem=2G,weight=65535", &s, why, sizeof(why)), 0);
    assert_string_equal(s.backend, "gpu-dom");
    assert_string_equal(s.device, "3");
    assert_int_equal(s.mem, 2ull << 30);
    assert_int_equal(s.weight, 65535);
    assert_int_equal(
        vgpu_spec_parse("device=GPU-01234567-89ab-cdef-0123-456789abcdef", &s, why, sizeof(why)),
        0);
}

static void bad_entries(void **state)
{
    static const struct {
        const char *text, *says; /* part of the line */
    } cases[] = {
        {"colour=red", "backend, device, mem, weight, cap, processes, profile"},
        {"mem", "KEY=VALUE"},
        {"mem=1G,", "KEY=VALUE"},
        {",", "KEY=VALUE"},
        {"mem=lots", "1G"},
        {"mem=", "1G"},
        {"weight=0", "1..65535"},
        {"weight=65536", "1..65535"},
        {"weight=-1", "1..65535"},
        {"device=64", "0..63"},
        {"device=GPU-xyz", "GPU-<uuid>"},
        {"device=", "GPU-<uuid>"},
        {"backend=", "id or name"},
        {"backend=a/b", "id or name"},
        {"mem=1G,mem=2G", "twice"},
        {"cap=101", "0..100"},
        {"cap=50%", "0..100"},
        {"processes=0", "1..256"},
        {"processes=257", "1..256"},
        {"profile=", "gvm.conf"},
        {"profile=a b", "gvm.conf"},
    };
    struct vgpu_spec s;
    char why[256], big[2000];

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        why[0] = '\0';
        assert_int_equal(vgpu_spec_parse(cases[i].text, &s, why, sizeof(why)), -EINVAL);
        print_message("%s: %s\n", cases[i].text, why);
        assert_non_null(strstr(why, cases[i].says));
        assert_null(strchr(why, '\n'));
    }
    memset(big, 'a', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    assert_int_equal(vgpu_spec_parse(big, &s, why, sizeof(why)), -EINVAL);
    big[1000] = '\0';
    assert_int_equal(vgpu_spec_parse(big, &s, why, sizeof(why)), -EINVAL);
    assert_true(strlen(why) < 200);
}

static void keys_that_change_live(void **state)
{
    struct vgpu_spec s, change;
    char why[256], text[VGPU_SPEC_MAX + 1];

    assert_int_equal(
        vgpu_spec_parse("cap=50,processes=4,profile=small,weight=7", &s, why, sizeof(why)), 0);
    assert_int_equal(s.cap, 50);
    assert_int_equal(s.processes, 4);
    assert_string_equal(s.profile, "small");
    assert_int_equal(s.given, VGPU_GIVEN_CAP | VGPU_GIVEN_PROCESSES | VGPU_GIVEN_PROFILE |
                                  VGPU_GIVEN_WEIGHT);
    assert_int_equal(vgpu_spec_parse("mem=2G,weight=9", &change, why, sizeof(why)), 0);
    vgpu_spec_take(&s, &change, VGPU_GIVEN_MEM);
    assert_int_equal(s.mem, 2ull << 30);
    assert_int_equal(s.weight, 7);
    vgpu_spec_format(&s, text, sizeof(text));
    assert_string_equal(text, "backend=0,device=0,mem=2147483648,weight=7,cap=50,processes=4");
    assert_int_equal(vgpu_spec_parse(text, &change, why, sizeof(why)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),
        cmocka_unit_test(good_entries),
        cmocka_unit_test(bad_entries),
        cmocka_unit_test(keys_that_change_live),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
