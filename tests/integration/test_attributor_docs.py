#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The attributor's documents against the program: options, metrics with their labels, members of the JSON document. Each class
needs one tool; without it the whole run exits 77."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
GOLDEN = SOURCE / "tests" / "data" / "attributor"
GUIDE = SOURCE / "docs" / "attributor.md"
PAGE = SOURCE / "docs" / "virtjoule-attributor.8"
SERIES = re.compile(r"^([a-z_]+)(?:\{(.*)\})? [0-9.]+$", re.M)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="(?:[^"\\]|\\.)*"')
OPTIONS = None


def run(*command, text=None):
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False,
                          env=dict(os.environ, LC_ALL="C.UTF-8"))


class Options(unittest.TestCase):
    def setUp(self):
        self.help = run(OPTIONS.attributor, "--help").stdout

    def test_page(self):
        described = [line for line in PAGE.read_text().splitlines() if line.startswith(".It Fl ")]
        self.assertEqual({f"-{name}" for line in described for name in re.findall(r"Fl (-[a-z-]+)", line)},
                         set(re.findall(r"^  (?:-h, )?(--[a-z-]+)", self.help, re.M)))

    def test_defaults(self):
        """What the help says in brackets stands on the page too."""
        page = PAGE.read_text()
        for default in re.findall(r"\((\S+)\)$", self.help, re.M):
            self.assertIn(default, page)


class Metrics(unittest.TestCase):
    def setUp(self):
        self.text = (GOLDEN / "metrics.prom").read_text()
        rows = re.findall(r"^\| `(virtjoule_\w+)` \| (\w+) \|([^|]*)\|", GUIDE.read_text(), re.M)
        self.documented = {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}
        self.assertEqual(len(rows), len(self.documented))

    def test_families_and_labels(self):
        exported = {name: (kind, set()) for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.M)}
        for name, labels in SERIES.findall(self.text):
            exported[name][1].update("label_NAME" if label.startswith("label_") else label for label in LABEL.findall(labels))
        self.assertEqual(self.documented, exported)

    def test_conventions(self):
        for name, (kind, labels) in self.documented.items():
            with self.subTest(name):
                self.assertEqual(name.endswith("_total"), kind == "counter")
                self.assertEqual("_energy_joules_" in name, "zone" in labels)
                self.assertRegex(self.text, rf"(?m)^# HELP {name} [A-Z1].*\.$")

    def test_examples_name_what_there_is(self):
        for name in re.findall(r"virtjoule_[a-z]+(?:_[a-z]+)+", GUIDE.read_text()):
            self.assertIn(name, self.documented)


def members(value):
    """The names of all members within, but for zones and labels, whose names are not ours."""
    if isinstance(value, list):
        return set().union(*(members(element) for element in value))
    if not isinstance(value, dict):
        return set()
    inner = (members(element) for name, element in value.items() if not name.endswith("_uj") and name != "labels")
    return set(value).union(*inner)


class Document(unittest.TestCase):
    def test_members(self):
        section = GUIDE.read_text().partition("## The JSON document")[2]
        documented = set(re.findall(r"^ *- `(\w+)`", section, re.M))
        self.assertEqual(documented | {"kind", "namespace", "name", "energy_uj"},
                         members(json.loads((GOLDEN / "energy.json").read_text())))
        self.assertLessEqual({"kind", "namespace", "name", "energy_uj"}, documented)


class Mandoc(unittest.TestCase):
    def test_lint(self):
        result = run("mandoc", "-Tlint", "-Wwarning", str(PAGE))
        self.assertEqual((result.returncode, result.stdout), (0, ""))


class Promtool(unittest.TestCase):
    def test_check(self):
        result = run("promtool", "check", "metrics", text=(GOLDEN / "metrics.prom").read_text())
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))


TOOLS = {"Mandoc": "mandoc", "Promtool": "promtool"}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--attributor", required=True)
    parser.add_argument("suite")
    OPTIONS = parser.parse_args()
    if OPTIONS.suite in TOOLS and shutil.which(TOOLS[OPTIONS.suite]) is None:
        print(f"SKIP: {TOOLS[OPTIONS.suite]} is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], OPTIONS.suite])
