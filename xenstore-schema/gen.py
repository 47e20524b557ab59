#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes vgpu_keys.h, vgpu_schema.h and vgpu_schema.c from vgpu.schema."""
import re
import sys

TYPES = {"uint": 2, "enum": None, "path": 1, "domid": 1, "uuid": 0, "device": 0, "versions": 0,
         "text": 1}
WRITERS = ("toolstack", "backend", "frontend")


class SchemaError(Exception):
    pass


class Key:
    def __init__(self, name, kind, args):
        self.name, self.kind, self.args = name, kind, args
        self.writer, self.states, self.doc = None, [], ""


class Dir:
    def __init__(self, name, pattern):
        self.name, self.pattern = name, pattern
        self.perms, self.keys = None, []


def parse(text):
    dirs, cur, key = [], None, None
    for no, line in enumerate(text.splitlines(), 1):
        line = line.rstrip()
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = line.split()
        try:
            if words[0] == "dir":
                cur, key = Dir(words[1], words[2]), None
                dirs.append(cur)
            elif words[0] == "perms":
                cur.perms = tuple(words[1:3])
            elif words[0] == "key":
                name, kind, args = words[1], words[2], words[3:]
                if kind not in TYPES:
                    raise SchemaError(f"type {kind}: allowed are {', '.join(TYPES)}")
                if TYPES[kind] is not None and len(args) != TYPES[kind]:
                    raise SchemaError(f"type {kind} takes {TYPES[kind]} arguments")
                if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
                    raise SchemaError(f"key {name}: lower case, digits and dashes only")
                key = Key(name, kind, args)
                cur.keys.append(key)
            elif words[0] == "writer":
                if words[1] not in WRITERS:
                    raise SchemaError(f"writer {words[1]}: allowed are {', '.join(WRITERS)}")
                key.writer = words[1]
            elif words[0] == "states":
                key.states = [int(w) for w in words[1:]]
            elif words[0] == "doc":
                key.doc = line.strip()[4:]
            else:
                raise SchemaError(f"unknown word {words[0]}")
        except SchemaError as e:
            raise SchemaError(f"line {no}: {e}")
        except (IndexError, AttributeError, ValueError):
            raise SchemaError(f"line {no}: not understood: {line.strip()}")
    for d in dirs:
        if not d.perms or len(d.perms) != 2:
            raise SchemaError(f"dir {d.name} has no perms")
        for k in d.keys:
            if not k.writer:
                raise SchemaError(f"key {d.name}/{k.name} has no writer")
    return dirs


def macro(name):
    return "VGPU_XS_" + name.upper().replace("-", "_")


def gen_keys(dirs):
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Generated from xenstore-schema/vgpu.schema: names of XenStore keys. */",
           "#ifndef VGPU_KEYS_H", "#define VGPU_KEYS_H", ""]
    seen = {}
    for d in dirs:
        out.append(f"/* {d.pattern} */")
        order = [v for v in re.findall(r"\{(.)\}", d.pattern)]
        names = {"B": "backend domain", "F": "frontend domain", "D": "device"}
        fmt = re.sub(r"\{.\}", "%u", d.pattern)
        out.append(f"/* printf arguments: {', '.join(names[v] for v in order)} */")
        out.append(f'#define {macro(d.name)}_FMT "{fmt}"')
        for k in d.keys:
            m = macro(k.name)
            if k.name in seen:
                continue
            seen[k.name] = True
            doc = f" /* {k.doc} */" if k.doc else ""
            out.append(f'#define {m} "{k.name}"{doc}')
        out.append("")
    out += ["#endif", ""]
    return "\n".join(out)


HEADER = """/* SPDX-License-Identifier: MIT */
/* Generated from xenstore-schema/vgpu.schema: what each node may hold. */
#ifndef VGPU_SCHEMA_H
#define VGPU_SCHEMA_H

#include <stdint.h>

enum schema_type { %(types)s };
enum schema_writer { %(writers)s };

struct schema_key {
    const char *name;
    enum schema_type type;
    uint64_t min, max;        /* SCHEMA_UINT; max: SCHEMA_TEXT */
    const char *const *values; /* SCHEMA_ENUM, NULL-terminated */
    char other;               /* SCHEMA_DOMID: 'B' or 'F' */
    const char *dir;          /* SCHEMA_PATH: name of the other directory */
    enum schema_writer writer;
    uint32_t states;          /* bit N: must be there in state N */
    const char *allowed;      /* for messages */
};

struct schema_dir {
    const char *name;
    const char *pattern; /* {B}, {F}, {D}: numbers */
    char owner, reader;  /* 'B', 'F' or '-' */
    const struct schema_key *keys;
    unsigned nkeys;
};

extern const struct schema_dir vgpu_schema[];
extern const unsigned vgpu_schema_n;

#endif
"""


def allowed(k):
    a = k.args
    return {"uint": lambda: f"{a[0]}..{a[1]}", "enum": lambda: " or ".join(a),
            "path": lambda: f"the path of the {a[0]} directory",
            "domid": lambda: "the domain id in the other directory's path",
            "uuid": lambda: "a UUID", "device": lambda: "an index 0..63 or GPU-<uuid>",
            "versions": lambda: "decimal numbers, comma separated",
            "text": lambda: f"at most {a[0]} printable octets"}[k.kind]()


def gen_schema(dirs):
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Generated from xenstore-schema/vgpu.schema. */",
           '#include "vgpu_schema.h"', "", "#include <stddef.h>", ""]
    for d in dirs:
        for k in d.keys:
            if k.kind == "enum":
                vals = ", ".join(f'"{v}"' for v in k.args)
                out.append(f"static const char *const {d.name}_{k.name.replace('-', '_')}[] = "
                           f"{{{vals}, NULL}};")
    for d in dirs:
        out.append(f"\nstatic const struct schema_key {d.name}_keys[] = {{")
        for k in d.keys:
            f = [f'.name = "{k.name}"', f".type = SCHEMA_{k.kind.upper()}",
                 f".writer = SCHEMA_BY_{k.writer.upper()}"]
            if k.kind == "uint":
                f += [f".min = {k.args[0]}u", f".max = {k.args[1]}u"]
            elif k.kind == "text":
                f.append(f".max = {k.args[0]}u")
            elif k.kind == "enum":
                f.append(f".values = {d.name}_{k.name.replace('-', '_')}")
            elif k.kind == "domid":
                f.append(f".other = '{k.args[0]}'")
            elif k.kind == "path":
                f.append(f'.dir = "{k.args[0]}"')
            if k.states:
                f.append(".states = " + " | ".join(f"1u << {s}" for s in k.states))
            f.append(f'.allowed = "{allowed(k)}"')
            out.append("    {" + ", ".join(f) + "},")
        out.append("};")
    out.append("\nconst struct schema_dir vgpu_schema[] = {")
    for d in dirs:
        out.append(f'    {{"{d.name}", "{d.pattern}", \'{d.perms[0]}\', \'{d.perms[1]}\', {d.name}_keys, '
                   f"sizeof({d.name}_keys) / sizeof({d.name}_keys[0])}},")
    out += ["};", f"const unsigned vgpu_schema_n = {len(dirs)};", ""]
    return "\n".join(out)


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: gen.py vgpu.schema OUTPUT-DIRECTORY")
    try:
        with open(sys.argv[1]) as f:
            dirs = parse(f.read())
    except (OSError, SchemaError) as e:
        sys.exit(f"{sys.argv[1]}: {e}")
    header = HEADER % {"types": ", ".join(f"SCHEMA_{t.upper()}" for t in TYPES),
                       "writers": ", ".join(f"SCHEMA_BY_{w.upper()}" for w in WRITERS)}
    for name, text in (("vgpu_keys.h", gen_keys(dirs)), ("vgpu_schema.h", header),
                       ("vgpu_schema.c", gen_schema(dirs))):
        with open(f"{sys.argv[2]}/{name}", "w") as f:
            f.write(text)


if __name__ == "__main__":
    main()
