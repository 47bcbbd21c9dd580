#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the attributor's component installs, and the sandbox of its unit."""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

UNIT = "usr/lib/systemd/system/virtjoule-attributor.service"
OPTIONS = None


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


class Staged(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        result = run("cmake", "--install", OPTIONS.build, "--component", "attributor", "--prefix", "/usr",
                     env=dict(os.environ, DESTDIR=str(self.root)))
        self.assertEqual(result.returncode, 0, result.stderr)


class Install(Staged):
    def test_places(self):
        installed = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        self.assertLessEqual({"usr/sbin/virtjoule-attributor", UNIT}, installed)
        self.assertEqual({path for path in installed if "reader" in path or "virtjouled" in path}, set())


class Unit(Staged):
    def unit(self):
        """The installed unit, with the program where it was staged."""
        text, named = re.subn("^ExecStart=virtjoule-attributor$", f"ExecStart={self.root}/usr/sbin/virtjoule-attributor",
                              (self.root / UNIT).read_text(), flags=re.M)
        self.assertEqual(named, 1)
        checked = self.root / "virtjoule-attributor.service"
        checked.write_text(text)
        return str(checked)

    def test_verify(self):
        result = run("systemd-analyze", "verify", "--man=no", self.unit())
        complaints = [line for line in (result.stdout + result.stderr).splitlines() if "attributor" in line]
        self.assertEqual((result.returncode, complaints), (0, []))

    def test_exposure(self):
        """Hardening may grow, not shrink: the exposure level (0 is best, 100 worst) that systemd computes."""
        result = run("systemd-analyze", "security", "--offline=yes", "--threshold=15", self.unit())
        self.assertEqual(result.returncode, 0, result.stdout[-300:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--attributor", required=True)
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("suite")
    OPTIONS = parser.parse_args()
    if OPTIONS.suite == "Unit" and shutil.which("systemd-analyze") is None:
        print("SKIP: systemd-analyze is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], OPTIONS.suite])
