#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rules for AppArmor and SELinux are well formed, as far as their compilers can tell: neither runs here.

usage: test_mac_rules.py AppArmor|Selinux"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(TOP, "data/host")
TOOLS = {"AppArmor": ("apparmor_parser", "apparmor"), "Selinux": ("checkmodule", "checkpolicy")}
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def run(tool, *arguments, text=None):
    program = shutil.which(tool, path=PATH)
    return subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False)


class AppArmor(unittest.TestCase):
    def compile(self, rules):
        return run("apparmor_parser", "--skip-kernel-load", "--skip-cache", text=f"profile virtjoule-test {{\n{rules}\n}}\n")

    def test_compiles(self):
        with open(os.path.join(DATA, "apparmor/libvirt-qemu"), encoding="ascii") as rules:
            done = self.compile(rules.read())
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_compiler_finds_mistakes(self):
        self.assertNotEqual(self.compile("/run/virtjoule/guest.sock rq,").returncode, 0)


class Selinux(unittest.TestCase):
    def compile(self, source):
        with tempfile.TemporaryDirectory() as work:
            return run("checkmodule", "-M", "-m", "-o", os.path.join(work, "virtjoule.mod"), source)

    def test_compiles(self):
        done = self.compile(os.path.join(DATA, "selinux/virtjoule.te"))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_compiler_finds_mistakes(self):
        with tempfile.NamedTemporaryFile("w", suffix=".te") as broken:
            with open(os.path.join(DATA, "selinux/virtjoule.te"), encoding="ascii") as source:
                broken.write(source.read().replace("sock_file { getattr write };\n  class unix", "sock_file getattr;\n  class unix"))
            broken.flush()
            self.assertNotEqual(self.compile(broken.name).returncode, 0)


if __name__ == "__main__":
    needed, package = TOOLS[sys.argv[1]]
    if shutil.which(needed, path=PATH) is None:
        print(f"skipped: {needed} is not installed (apt-get install {package})")
        sys.exit(77)
    unittest.main()
