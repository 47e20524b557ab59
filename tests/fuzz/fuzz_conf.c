/* SPDX-License-Identifier: MIT */
/* gvm.conf, and the keys that are read from xl's files. The first octet chooses. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dom0-backend/agent/conf.h"
#include "dom0-backend/agent/xlcfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void complain(void *arg, unsigned line, const char *text)
{
    must(line > 0 && text && *text);
    ++*(unsigned *)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xlcfg x;
    static struct gvm_conf c;
    unsigned told = 0;
    char why[160];
    char *text;

    if (!size)
        return 0;
    text = malloc(size - 1 ? size - 1 : 1);
    must(text != NULL);
    memcpy(text, data + 1, size - 1);
    if (data[0] == 'c') {
        gvm_conf_default(&c);
        must(gvm_conf_parse(text, size - 1, &c, complain, &told) == told);
        must(c.nconfig_dirs <= GVM_CONF_MAX_DIRS && c.max_channels <= 256);
        for (unsigned i = 0; i < c.nconfig_dirs; i++)
            must(memchr(c.config_dirs[i], '\0', sizeof(c.config_dirs[i])) != NULL);
    } else {
        memset(why, 0, sizeof(why));
        if (xlcfg_parse(text, size - 1, &x, why, sizeof(why)))
            must(*why && memchr(why, '\0', sizeof(why)));
        must(x.nvgpu <= XLCFG_MAX_VGPU);
        must(memchr(x.name, '\0', sizeof(x.name)) != NULL);
        for (unsigned i = 0; i < x.nvgpu; i++)
            must(memchr(x.vgpu[i], '\0', sizeof(x.vgpu[i])) != NULL);
    }
    free(text);
    return 0;
}
