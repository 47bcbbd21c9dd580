# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process holds of the kernel."""

import collections
import os
import re

# Nothing but AddressSanitizer reserves so much.
SANITIZER_KB = 1 << 30
Level = collections.namedtuple("Level", "descriptors epoll inotify threads rss_kb")


def of(pid):
    """Open descriptors by kind, what they watch, and resident memory: 0 under AddressSanitizer, which keeps what is freed,
    and tells of leaks itself."""
    directory = "/proc/%d" % pid
    kinds, epoll, inotify = collections.Counter(), 0, 0
    for fd in os.listdir(directory + "/fd"):
        target = os.readlink("%s/fd/%s" % (directory, fd))
        kinds[re.sub(r"\[?\d+\]?$", "", target) if ":" in target and "/" not in target else target.split("/")[0]] += 1
        with open("%s/fdinfo/%s" % (directory, fd)) as info:
            text = info.read()
        epoll += len(re.findall(r"^tfd:", text, re.M))
        inotify += len(re.findall(r"^inotify wd:", text, re.M))
    with open(directory + "/status") as status:
        values = dict(line.split(":", 1) for line in status)
    size_kb, rss_kb = (int(values[key].split()[0]) for key in ("VmSize", "VmRSS"))
    return Level(dict(kinds), epoll, inotify, int(values["Threads"]), rss_kb if size_kb < SANITIZER_KB else 0)
