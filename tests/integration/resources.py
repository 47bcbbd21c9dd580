# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a process holds of the kernel."""

import collections
import os
import re
import time

# Nothing but AddressSanitizer reserves so much.
SANITIZER_KB = 1 << 30
DEADLINE_S = 240
STEADY = 20  # looks in a row that find the same
# A worker more may cost as much: its stack and its heap.
THREAD_KB = 256


class Level(collections.namedtuple("Level", "descriptors epoll inotify threads rss_kb")):
    @property
    def held(self):
        """What is to be given back."""
        return self.descriptors, self.epoll, self.inotify


def of(pid):
    """Open descriptors by kind, what they watch, and resident memory: 0 under AddressSanitizer, which keeps what is freed,
    and tells of leaks itself."""
    directory = "/proc/%d" % pid
    kinds, epoll, inotify = collections.Counter(), 0, 0
    for fd in os.listdir(directory + "/fd"):
        try:
            target = os.readlink("%s/fd/%s" % (directory, fd))
            with open("%s/fdinfo/%s" % (directory, fd)) as info:
                text = info.read()
        except FileNotFoundError:  # closed in between
            continue
        kinds[re.sub(r"\[?\d+\]?$", "", target) if ":" in target and "/" not in target else target.split("/")[0]] += 1
        epoll += len(re.findall(r"^tfd:", text, re.M))
        inotify += len(re.findall(r"^inotify wd:", text, re.M))
    with open(directory + "/status") as status:
        values = dict(line.split(":", 1) for line in status)
    size_kb, rss_kb = (int(values[key].split()[0]) for key in ("VmSize", "VmRSS"))
    return Level(dict(kinds), epoll, inotify, int(values["Threads"]), rss_kb if size_kb < SANITIZER_KB else 0)


def steady(pid, like=None):
    """The level once all that is about to be closed is closed: when it holds what another level did, or, without one, the
    same for a while. After a deadline, whatever it is then."""
    looks = [of(pid)]
    end = time.monotonic() + DEADLINE_S
    while time.monotonic() < end:
        if like is not None and looks[-1].held == like.held:
            break
        if like is None and len(looks) >= STEADY and all(look.held == looks[-1].held for look in looks[-STEADY:]):
            break
        time.sleep(0.1)
        looks.append(of(pid))
    return looks[-1]


def threads_kb(before, after):
    return THREAD_KB * max(0, after.threads - before.threads)
