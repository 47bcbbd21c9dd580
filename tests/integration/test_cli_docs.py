#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's documents against its programs: manual pages, options, JSON fields, metrics, unit file, installation.
Each class needs one tool; without it the whole run exits 77."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
DOCS = SOURCE / "docs"
GOLDEN = SOURCE / "tests" / "data" / "api"
WITH_SUBVERBS = ("channel", "domain")
OPTIONS = None


def run(*command, text=None, **environment):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False,
                          env=dict(os.environ, LC_ALL="C.UTF-8", **environment))


def options_of(*command):
    return set(re.findall(r"--[a-z-]+", run(*command, "--help").stdout)) - {"--help"}


def options_in(page):
    return {f"-{name}" for name in re.findall(r"^\.It Fl (?:[hv] , Fl )?(-[a-z-]+)", (DOCS / page).read_text(), re.M)} - {
        "--help"}


class AgentOptions(unittest.TestCase):
    def test_agent(self):
        self.assertEqual(options_in("virtjouled.8"), options_of(OPTIONS.virtjouled))


class Options(unittest.TestCase):
    def test_command_line(self):
        program = OPTIONS.virtjoule
        verbs = re.findall(r"^  ([a-z]+) ", run(program, "--help").stdout.partition("Verbs:")[2], re.M)
        page = (DOCS / "virtjoule.1").read_text()
        self.assertEqual(verbs, re.findall(r"^\.Ss ([a-z]+)$", page, re.M))
        apart = [verb for verb in verbs if (DOCS / f"virtjoule-{verb}.1").exists()]
        here = [options_of(program, verb) for verb in verbs if verb not in apart]
        self.assertEqual(options_in("virtjoule.1"), options_of(program).union(*here) - {"--help"})
        for verb in apart:
            if verb not in WITH_SUBVERBS:
                self.assertEqual(options_in(f"virtjoule-{verb}.1"), options_of(program, verb))


class Subverbs(unittest.TestCase):
    def check(self, verb):
        program = OPTIONS.virtjoule
        page = f"virtjoule-{verb}.1"
        subverbs = re.findall(r"^  ([a-z]+) ", run(program, verb, "--help").stdout.partition("Verbs:")[2], re.M)
        self.assertEqual([f"{verb} {subverb}" for subverb in subverbs],
                         re.findall(r"^\.Ss ([a-z ]+)$", (DOCS / page).read_text(), re.M))
        offered = {subverb: options_of(program, verb, subverb) for subverb in subverbs}
        self.assertEqual(options_in(page), set().union(*offered.values()))
        for subverb, options in offered.items():
            self.assertEqual(self.synopsis(page, f"{verb} {subverb}"), options)

    def synopsis(self, page, verb):
        text = (DOCS / page).read_text().partition(".Sh SYNOPSIS")[2].partition(".Sh DESCRIPTION")[0]
        form = next(form for form in text.split(".Nm virtjoule") if f".Cm {verb}\n" in form)
        return {f"-{option}" for option in re.findall(r"Fl (-[a-z-]+)", form)} - {"--runtime-dir"}

    def test_pages(self):
        for verb in WITH_SUBVERBS:
            with self.subTest(verb):
                self.check(verb)


def members(value):
    """The names of all members within, but for zones, whose names are not ours."""
    if isinstance(value, list):
        return set().union(*(members(element) for element in value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(members(inner) for key, inner in value.items() if key not in ("energy_uj", "static_uj")))


class Fields(unittest.TestCase):
    def check(self, verb):
        page = (DOCS / "virtjoule.1").read_text()
        section = re.search(rf"^\.Ss Document of {verb}$(.*?)^\.S[hs] ", page, re.M | re.S).group(1)
        documented = set(re.findall(r"^\.It Li (\S+)$", section, re.M))
        self.assertEqual(documented, members(json.loads((GOLDEN / f"{verb}.json").read_text())))

    def test_list(self):
        self.check("list")

    def test_status(self):
        self.check("status")


class Mandoc(unittest.TestCase):
    def test_lint(self):
        pages = sorted(DOCS.glob("*.[158]"))
        self.assertGreater(len(pages), 6)
        for page in pages:
            with self.subTest(page.name):
                result = run("mandoc", "-Tlint", "-Wwarning", str(page))
                self.assertEqual((result.returncode, result.stdout), (0, ""))


class Promtool(unittest.TestCase):
    def test_check(self):
        result = run("promtool", "check", "metrics", text=(GOLDEN / "metrics.prom").read_text())
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))


class Staged(unittest.TestCase):
    """The host component, installed below a temporary directory."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory(prefix="vj-install-")
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.install()

    def install(self):
        result = run("cmake", "--install", OPTIONS.build, "--component", "host", "--prefix", "/usr",
                     DESTDIR=str(self.root))
        self.assertEqual(result.returncode, 0, result.stderr)


class Install(Staged):
    def test_places(self):
        installed = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        self.assertEqual(installed, {
            "etc/virtjoule/virtjouled.conf", "usr/bin/virtjoule", "usr/lib/systemd/system/virtjouled.service",
            "usr/lib/tmpfiles.d/virtjoule.conf", "usr/sbin/virtjouled",
            "usr/share/doc/virtjoule/examples/virtjouled.conf", "usr/share/man/man1/virtjoule.1",
            "usr/share/man/man1/virtjoule-channel.1", "usr/share/man/man1/virtjoule-domain.1",
            "usr/share/man/man1/virtjoule-proxmox.1",
            "usr/share/man/man5/virtjouled.conf.5", "usr/share/man/man8/virtjouled.8",
            "usr/share/virtjoule/apparmor/libvirt-qemu", "usr/share/virtjoule/channel-connect.xml",
            "usr/share/virtjoule/channel.xml", "usr/share/virtjoule/hooks/proxmox-hookscript",
            "usr/share/virtjoule/hooks/qemu",
            "usr/share/virtjoule/selinux/virtjoule.fc", "usr/share/virtjoule/selinux/virtjoule.te"})
        self.assertTrue(os.access(self.root / "usr/share/virtjoule/hooks/proxmox-hookscript", os.X_OK))

    def test_documented_places(self):
        """As they are where the build is installed as README says."""
        named = [(page.name, place) for page in (SOURCE / "README.md", *DOCS.iterdir()) if page.suffix != ".svg"
                 for place in re.findall(r"(?:/[\w.-]+)*/share/virtjoule(?:/[\w-][\w.-]*\w)*", page.read_text())]
        self.assertGreater(len(named), 5)
        for page, place in named:
            with self.subTest(page=page, place=place):
                self.assertTrue(place.startswith("/usr/local/"))
                self.assertTrue((self.root / "usr" / place.removeprefix("/usr/local/")).exists())

    def test_settings_survive(self):
        settings = self.root / "etc/virtjoule/virtjouled.conf"
        settings.write_text("[agent]\ninterval = 2s\n")
        self.install()
        self.assertEqual(settings.read_text(), "[agent]\ninterval = 2s\n")


class Unit(Staged):
    def unit(self):
        """The installed unit, with the program where it was staged."""
        staged = self.root / "usr/lib/systemd/system/virtjouled.service"
        text = staged.read_text()
        text, named = re.subn(
            "^ExecStart=virtjouled$", "ExecStart=%s" % (self.root / "usr/sbin/virtjouled"), text, flags=re.M)
        self.assertEqual(named, 1)
        checked = self.root / "virtjouled.service"
        checked.write_text(text)
        return str(checked)

    def test_verify(self):
        result = run("systemd-analyze", "verify", "--man=no", self.unit())
        complaints = [line for line in (result.stdout + result.stderr).splitlines() if "virtjouled" in line]
        self.assertEqual((result.returncode, complaints), (0, []))

    def test_exposure(self):
        """Hardening may grow, not shrink: the exposure level (0 is best, 100 worst) that systemd computes."""
        result = run("systemd-analyze", "security", "--offline=yes", "--threshold=25", self.unit())
        self.assertEqual(result.returncode, 0, result.stdout[-300:])


TOOLS = {"Mandoc": "mandoc", "Promtool": "promtool", "Unit": "systemd-analyze"}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--virtjoule", required=True)
    parser.add_argument("--virtjouled", required=True)
    parser.add_argument("--build", required=True, help="build directory")
    parser.add_argument("suite")
    OPTIONS = parser.parse_args()
    if OPTIONS.suite in TOOLS and shutil.which(TOOLS[OPTIONS.suite]) is None:
        print(f"SKIP: {TOOLS[OPTIONS.suite]} is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], OPTIONS.suite])
