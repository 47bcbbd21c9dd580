#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The laws of the source tree that text alone can show: who includes whom, where paths may stand, lengths, licences."""
import re
import sys

import tree

LIBVIRT = {"src/host/cli/libvirt_admin.c", "src/host/libvirt/libvirt_connection.c"}
PATHS_ALLOWED = {"src/host/config.c", "src/host/main.c", "src/host/cli/cli_main.c", "src/host/cli/cli_proxmox.c",
                 "src/guest/attributor/attributor_options.c", "src/guest/names/kubernetes_options.c",
                 "src/guest/reader/reader_main.c"}
PURE_SYSTEM = {"glib.h", "json-glib/json-glib.h", "string.h", "stdlib.h", "errno.h", "limits.h", "stdarg.h", "stdint.h",
               "inttypes.h", "math.h"}
FILE_LINES = {"src/": 600, "": 800}  # a table of cases may be longer than code
FUNCTION_LINES = 60
INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]')
ABSOLUTE = re.compile(r'"(/(?:sys|proc|run|etc|dev|var|usr|tmp)(?:/[^"]*)?)"')


def includes(text):
    for number, line in enumerate(text.splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1)


def check_layers(top, path, text):
    """common < host, common < guest; host and guest do not know each other."""
    forbidden = {"src/common/": ("host/", "guest/"), "src/host/": ("guest/",), "src/guest/": ("host/",)}
    for layer, others in forbidden.items():
        if path.startswith(layer):
            for number, name in includes(text):
                if name.startswith(others):
                    yield number, f"{layer} may not include {name}"


def check_libvirt(top, path, text):
    for number, name in includes(text):
        if path.startswith("src/") and path not in LIBVIRT and name.startswith("libvirt"):
            yield number, f"{name}: libvirt's headers belong in {', '.join(sorted(LIBVIRT))} alone"


def source_of(path):
    """x.c for x.c, x.h and x_private.h."""
    return path.removesuffix(".h").removesuffix(".c").removesuffix("_private") + ".c"


def check_pure_includes(top, path, text):
    pure = tree.pure_sources(top)
    if source_of(path) not in pure:
        return
    for number, name in includes(text):
        own = source_of(f"src/{name}") in pure or name == "common/units.h"
        if not own and name not in PURE_SYSTEM:
            yield number, f"{name}: a pure module does no I/O and includes nothing that could"


def without_comments(text):
    blank = lambda found: re.sub(r"[^\n]", " ", found.group(0)) if found.group(0).startswith("/") else found.group(0)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.S)


def check_paths(top, path, text):
    if not path.startswith("src/") or path in PATHS_ALLOWED:
        return
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        for found in ABSOLUTE.findall(line):
            yield number, f'"{found}": a module takes a root, it names no absolute path'


def check_file_length(top, path, text):
    limit = next(limit for start, limit in FILE_LINES.items() if path.startswith(start))
    lines = text.count("\n")
    if lines > limit:
        yield limit, f"{lines} lines: at most {limit}"


def check_function_length(top, path, text):
    start = None
    previous = ""
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{" and previous.rstrip().endswith(")"):
            start = number
        elif line == "}" and start is not None:
            if number - start + 2 > FUNCTION_LINES:
                yield start, f"a function of {number - start + 2} lines: at most {FUNCTION_LINES}"
            start = None
        previous = line or previous


def check_licence(top, path, text):
    if text and not any("SPDX-License-Identifier: LGPL-2.1-or-later" in line for line in text.splitlines()[:3]):
        yield 1, "no SPDX-License-Identifier in the first lines"


C_CHECKS = (check_layers, check_libvirt, check_pure_includes, check_paths, check_function_length)


def check(top):
    for path in tree.files(top):
        text = None
        checks = []
        if tree.is_c(path):
            checks = [*C_CHECKS, check_file_length, check_licence]
        elif path.endswith(".py") or tree.is_shell(top, path):
            checks = [check_file_length, check_licence]
        for one in checks:
            text = text if text is not None else tree.read(top, path)
            for number, message in one(top, path, text):
                yield f"{path}:{number}: {message}"


def main():
    problems = list(check(sys.argv[1]))
    print("\n".join(problems) or "laws: kept")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
