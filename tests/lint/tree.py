# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the lints look at: the project's own files, with or without git."""
import os
import re

ROOTS = ("setup", ".ci", "cmake", "CMakeLists.txt", "src", "hooks", "tests")


def files(top):
    """Paths below top, relative, sorted."""
    found = []
    for root in ROOTS:
        path = os.path.join(top, root)
        if os.path.isfile(path):
            found.append(root)
        for directory, names, leaves in os.walk(path):
            names[:] = [name for name in names if name != "__pycache__"]
            found += [os.path.relpath(os.path.join(directory, leaf), top) for leaf in leaves]
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8", errors="replace") as handle:
        return handle.read()


def is_c(path):
    return path.endswith((".c", ".h"))


def is_shell(top, path):
    if path.endswith(".sh"):
        return True
    return "." not in os.path.basename(path) and re.match(r"#!.*\b(ba|da)?sh\b", read(top, path)[:80]) is not None


def pure_sources(top):
    """Sources of the pure libraries, as the CMakeLists.txt beside them list them."""
    found = set()
    for directory in ("src/common", "src/host"):
        if not os.path.exists(os.path.join(top, directory, "CMakeLists.txt")):
            continue
        listed = re.findall(r"vj_library \((vj-attribution|vj-statistics|vj-text|vj-frame|vj-qemu-text) SOURCES\s+([^)]*?)(?:\s+LINK[^)]*)?\)",
                            read(top, f"{directory}/CMakeLists.txt"), re.S)
        found.update(f"{directory}/{source}" for _, sources in listed for source in sources.split())
    return found
