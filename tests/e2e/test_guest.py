#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The small guest itself: it boots, obeys, has both ports, and its kernel has a powercap directory to bind over."""
import unittest

import vjtest
from vjtest.guest import PORT, Guest
from vjtest.libvirt import Libvirtd


class SmallGuest(unittest.TestCase):
    def test_boots_and_obeys(self):
        with vjtest.work_directory() as work, Libvirtd():
            with Guest(vjtest.image("small", work), work, "small") as guest:
                guest.wait_up()
                self.assertEqual(guest.run("echo one; echo two >&2; exit 3"), (3, "one\ntwo\n"))
                self.assertEqual(len(guest.check("head -c 200000 /dev/zero | tr '\\0' x")), 200000)
                self.assertIn(PORT, guest.check("cat /sys/class/virtio-ports/*/name").split())
                guest.check("test -d /sys/class/powercap")
                guest.check("powercap-info --help; prometheus-node-exporter --version")


if __name__ == "__main__":
    vjtest.main()
