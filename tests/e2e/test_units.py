#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest's units in a real Debian: nobody starts anything by hand but udev and systemd. One boot for all of it."""
import os
import re
import unittest

import vjtest
from vjtest import wait_until
from vjtest.agent import Agent
from vjtest.guest import PORT, TREE, Guest
from vjtest.libvirt import Libvirtd

POWERCAP = "/sys/class/powercap"
SERVICE = "virtjoule-reader.service"
RULE = "/usr/lib/udev/rules.d/60-virtjoule.rules"
UNITS = f"{SERVICE} sys-class-powercap.path sys-class-powercap.mount"
# Whoever opens a counter finds a number that is no smaller than the last one.
WATCH = """
my ($last, $text) = (0);
for (;; select (undef, undef, undef, 0.1)) {
  my $ok = open (my $file, '<', '%s/intel-rapl:0/energy_uj');
  next if !$ok && !$last;
  $text = $ok ? <$file> // '' : 'nothing';
  if ($text !~ /^\\d+\\n$/ || $text < $last) { print "$text after $last\\n"; $text = $last }
  $last = $text;
}
""" % TREE
# The consumer that keeps its file open: the value moves under it.
REWIND = """
my ($file, $first, $now) = shift;
open (FILE, '<', $file) or die "$file: $!";
for (1 .. 1200) {
  sysseek (FILE, 0, 0);
  sysread (FILE, $now, 64) or die "$file: $!";
  $first //= $now;
  die "$now after $first" if $now < $first;
  exit 0 if $now > $first;
  select (undef, undef, undef, 0.1);
}
die "it does not move";
"""
# For a consumer that looks where only real RAPL can be, as docs/consumers.md has it.
ELSEWHERE = ("systemd-run --quiet --wait --pipe -p TemporaryFileSystem=/sys/devices/virtual "
             "-p BindReadOnlyPaths=/tmp/x/class/powercap:/sys/devices/virtual/powercap")
WORDS = re.compile(r"virtjoule-reader: (waiting for |connected to the host through |the host closed |.* is complete )|"
                   r"(Start|Stopp|Mount)(ing|ed) |.*Deactivated successfully|.*Consumed .* CPU time")
KILL_WORDS = re.compile(r".*(status=9/KILL|Failed with result 'signal'|Scheduled restart job|signal SIGKILL to)")


class GuestUnits(unittest.TestCase):
    def test_units(self):
        with vjtest.work_directory() as work, Libvirtd():
            with Guest(vjtest.image("systemd", work), work, "units", memory=1024, vcpus=2, channel=False) as self.guest:
                with Agent(work, "--interval", "500ms", config="[agent]\nsource = model\n") as self.agent:
                    self.go_through()

    def go_through(self):
        self.guest.wait_up()
        self.last = 0
        for step in (self.units_are_sound, self.plugged, self.consumers_read, self.restarted, self.killed, self.replugged,
                     self.fuse_by_hand, self.nobody_saw_it_fall, self.rebooted, self.journal_is_clean):
            print(f"  {step.__name__}", flush=True)
            step()

    def active(self, unit=SERVICE):
        return self.guest.run(f"systemctl is-active {unit}")[1].strip()

    def wait_active(self, state="active", unit=SERVICE):
        wait_until(lambda: self.active(unit) == state, f"{unit} is {state}")

    def shown(self):
        """What /sys/class/powercap shows; it is the very tree, and it never falls."""
        inodes = self.guest.check(f"stat -L -c %i {POWERCAP}/intel-rapl:0 {TREE}/intel-rapl:0").split()
        self.assertEqual(inodes[0], inodes[1])
        energy = self.guest.energy(POWERCAP)["package-0"]
        self.assertGreaterEqual(energy, self.last)
        self.last = energy
        return energy

    def goes_on(self):
        self.wait_active()
        self.wait_active(unit="sys-class-powercap.mount")
        self.agent.wait_for(self.guest)
        before = self.shown()
        wait_until(lambda: self.shown() > before, "the counter goes on")

    def units_are_sound(self):
        self.assertEqual(self.guest.check(f"systemd-analyze verify --man=no {UNITS}"), "")
        print(self.guest.check(f"systemd-analyze security --no-pager --threshold=15 {SERVICE} | tail -n 1"), end="")
        self.assertEqual(self.active(), "inactive")
        self.assertEqual(self.guest.check(f"ls {POWERCAP}"), "")
        self.guest.write_file("/run/watch.pl", WATCH)
        self.guest.check("perl /run/watch.pl >/run/watch.log 2>&1 &")

    def plugged(self):
        """Before the guest half is there, as where README's steps are taken one after the other."""
        self.guest.check(f"mv {RULE} /run && udevadm control --reload")
        self.guest.plug()
        wait_until(lambda: self.guest.run(f"test -e /dev/virtio-ports/{PORT} && udevadm settle")[0] == 0, "udev knows the port")
        self.assertEqual(self.active(), "inactive")
        with open(os.path.join(vjtest.TOP, "README.md"), encoding="utf-8") as readme:
            look_again = re.search("^ +(udevadm .*)$", readme.read(), re.M).group(1)
        self.guest.check(f"mv /run/{os.path.basename(RULE)} {RULE} && {look_again}")
        self.goes_on()

    def consumers_read(self):
        nobody = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
        self.assertIn("package-0", self.guest.check(f"{nobody} powercap-info -p intel-rapl"))
        self.guest.check(f"{nobody} prometheus-node-exporter --collector.disable-defaults --collector.rapl "
                         "--web.listen-address=127.0.0.1:9101 >/dev/null 2>&1 & echo $! >/run/exporter.pid")
        get = "bash -c 'exec 3<>/dev/tcp/127.0.0.1/9101 && printf \"GET /metrics HTTP/1.0\\r\\n\\r\\n\" >&3 && cat <&3' 2>&1"
        metrics = wait_until(lambda: self.guest.run(f"{get} | grep rapl")[1], "node_exporter answers")
        self.guest.check("kill $(cat /run/exporter.pid)")
        self.assertIn('node_scrape_collector_success{collector="rapl"} 1', metrics)
        joules = re.search(r'^node_rapl_package_joules_total\{index="0".*\} (\S+)$', metrics, re.M)
        self.assertGreater(float(joules.group(1)), 0)

    def restarted(self):
        root = self.guest.check(f"stat -c %i {POWERCAP}")
        self.guest.check(f"systemctl restart {SERVICE}")
        self.goes_on()
        self.assertEqual(self.guest.check(f"stat -c %i {POWERCAP}"), root)

    def killed(self):
        pid = self.guest.check(f"systemctl show -P MainPID {SERVICE}").strip()
        self.guest.check(f"systemctl kill -s KILL {SERVICE}")
        wait_until(lambda: self.guest.check(f"systemctl show -P MainPID {SERVICE}").strip() not in ("0", pid), "it is back")
        self.goes_on()

    def replugged(self):
        """The reader goes with its port; what it showed stays, and stands still."""
        self.guest.unplug()
        wait_until(lambda: self.guest.channel(PORT) is None, "the port is gone")
        self.wait_active("inactive")
        frozen = self.shown()
        self.assertEqual(self.active("sys-class-powercap.mount"), "active")
        self.guest.check("true")
        self.assertEqual(self.shown(), frozen)
        self.guest.plug()
        self.goes_on()

    def fuse_by_hand(self):
        self.guest.check(f"systemctl stop {SERVICE}")
        self.guest.check("mkdir -p /tmp/x/class; virtjoule-reader --backend fuse --tree /tmp/x/class/powercap "
                         ">/run/fuse.log 2>&1 & echo $! >/run/fuse.pid")
        zone = "/tmp/x/class/powercap/intel-rapl:0"
        wait_until(lambda: self.guest.run(f"cat {zone}/energy_uj")[0] == 0, "the fuse tree is there")
        self.guest.write_file("/run/rewind.pl", REWIND)
        self.guest.check(f"perl /run/rewind.pl {zone}/energy_uj")
        self.guest.check(f"{ELSEWHERE} perl /run/rewind.pl /sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj")
        self.guest.check("kill $(cat /run/fuse.pid); while kill -0 $(cat /run/fuse.pid) 2>/dev/null; do sleep 0.1; done")
        self.assertNotIn("/tmp/x", self.guest.check("cat /proc/mounts"))
        self.guest.check(f"systemctl start {SERVICE}")
        self.goes_on()

    def nobody_saw_it_fall(self):
        self.guest.check("pidof perl")
        self.assertEqual(self.guest.check("cat /run/watch.log"), "")
        self.judge_journal(killed=True)

    def rebooted(self):
        """The port is there from the start; counters may begin anew, as real ones do."""
        boot = self.guest.check("cat /proc/sys/kernel/random/boot_id")
        self.guest.check("(sleep 1; systemctl reboot) >/dev/null 2>&1 &")
        self.last = 0
        wait_until(lambda: self.boot_id() not in (None, boot), "the guest is up again", 2 * vjtest.DEADLINE_S)
        self.goes_on()

    def boot_id(self):
        try:
            return self.guest.check("cat /proc/sys/kernel/random/boot_id", 20)
        except (RuntimeError, vjtest.Timeout):  # its shell is ended with the rest, or answers to nobody any more
            return None

    def journal_is_clean(self):
        self.judge_journal(killed=False)
        self.assertEqual(self.guest.check("systemctl --failed --no-legend --plain | grep -E 'virtjoule|powercap' || :"), "")

    def judge_journal(self, killed):
        lines = self.guest.check(f"journalctl -b -q -o cat -u {UNITS.replace(' ', ' -u ')}").splitlines()
        print("".join(f"    | {line}\n" for line in lines), end="")
        odd = [line for line in lines if not WORDS.match(line) and not (killed and KILL_WORDS.match(line))]
        self.assertEqual(odd, [])


if __name__ == "__main__":
    vjtest.main()
