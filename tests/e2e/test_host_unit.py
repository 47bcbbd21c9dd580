#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's unit in a real Debian, a guest here: what its sandbox allows is enough, with and without libvirt, and for the
channel of a domain under the libvirt in there."""
import json
import re
import unittest

import vjtest
from vjtest import wait_until
from vjtest.guest import CHANNEL, Guest
from vjtest.libvirt import Libvirtd

UNIT = "virtjouled.service"
CONFIG = "/etc/virtjoule/virtjouled.conf"
UUID = "5a5b7c86-2f1b-4a6e-9a57-1d2c3b4a5f60"
METER = """
mkdir -p /srv/sys/class/powercap/intel-rapl:0
cd /srv/sys/class/powercap/intel-rapl:0
echo package-0 >name; echo 262143328850 >max_energy_range_uj; echo 1000000 >energy_uj
chmod 400 energy_uj; chown nobody energy_uj
"""
# Nothing but firmware runs in it.
DOMAIN = f"""<domain type='qemu'><name>inner</name><uuid>{UUID}</uuid><memory unit='MiB'>16</memory>
<os><type arch='x86_64' machine='pc'>hvm</type></os>
<devices><controller type='usb' model='none'/><memballoon model='none'/>{CHANNEL}</devices></domain>"""
# All that the journal may hold.
WORDS = re.compile(r"no energy meter |cannot connect to qemu:///system: .*trying again$|connected to qemu:///system$|"
                   r"continuing with \d+ domains of \d+$|virtjouled: /etc/virtjoule/virtjouled.conf:2: |"
                   r"Start(ing|ed) |Stopp(ing|ed) |.*Deactivated successfully|.*Consumed .* CPU time|"
                   r".*signal SIGKILL to |.*status=(9/KILL|2/)|.*Failed with result '(signal|exit-code)'|Failed to start |"
                   r".*Scheduled restart job")


class HostUnit(unittest.TestCase):
    def test_unit(self):
        with vjtest.work_directory() as work, Libvirtd():
            with Guest(vjtest.image("host", work), work, "host", memory=1280, vcpus=2, channel=False) as self.guest:
                self.guest.wait_up()
                self.go_through()

    def go_through(self):
        for step in (self.unit_is_sound, self.starts_without_libvirt, self.answers_those_it_may, self.comes_back, self.stops,
                     self.refuses_a_wrong_setting, self.reads_a_meter, self.serves_a_domain, self.journal_is_clean):
            print(f"  {step.__name__}", flush=True)
            step()

    def show(self, name):
        return self.guest.check(f"systemctl show -P {name} {UNIT}").strip()

    def status(self):
        code, text = self.guest.run("virtjoule status --json")
        return json.loads(text) if code == 0 else None

    def wait_status(self, condition, what):
        def look():
            status = self.status()
            return status if status and condition(status) else None
        return wait_until(look, what)

    def measures(self):
        """Waits for figures; each zone's parts are its whole."""
        first = wait_until(self.status, "the agent answers")["ticks"]["count"]
        status = self.wait_status(lambda status: status["ticks"]["count"] > first + 1, "it ticks")
        for zone in status["zones"]:
            self.assertEqual(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"], zone["measured_uj"], zone)
        return status

    def journal(self):
        return self.guest.check(f"journalctl -b -q -o cat -u {UNIT}").splitlines()

    def wait_journal(self, words):
        """The journal has it in its own time."""
        wait_until(lambda: any(words in line for line in self.journal()), f"the journal has a line with {words}")

    def set_meter(self, energy_uj):
        """Without a moment in which it is empty, as a counter never is."""
        self.guest.check(f"echo {energy_uj} 1<>/srv/sys/class/powercap/intel-rapl:0/energy_uj")

    def unit_is_sound(self):
        self.assertEqual(self.guest.check(f"systemd-analyze verify --man=no {UNIT}"), "")
        print(self.guest.check(f"systemd-analyze security --no-pager --threshold=35 {UNIT} | tail -n 1"), end="")

    def starts_without_libvirt(self):
        self.assertEqual(self.show("ActiveState"), "inactive")
        self.guest.check(f"systemctl start {UNIT}")
        self.assertEqual(self.show("ActiveState"), "active")
        status = self.measures()
        self.assertFalse(status["libvirt"]["connected"])
        self.assertEqual(status["sources"][0]["quality"], "estimated")
        self.assertGreater(status["zones"][0]["measured_uj"], 0)
        print(self.guest.check("virtjoule status; virtjoule list"), end="")
        self.wait_journal("libvirt")
        self.assertEqual(self.guest.check("stat -c '%a %U' /run/virtjoule /var/lib/virtjoule"), "755 root\n700 root\n")

    def answers_those_it_may(self):
        """The socket's mode says who: root and its group."""
        nobody = "setpriv --reuid=nobody --clear-groups --regid"
        self.guest.check(f"{nobody}=root virtjoule status")
        code, text = self.guest.run(f"{nobody}=nogroup virtjoule status")
        print(f"    {text}", end="")
        self.assertNotEqual(code, 0)
        self.assertRegex(text, r"^virtjoule: [^\n]*permission denied: run as root or [^\n]*\n$")

    def comes_back(self):
        """Killed, it continues the same account."""
        before, pid = self.measures(), self.show("MainPID")
        self.guest.check(f"systemctl kill -s KILL {UNIT}")
        wait_until(lambda: self.show("MainPID") not in ("0", pid), "it is back")
        after = self.measures()
        self.assertEqual(after["host"], before["host"])
        for was, zone in zip(before["zones"], after["zones"]):
            self.assertGreaterEqual(zone["measured_uj"], was["measured_uj"])
        self.wait_journal("continuing with")

    def stops(self):
        """Of its own accord, however slow all is in a guest on a busy machine."""
        self.guest.check(f"mkdir -p /run/systemd/system/{UNIT}.d; cd /run/systemd/system/{UNIT}.d; "
                         "printf '[Service]\\nTimeoutStopSec=2min\\n' >patience.conf; systemctl daemon-reload")
        taken = self.guest.check(f"S=$(date +%s%N); systemctl stop {UNIT}; echo $((($(date +%s%N) - S) / 1000000))").strip()
        print(f"    stopped in {taken} ms")
        # Had it taken longer than systemd is patient, the result would say so.
        self.assertEqual((self.show("Result"), self.show("ExecMainStatus")), ("success", "0"))

    def refuses_a_wrong_setting(self):
        """One line, and no endless restarts."""
        self.guest.check(f"cp {CONFIG} /run/kept; printf '[agent]\\ninterval = 7\\n' >{CONFIG}")
        self.assertNotEqual(self.guest.run(f"systemctl start {UNIT}")[0], 0)
        self.assertEqual((self.show("ActiveState"), self.show("ExecMainStatus"), self.show("NRestarts")), ("failed", "2", "0"))
        self.wait_journal(f"{CONFIG}:2")
        self.guest.check(f"cp /run/kept {CONFIG}; systemctl reset-failed {UNIT}")

    def reads_a_meter(self):
        """CAP_DAC_READ_SEARCH is what reads a counter that is its owner's alone."""
        self.guest.check(METER)
        self.guest.check(f"printf '[agent]\\nsource = powercap\\nsysfs = /srv/sys\\n' >{CONFIG}; systemctl start {UNIT}")
        self.measures()
        self.set_meter(6000000)
        zone = self.wait_status(lambda status: status["zones"][0]["measured_uj"] == 5000000, "it is measured")["zones"][0]
        self.assertEqual((zone["id"], zone["quality"]), ("package-0", "measured"))

    def serves_a_domain(self):
        """libvirt comes later; its QEMU is another user's, whose socket CAP_DAC_OVERRIDE opens."""
        self.guest.check("systemctl start libvirtd", 600)
        self.wait_status(lambda status: status["libvirt"]["connected"], "the agent has found libvirt")
        self.guest.write_file("/run/inner.xml", DOMAIN)
        print(self.guest.check("virsh -q -c qemu:///system create /run/inner.xml", 900), end="")
        self.set_meter(7000000)
        domain = wait_until(self.domain, "the agent is connected to the domain's channel")
        print(self.guest.check("virtjoule list"), end="")
        print(f"    {domain['usage']}")
        self.assertIn("cgroup", domain["usage"])
        wait_until(lambda: (self.domain() or domain)["cpu_ns"] > 0, "its CPU time is counted")
        self.guest.check("virsh -q -c qemu:///system destroy inner")
        wait_until(lambda: self.guest.check("virtjoule list --json").strip("[] \n") == "", "it is gone")

    def domain(self):
        domains = json.loads(self.guest.check("virtjoule list --json"))
        found = [d for d in domains if d["uuid"] == UUID and d["channel"] and d["channel"]["state"] != "disconnected"]
        return found[0] if found else None

    def journal_is_clean(self):
        self.guest.check(f"systemctl stop {UNIT}")
        lines = self.journal()
        print("".join(f"    | {line}\n" for line in lines), end="")
        self.assertEqual([line for line in lines if not WORDS.match(line)], [])


if __name__ == "__main__":
    vjtest.main()
