#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shows that the lints can fail: each rule on a small tree that breaks it, and on one that does not."""
import os
import subprocess
import sys
import tempfile
import unittest

import laws
import purity

SPDX = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
CMAKE = "vj_library (vj-text SOURCES\n  zone.c\n  LINK PkgConfig::GLIB)\n"


class Laws(unittest.TestCase):
    CASES = (
        ("common includes host", "src/common/file.c", '#include "host/agent.h"\n', "may not include"),
        ("host includes guest", "src/host/agent.c", '#include "guest/reader/tree.h"\n', "may not include"),
        ("guest includes host", "src/guest/reader/tree.c", '#include "host/agent.h"\n', "may not include"),
        ("libvirt elsewhere", "src/host/agent.c", "#include <libvirt/libvirt.h>\n", "libvirt's headers"),
        ("I/O header in a pure module", "src/common/zone.c", "#include <unistd.h>\n", "does no I/O"),
        ("I/O header in a pure header", "src/common/zone.h", "#include <gio/gio.h>\n", "does no I/O"),
        ("impure module in a pure one", "src/common/zone.c", '#include "common/file.h"\n', "does no I/O"),
        ("absolute path", "src/host/agent.c", 'char *p = "/sys/class";\n', "names no absolute path"),
        ("long file", "src/host/agent.c", "int a;\n" * 600, "at most 600"),
        ("long function", "src/host/agent.c", "int\nf (void)\n{\n" + "  ;\n" * 58 + "}\n", "a function of"),
    )
    GOOD = (
        ("src/host/cli/libvirt_admin.c", "#include <libvirt/libvirt.h>\n"),
        ("src/host/libvirt/libvirt_connection.c", "#include <libvirt/libvirt.h>\n"),
        ("src/common/zone.c", '#include "common/zone.h"\n#include <string.h>\n'),
        ("src/host/config.c", 'char *p = "/sys";\n'),
        ("src/host/agent.c", '/* "/sys" */ char *p = "class/x"; // "/proc"\nchar *q = "/metrics";\n'),
        ("src/host/agent.c", "int\nf (void)\n{\n" + "  ;\n" * 57 + "}\n"),
    )

    def problems(self, path, text):
        with tempfile.TemporaryDirectory() as top:
            for name, content in (("src/common/CMakeLists.txt", CMAKE), (path, text)):
                os.makedirs(os.path.dirname(os.path.join(top, name)), exist_ok=True)
                with open(os.path.join(top, name), "w", encoding="utf-8") as out:
                    out.write(content)
            return list(laws.check(top))

    def test_broken(self):
        for name, path, text, message in self.CASES:
            with self.subTest(name):
                found = self.problems(path, SPDX + text)
                self.assertEqual(len(found), 1, found)
                self.assertIn(message, found[0])

    def test_kept(self):
        for path, text in self.GOOD:
            with self.subTest(path):
                self.assertEqual(self.problems(path, SPDX + text), [])

    def test_licence(self):
        self.assertIn("SPDX", self.problems("src/host/agent.c", "int a;\n")[0])


class Purity(unittest.TestCase):
    CASES = (
        ("opens a file", "#include <fcntl.h>\nint f (void) { return open (\"x\", 0); }", "open"),
        ("reads a clock", "#include <time.h>\nlong f (void) { return time (0); }", "time"),
        ("prints", "#include <stdio.h>\nvoid f (void) { puts (\"x\"); }", "puts"),
        ("logs", "void g_log (int); void f (void) { g_log (1); }", "g_log"),
        ("reads a file through GLib", "void g_file_get_contents (int); void f (void) { g_file_get_contents (1); }",
         "g_file_get_contents"),
        ("counts calls", "int f (void) { static int calls = 1; return calls++; }", "writable global"),
        ("has a zeroed global", "int calls;", "writable global"),
    )
    GOOD = ("#include <string.h>\nunsigned long f (const char *s) { return strlen (s); }",
            "static const char *const names[] = { \"a\", \"b\" };\nconst char *f (int i) { return names[i]; }")

    def problems(self, text):
        with tempfile.TemporaryDirectory() as top:
            source, thing, archive = (os.path.join(top, name) for name in ("x.c", "x.o", "libx.a"))
            with open(source, "w", encoding="utf-8") as out:
                out.write(text + "\n")
            subprocess.run([os.environ.get("CC", "cc"), "-fPIC", "-O1", "-c", source, "-o", thing], check=True)
            subprocess.run(["ar", "rc", archive, thing], check=True)
            return list(purity.check(archive))

    def test_impure(self):
        for name, text, message in self.CASES:
            with self.subTest(name):
                found = self.problems(text)
                self.assertTrue(found, "nothing found")
                self.assertIn(message, found[0])

    def test_pure(self):
        for text in self.GOOD:
            with self.subTest(text):
                self.assertEqual(self.problems(text), [])


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    unittest.main()
