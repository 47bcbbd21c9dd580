#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Holds README.md against the tree: every path it names exists, every option it shows is one of the program's, every
setting is in the example configuration, and what it says of ./setup is what ./setup --help says.

usage: readme.py SOURCE-DIRECTORY"""
import glob
import os
import re
import subprocess
import sys


def links(text):
    return re.findall(r"\]\(([^)#]+)\)", text)


def paths(text):
    """What is written as code and begins with one of the tree's directories."""
    return re.findall(r"`((?:src|docs|data|tests|hooks)/[^` *]*)`", text)


def options(text):
    """(program, option) of every command line in the text."""
    for line in text.split("\n"):
        command = re.search(r"(?<![\w-])(setup|virtjouled|virtjoule-attributor|virtjoule-reader|virtjoule)((?:\s.*)?$)", line)
        if command and line.startswith("    "):
            for option in re.findall(r"(?<![\w-])--[a-z-]+", command.group(2).split("#")[0]):
                yield command.group(1), option


def documented(top, program):
    if program == "setup":
        return subprocess.run([os.path.join(top, "setup"), "--help"], capture_output=True, text=True, check=True).stdout
    documents = ""
    for name in (f"{program}.1", f"{program}-*.1", f"{program}.8"):
        for page in glob.glob(os.path.join(top, "docs", name)):
            with open(page, encoding="utf-8") as text:
                documents += text.read().replace("Fl -", "--")
    return documents


def complaints(top):
    with open(os.path.join(top, "README.md"), encoding="utf-8") as readme:
        text = readme.read()
    for path in [*links(text), *paths(text)]:
        if not path.startswith("http") and not os.path.exists(os.path.join(top, path)):
            yield f"names {path}, which does not exist"
    for program, option in options(text):
        if option not in documented(top, program):
            yield f"shows {program} {option}, which {program} does not document"
    with open(os.path.join(top, "data/host/virtjouled.conf"), encoding="utf-8") as config:
        settings = config.read()
    for setting in re.findall(r"`([a-z-]+) = ", text):
        if f"#{setting} =" not in settings:
            yield f"shows the setting {setting}, which data/host/virtjouled.conf does not have"


def main():
    found = list(complaints(sys.argv[1]))
    for complaint in found:
        print(f"README.md {complaint}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
