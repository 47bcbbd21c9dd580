#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Adds up the JUnit files of several ctest runs. A skip that is not expected fails the whole.

An expected-skips file has one line for each: the test's name, then the reason."""
import argparse
import os
import sys
import xml.etree.ElementTree as ElementTree


def read_expected(path):
    with open(path, encoding="utf-8") as lines:
        words = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    for word in words:
        if len(word) < 2:
            sys.exit(f"{path}: '{word[0]}' has no reason")
    return {word[0] for word in words}


def outcome(case):
    if case.find("skipped") is not None:
        return "skipped"
    return "passed" if case.get("status") == "run" else "failed"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--expected-skips", required=True)
    parser.add_argument("results", nargs="+")
    arguments = parser.parse_args()
    expected = read_expected(arguments.expected_skips)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    unexpected = 0
    for path in arguments.results:
        suite = os.path.splitext(os.path.basename(path))[0]
        for case in ElementTree.parse(path).iter("testcase"):
            name, result = case.get("name"), outcome(case)
            counts[result] += 1
            if result != "passed":
                known = result == "skipped" and name in expected
                unexpected += not known
                print(f"{suite}: {name} {result}" + ("" if result == "failed" else
                                                     " as expected" if known else ", which is not expected here"))
    if sum(counts.values()) == 0:
        print("no test ran")
        unexpected += 1
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
