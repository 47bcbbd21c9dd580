#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""virtjoule calibrate against the real agent, over a powercap tree that moves at a known power."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import BIN, TIMEOUT, Host, TestDriver, wait_for  # noqa: E402

ZONES = {"intel-rapl:0": ("package-0", 40), "intel-rapl:0:0": ("core", 25)}


class Meter:
    """Moves the counters at constant power until it is closed."""

    def __init__(self, powercap):
        for zone, (name, _watts) in ZONES.items():
            powercap.add(zone, name, energy_uj=0)
        self.powercap = powercap
        self.slowest_s = 0
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        start = last = time.monotonic()
        while not self.closed.wait(0.002):
            for zone, (_name, watts) in ZONES.items():
                self.powercap.set(zone, int((time.monotonic() - start) * watts * 1e6))
            self.slowest_s, last = max(self.slowest_s, time.monotonic() - last), time.monotonic()

    def error(self, elapsed_s=2):
        """By what part the power of so long a time may be wrong: each end was read up to one update too early."""
        return 0.03 + 2 * self.slowest_s / elapsed_s

    def close(self):
        self.closed.set()
        self.thread.join()


class Calibrating(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.driver = TestDriver(self.host)
        self.addCleanup(self.driver.close)
        self.file = os.path.join(self.host.root, "state", "static-power")

    def meter(self):
        meter = Meter(self.host.powercap)
        self.addCleanup(meter.close)
        return meter

    def command(self, *options):
        return [os.path.join(BIN, "virtjoule"), "--runtime-dir", self.host.run, "calibrate", *options]

    def calibrate(self, *options):
        return subprocess.run(self.command(*options), capture_output=True, text=True, timeout=TIMEOUT, check=False)

    def calibrated(self, *options):
        ended = self.calibrate("--json", "--duration", "2s", *options)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        result = json.loads(ended.stdout)
        return {zone["id"]: zone for zone in result["zones"]}, result, ended.stderr

    def refused(self, *words, options=()):
        ended = self.calibrate("--duration", "2s", *options)
        self.assertEqual((ended.returncode, ended.stdout), (1, ""), ended.stderr)
        for word in words:
            self.assertIn(word, ended.stderr)
        self.assertFalse(os.path.exists(self.file))

    def static(self, zone="package-0"):
        shown = self.host.zone(zone)
        return shown["static_source"], shown["static_watts"]

    def test_the_mean_is_found_and_applied_at_once(self):
        meter = self.meter()
        self.host.start()
        self.assertEqual(self.static(), ("none", 0))
        zones, result, _said = self.calibrated()
        self.assertEqual(set(zones), {"package-0", "package-0/core"})
        for zone, watts in (("package-0", 40), ("package-0/core", 25)):
            found = zones[zone]
            self.assertAlmostEqual(found["static_watts"], watts, delta=watts * meter.error())
            if result["intervals"] > 6:  # of fewer, on a machine that is slow, Student's factor is above their root
                self.assertLess(found["error_watts"], found["sigma_watts"] + 1e-9)
            wait_for(lambda zone=zone, found=found: self.static(zone) == ("calibrated", found["static_watts"]),
                     "the agent's notice of the file")
        self.assertGreaterEqual(result["elapsed_us"], 2000000)
        self.assertLessEqual(result["intervals"], result["elapsed_us"] // 100000 + 1)
        self.assertTrue(0 <= result["busy_share"] <= 1)
        self.assertEqual((result["domains"], result["stored"]), (0, self.file))

    def test_static_energy_is_kept_apart_from_then_on_and_after_a_restart(self):
        meter = self.meter()
        self.host.start()
        self.calibrated()
        wait_for(lambda: self.static()[0] == "calibrated", "the agent's notice of the file")
        before = self.host.zone("package-0")
        after = {zone["id"]: zone for zone in self.host.after_ticks(20)["zones"]}["package-0"]
        moved = after["measured_uj"] - before["measured_uj"]
        self.assertAlmostEqual((after["static_uj"] - before["static_uj"]) / moved, 1, delta=0.05 + 2 * meter.error())
        self.host.end()
        self.host.start()
        self.assertEqual(self.static()[0], "calibrated")

    def test_the_table(self):
        self.meter()
        self.host.start()
        ended = self.calibrate("--duration", "1s")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertRegex(ended.stdout, r"(?m)^ package-0 +\d+\.\d{3} ")
        self.assertIn("Stored in " + self.file, ended.stdout)
        self.assertIn("of 1 s, package-0 ", ended.stderr)

    def test_a_number_in_the_configuration_comes_first(self):
        self.meter()
        path = os.path.join(self.host.root, "conf")
        with open(path, "w") as config:
            config.write("[static-watts]\npackage-0 = 12.5\n")
        self.host.start("--config", path)
        ended = self.calibrate("--duration", "1s")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn("For package-0 the configuration has a number", ended.stdout)
        wait_for(lambda: self.static("package-0/core")[0] == "calibrated", "the agent's notice of the file")
        self.assertEqual(self.static(), ("configured", 12.5))

    def test_domains_are_refused_unless_forced(self):
        self.meter()
        self.driver.add("one", self.driver.burn())
        self.driver.add("two")
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: len(self.host.list()) == 2, "the domains")
        self.refused("2 domains are running", "--force")
        _zones, result, said = self.calibrated("--force")
        self.assertEqual(result["domains"], 2)
        self.assertIn("up to 2 domains were running", said)

    def test_a_busy_host_is_warned_of(self):
        self.meter()
        self.driver.burn()
        self.host.start()
        _zones, result, said = self.calibrated()
        self.assertGreater(result["busy_share"], 0.02)
        self.assertIn("not idle", said)

    def test_an_estimate_is_refused(self):
        self.host.start()
        self.refused("estimates")
        self.assertEqual(self.static()[0], "model")

    def test_too_short(self):
        self.meter()
        self.host.start(interval="1s")
        self.refused("at least 10.000 s")

    def test_a_bare_number_is_no_duration(self):
        ended = self.calibrate("--duration", "60")
        self.assertEqual((ended.returncode, ended.stdout), (2, ""))
        self.assertIn('"60" is not a duration', ended.stderr)

    def test_what_could_not_be_stored_is_not_measured(self):
        self.meter()
        self.host.start()
        os.rename(os.path.dirname(self.file), self.host.root + "/away")
        self.refused("cannot be stored", "run this as root", options=("--duration", "60min"))
        os.rename(self.host.root + "/away", os.path.dirname(self.file))

    def test_no_agent(self):
        self.refused("no agent answers")

    def test_interrupted(self):
        self.meter()
        self.host.start()
        with subprocess.Popen(self.command("--duration", "12s"), stderr=subprocess.PIPE, text=True) as process:
            self.assertIn("of 12 s", process.stderr.readline())
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.wait(timeout=TIMEOUT), -signal.SIGINT)
        self.assertFalse(os.path.exists(self.file))

    def test_a_restart_of_the_agent_ends_it(self):
        self.meter()
        self.host.start()
        with subprocess.Popen(self.command("--duration", "12s"), stderr=subprocess.PIPE, text=True) as process:
            process.stderr.readline()
            self.host.end()
            self.assertEqual(process.wait(timeout=TIMEOUT), 1)
            self.assertIn("agent", process.stderr.read())
        self.assertFalse(os.path.exists(self.file))

    def test_other_hardware_is_warned_of_and_ignored(self):
        self.meter()
        self.host.start()
        self.calibrated()
        wait_for(lambda: self.static()[0] == "calibrated", "the agent's notice of the file")
        self.host.end()
        with open(self.file) as stored:
            text = stored.read()
        with open(self.file, "w") as stored:
            stored.write(text.replace("fingerprint=", "fingerprint=x"))
        self.host.start()
        self.assertEqual(self.static(), ("none", 0))
        self.assertIn("other hardware", self.host.said())

    def test_auto_says_why_there_is_no_value_yet(self):
        self.meter()
        path = os.path.join(self.host.root, "conf")
        with open(path, "w") as config:
            config.write("[static-watts]\ndefault = auto\n")
        self.host.start("--config", path)
        shown = self.host.zone("package-0")
        self.assertEqual((shown["static_source"], shown["static_watts"]), ("auto", 0))
        self.assertIn("not yet justified", shown["static_note"])
        self.assertEqual(self.static("package-0/core"), ("none", 0))


if __name__ == "__main__":
    unittest.main()
