/* SPDX-License-Identifier: MIT */
/* Domain configuration files in xl's syntax. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dom0-backend/agent/xlcfg.h"

static struct xlcfg cfg;
static char why[128];

static int parse(const char *text)
{
    why[0] = '\0';
    return xlcfg_parse(text, strlen(text), &cfg, why, sizeof(why));
}

static void ordinary_file(void **state)
{
    assert_int_equal(parse("# a guest\n"
                           "name = 'web'   # its name\n"
                           "memory=512; vcpus = 2\n"
                           "\n"
                           "disk = [ 'phy:/dev/vg/web,xvda,w', \"file:/x,xvdb,r\" ]\n"
                           "vif = [ '' ]\n"
                           "extra = \"console=hvc0 a='b'\"\n"
                           "vgpu = [ 'backend=0,device=0,mem=1G',   # the first\n"
                           "         \"device=1\",\n"
                           "       ]\n"
                           "on_crash = \"destroy\""),
                     0);
    assert_string_equal(cfg.name, "web");
    assert_int_equal(cfg.nvgpu, 2);
    assert_string_equal(cfg.vgpu[0], "backend=0,device=0,mem=1G");
    assert_string_equal(cfg.vgpu[1], "device=1");
}

static void forms(void **state)
{
    assert_int_equal(parse("vgpu='mem=1G'\nname=\"a\\x41\\102\\n\""), 0);
    assert_int_equal(cfg.nvgpu, 1);
    assert_string_equal(cfg.name, "aAB\n");
    assert_int_equal(parse("vgpu=['a=1']\nvgpu=['b=2']\nname='x'\nname='y'\n"), 0);
    assert_int_equal(cfg.nvgpu, 1);
    assert_string_equal(cfg.vgpu[0], "b=2");
    assert_string_equal(cfg.name, "y");
    assert_int_equal(parse("vgpu=['a=1']\nvgpu+=['b=2']\n"), 0);
    assert_int_equal(cfg.nvgpu, 2);
    assert_int_equal(parse("vgpu = [ ['nested'], 'ok=1' ]\nname = [ 'no' ]\n"), 0);
    assert_int_equal(cfg.nvgpu, 1);
    assert_string_equal(cfg.vgpu[0], "ok=1");
    assert_string_equal(cfg.name, "");
    assert_int_equal(parse("vgpu=[]\r\nname='dos'\r\n"), 0);
    assert_string_equal(cfg.name, "dos");
    assert_int_equal(parse("uuid='x'\nname='y'\nuuid=\"01234567-89AB-cdef-0123-456789abcdef\"\n"),
                     0);
    assert_string_equal(cfg.uuid, "01234567-89AB-cdef-0123-456789abcdef");
    assert_int_equal(parse("uuid='01234567-89AB-cdef-0123-456789abcdef-'\n"), 0);
    assert_string_equal(cfg.uuid, "");
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse("# only a comment"), 0);
    assert_int_equal(cfg.nvgpu, 0);
}

static void errors_name_the_line(void **state)
{
    static const char *const bad[] = {
        "name = 'x'\nvgpu = [ 'a'\n", "name = 'x'\nvgpu = 'a\n",
        "name = 'x'\n= 3\n",          "name = 'x'\nmemory\n",
        "name = 'x'\nvif = { }\n",    "name = 'x'\na = 'b' 'c'\n",
        "name = 'x'\n1a = 2\n",       "name = 'x'\nvgpu = [ 'a' 'b' ]\n",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(parse(bad[i]), -EINVAL);
        print_message("%s\n", why);
        assert_memory_equal(why, "line ", 5);
        assert_string_equal(cfg.name, "x");
    }
}

static void limits(void **state)
{
    static char big[XLCFG_MAX_SIZE + 2], deep[64 * 2 + 10];

    memset(big, ' ', sizeof(big));
    assert_int_equal(xlcfg_parse(big, sizeof(big), &cfg, why, sizeof(why)), -EINVAL);
    memset(deep, '[', 64);
    memcpy(deep, "a=", 2);
    assert_int_equal(xlcfg_parse(deep, 64, &cfg, why, sizeof(why)), -EINVAL);
    assert_int_equal(parse("vgpu=['1','2','3','4','5','6','7','8','9','10']"), 0);
    assert_int_equal(cfg.nvgpu, XLCFG_MAX_VGPU);
    assert_int_equal(cfg.vgpu_lost, 2);
    memset(big, 'x', 5000);
    memcpy(big, "vgpu='", 6);
    memcpy(big + 5000, "'\n", 3);
    assert_int_equal(parse(big), 0);
    assert_int_equal(cfg.nvgpu, 0);
    assert_int_equal(cfg.vgpu_lost, 1);
    assert_int_equal(xlcfg_parse("name='a\0b'", 10, &cfg, why, sizeof(why)), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_file),
        cmocka_unit_test(forms),
        cmocka_unit_test(errors_name_the_line),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
