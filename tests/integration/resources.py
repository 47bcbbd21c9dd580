# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process holds of the kernel."""

import collections
import os
import re

Level = collections.namedtuple("Level", "descriptors epoll inotify threads rss_kb")


def of(pid):
    """Open descriptors by kind, what they watch, and resident memory."""
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
    return Level(dict(kinds), epoll, inotify, int(values["Threads"]), int(values["VmRSS"].split()[0]))
