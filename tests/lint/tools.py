#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a checker on the files that it is for: format, shellcheck or cppcheck."""
import os
import shutil
import subprocess
import sys

import tree

# Macros that stand where cppcheck, which does not see GLib's headers, expects a declaration.
GLIB_MACROS = ("G_DEFINE_QUARK(a,b)", "G_GNUC_PRINTF(a,b)", "G_DEFINE_AUTOPTR_CLEANUP_FUNC(a,b)",
               "G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(a,b)", "G_GNUC_WARN_UNUSED_RESULT", "G_GNUC_NULL_TERMINATED")


def command(which, top, scratch):
    paths = tree.files(top)
    sources = [path for path in paths if path.endswith((".c", ".h"))]
    if which == "format":
        return ["clang-format", "--dry-run", "-Werror", *sources]
    if which == "shellcheck":
        return ["shellcheck", "--severity=warning", *[path for path in paths if tree.is_shell(top, path)]]
    os.makedirs(scratch, exist_ok=True)
    return ["cppcheck", "--quiet", "-j2", "--enable=warning,performance,portability", "--error-exitcode=1",
            "--inline-suppr", "--library=gtk", "--std=c11", "--suppress=missingInclude", "--suppress=varFuncNullUB",
            "-DVJ_FUSE=1", *[f"-D{macro}=" for macro in GLIB_MACROS],
            f"--cppcheck-build-dir={scratch}", "-Isrc", "src"]


def main():
    which, top, scratch = sys.argv[1:4]
    arguments = command(which, top, scratch)
    if shutil.which(arguments[0]) is None:
        print(f"skipped: {arguments[0]} is not installed")
        return 77
    return subprocess.run(arguments, cwd=top, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
