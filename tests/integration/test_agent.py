#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent on temporary roots: sums, restarts, odd counters, bad input."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from agent_harness import TIMEOUT, Host, TestDriver, cpu_s, stand_still, wait_for  # noqa: E402


class AgentCase(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.addCleanup(self.host.close)
        self.driver = TestDriver(self.host)
        self.addCleanup(self.driver.close)

    def assert_conserved(self, status=None):
        for zone in (status or self.host.status())["zones"]:
            given = zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"]
            self.assertEqual(given, zone["measured_uj"], zone)
            self.assertLessEqual(zone["gap_uj"], zone["host_uj"], zone)


class Measuring(AgentCase):
    def setUp(self):
        super().setUp()
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.powercap.add("intel-rapl:0:0", "core")

    def test_what_is_measured_is_what_the_counters_moved(self):
        self.host.start()
        self.host.powercap.set("intel-rapl:0", 1000000 + 123457)
        self.host.powercap.set("intel-rapl:0:0", 1000000 + 23456)
        status = self.host.after_ticks()
        self.assertEqual(self.host.zone("package-0")["measured_uj"], 123457)
        self.assertEqual(self.host.zone("package-0/core")["measured_uj"], 23456)
        self.assertEqual(status["zones"][0]["quality"], "measured")
        self.assert_conserved(status)

    def test_what_packages_leave_of_the_platform_is_a_zone_of_its_own(self):
        self.host.powercap.add("intel-rapl:0:1", "dram")
        self.host.powercap.add("intel-rapl:1", "psys")
        self.host.start()
        self.host.powercap.set("intel-rapl:0", 1000000 + 5000)
        self.host.powercap.set("intel-rapl:0:1", 1000000 + 700)
        self.host.powercap.set("intel-rapl:1", 1000000 + 9000)
        wait_for(lambda: self.host.zone("psys")["measured_uj"] == 9000, "the platform's energy")
        self.host.after_ticks()
        rest = self.host.zone("psys/rest")
        self.assertEqual((rest["measured_uj"], rest["readable"]), (9000 - 5700, True))
        self.assert_conserved()

    def test_a_wrap_loses_nothing(self):
        self.host.powercap.add("intel-rapl:1", "package-1", energy_uj=262143328850 - 1000)
        self.host.start()
        self.host.powercap.set("intel-rapl:1", 500)
        self.host.after_ticks()
        self.assertEqual(self.host.zone("package-1")["measured_uj"], 1500)
        self.assertEqual(self.host.status()["counters"]["wraps"], 1)

    def test_a_reset_is_not_taken_for_a_wrap(self):
        self.host.start()
        self.host.powercap.set("intel-rapl:0", 700)
        self.host.after_ticks()
        zone = self.host.zone("package-0")
        self.assertEqual((zone["measured_uj"], zone["gap_uj"]), (700, 700))
        self.assertEqual(self.host.status()["counters"]["resets"], 1)

    def test_a_jump_that_nothing_can_have_used_is_rejected(self):
        self.host.start()
        self.host.powercap.set("intel-rapl:0", 200 * 10**9)
        self.host.after_ticks()
        self.assertEqual(self.host.zone("package-0")["measured_uj"], 0)
        self.assertEqual(self.host.status()["counters"]["rejected"], 1)

    def test_an_unreadable_zone_is_told_once_and_the_others_go_on(self):
        self.host.powercap.add("intel-rapl:1", "package-1")
        self.host.start()
        self.host.powercap.hide("intel-rapl:1")
        self.host.powercap.set("intel-rapl:0", 1000000 + 5000)
        status = self.host.after_ticks(4)
        self.assertEqual(self.host.zone("package-0")["measured_uj"], 5000)
        self.assertEqual(self.host.said().count("package-1 cannot be read"), 1)
        self.host.powercap.show("intel-rapl:1", 1000000 + 6000)
        wait_for(lambda: self.host.zone("package-1")["measured_uj"] == 6000, "the zone's return")
        self.assertIn("package-1 can be read again", self.host.said())
        self.assertGreater(status["counters"]["failures"], 0)
        self.assert_conserved()

    def test_sigterm_at_any_moment_of_the_connection_to_libvirt_ends_it_cleanly(self):
        self.driver.add("idle")
        for delay in range(20):
            process = subprocess.Popen(self.host.command(uri=self.driver.uri), stderr=subprocess.DEVNULL)
            wait_for(lambda: os.path.exists(os.path.join(self.host.run, "api.sock")), "the agent")
            time.sleep(delay * 0.005)  # each round meets another moment of opening and listing
            process.send_signal(signal.SIGTERM)
            self.assertIn(process.wait(timeout=TIMEOUT), (0, -signal.SIGTERM))

    def test_sigterm_ends_it_while_libvirt_hangs(self):
        path = os.path.join(self.host.root, "libvirt-sock")
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(path)
        listener.listen(8)
        self.host.start(uri="qemu+unix:///system?socket=" + path)
        self.assertEqual(self.host.end(), 0)

    def test_sigterm_ends_it_without_waiting_for_the_next_tick(self):
        self.host.start(interval="60s")
        begin = time.monotonic()
        self.assertEqual(self.host.end(), 0)
        self.assertLess(time.monotonic() - begin, 30)

    def test_running_out_of_descriptors_does_not_use_a_cpu(self):
        limit = "ulimit -n 20; exec "
        self.host.start(shell=limit)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(24)]
        for client in clients:
            self.addCleanup(client.close)
            client.connect(os.path.join(self.host.run, "api.sock"))
        before, begin = cpu_s(self.host.process), time.monotonic()
        wait_for(lambda: time.monotonic() - begin > 2, "two seconds to pass")
        self.assertLess(cpu_s(self.host.process) - before, 1)
        for client in clients:
            client.close()
        wait_for(self.host.answers, "an answer once there are descriptors again")

    def test_metrics_are_served(self):
        self.host.start()
        self.assertIn("# TYPE virtjoule_zone_measured_joules_total counter", self.host.get("/metrics"))


class Attributing(AgentCase):
    def setUp(self):
        super().setUp()
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.powercap.add("intel-rapl:0:0", "core")
        self.energy_uj = 1000000

    def burn_once(self):
        self.energy_uj += 1000003
        self.host.powercap.set("intel-rapl:0", self.energy_uj)
        self.host.powercap.set("intel-rapl:0:0", self.energy_uj - self.energy_uj // 3)
        self.host.after_ticks(1)

    def burn_energy(self):
        """Until each domain that may run has been given some: on a crowded machine not everybody gets a CPU in each interval."""
        def all_have_some():
            self.burn_once()
            domains = self.host.list()
            return len(domains) == len(self.driver.domains) and all(
                domain["energy_uj"]["package-0"] > 0 for domain in domains.values() if domain["name"] != "idle")
        wait_for(all_have_some, "energy for each domain")

    def test_a_busy_domain_is_given_energy_and_an_idle_one_none(self):
        idle = self.driver.burn()
        stand_still(idle)
        self.driver.add("busy", self.driver.burn())
        self.driver.add("idle", idle)
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        domains = self.host.list()
        self.assertEqual(domains["idle"]["energy_uj"]["package-0"], 0)
        self.assertLessEqual(domains["busy"]["energy_uj"]["package-0/core"], domains["busy"]["energy_uj"]["package-0"])
        self.assertEqual(domains["busy"]["manager"], "libvirt")
        self.assertEqual(domains["busy"]["channel"]["state"], "absent")
        self.assert_conserved()

    def test_the_sum_over_domains_is_what_was_attributed(self):
        for name in ("a", "b", "c"):
            self.driver.add(name, self.driver.burn())
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        self.host.after_ticks(2)
        energies = [domain["energy_uj"]["package-0"] for domain in self.host.list().values()]
        self.assertEqual(sum(energies), self.host.zone("package-0")["attributed_uj"])

    def test_static_energy_goes_to_whom_the_policy_says(self):
        config = os.path.join(self.host.root, "config")
        with open(config, "w") as out:
            out.write("[static-watts]\npackage-0 = 1\n")
        self.driver.add("a", self.driver.burn())
        self.driver.add("b", self.driver.burn())
        self.host.start("--config", config, "--static-policy", "even", uri=self.driver.uri)
        wait_for(lambda: len(self.host.list()) == 2, "both domains")
        self.host.after_ticks(1)
        self.burn_energy()
        status = self.host.after_ticks(2)
        zone = status["zones"][0]
        shares = [domain["static_uj"]["package-0"] for domain in self.host.list().values()]
        self.assertEqual(zone["static_policy"], "even")
        self.assertGreater(min(shares), 0)
        self.assertLessEqual(max(shares) - min(shares), 1)
        self.assertEqual(zone["static_total_uj"], zone["static_uj"] + zone["attributed_static_uj"])
        self.assertEqual(zone["measured_uj"], zone["static_total_uj"] + zone["dynamic_uj"])
        self.assert_conserved(status)

    def test_a_killed_agent_goes_on_where_it_was(self):
        busy = self.driver.burn()
        self.driver.add("busy", busy)
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        before = self.host.list()["busy"]
        zone = self.host.zone("package-0")
        self.host.end(signal.SIGKILL)
        used = cpu_s(busy)
        wait_for(lambda: cpu_s(busy) > used, "the domain to run while no agent does")
        self.energy_uj += 5000000
        self.host.powercap.set("intel-rapl:0", self.energy_uj)
        self.host.start(uri=self.driver.uri)
        self.host.after_ticks()
        after = self.host.list()["busy"]
        self.assertEqual(after["epoch"], before["epoch"])
        self.assertGreater(after["energy_uj"]["package-0"], before["energy_uj"]["package-0"])
        self.assertEqual(self.host.zone("package-0")["measured_uj"], zone["measured_uj"] + 5000000)
        self.assertEqual(self.host.zone("package-0")["gap_uj"], zone["gap_uj"])
        self.assert_conserved()

    def test_the_gap_of_a_domain_that_ended_unseen_is_the_hosts(self):
        self.driver.add("busy", self.driver.burn())
        gone = self.driver.burn()
        self.driver.add("gone", gone)
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        self.host.end(signal.SIGKILL)
        gone.kill()
        gone.wait()
        before = self.energy_uj
        self.energy_uj += 5000000
        self.host.powercap.set("intel-rapl:0", self.energy_uj)
        self.host.start(uri=self.driver.uri)
        self.host.after_ticks()
        self.assertEqual(self.host.zone("package-0")["gap_uj"], self.energy_uj - before)
        wait_for(lambda: "gone" in self.host.list(), "libvirt's word")
        self.assertIsNone(self.host.list()["gone"]["pid"])
        self.assert_conserved()

    def test_a_domain_that_ends_before_the_watcher_has_told_of_it_leaves_no_ghost(self):
        self.driver.add("stays", self.driver.burn())
        gone = self.driver.burn()
        self.driver.add("gone", gone)
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        self.host.end(signal.SIGKILL)
        self.host.start(uri="qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        self.assertEqual(set(self.host.list()), {"stays", "gone"})
        gone.kill()
        gone.wait()
        wait_for(lambda: set(self.host.list()) == {"stays"}, "the domain to be forgotten")
        self.assert_conserved()

    def test_a_domain_whose_process_has_exited_is_not_shown_as_running(self):
        process = self.driver.burn()
        self.driver.add("crashed", process)
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: self.host.list().get("crashed", {}).get("pid") == process.pid, "the domain")
        process.kill()
        process.wait()
        wait_for(lambda: self.host.list()["crashed"]["state"] == "stopped", "the exit to be seen")

    def test_a_store_that_cannot_be_written_is_not_continued(self):
        self.driver.add("busy", self.driver.burn())
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        os.mkdir(os.path.join(self.host.run, ".ledger.new"))
        self.host.after_ticks()
        self.assertIn("would begin anew", self.host.said())
        before = self.host.list()["busy"]["epoch"]
        self.host.end(signal.SIGKILL)
        os.rmdir(os.path.join(self.host.run, ".ledger.new"))
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: "busy" in self.host.list(), "libvirt's word")
        self.assertNotEqual(self.host.list()["busy"]["epoch"], before)

    def test_a_zone_that_went_away_does_not_count_from_zero_in_the_same_epoch(self):
        self.driver.add("busy", self.driver.burn())
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        before = self.host.list()["busy"]["epoch"]
        self.host.end(signal.SIGKILL)
        zone = os.path.join(self.host.powercap.directory, "intel-rapl:0:0")
        os.rename(zone, os.path.join(self.host.root, "aside"))
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: "busy" in self.host.list(), "libvirt's word")
        self.assertNotEqual(self.host.list()["busy"]["epoch"], before)
        self.assert_conserved()

    def test_usage_from_before_the_first_reading_of_a_zone_is_not_billed_with_what_follows(self):
        self.host.powercap.add("intel-rapl:1", "package-1")
        self.host.powercap.hide("intel-rapl:1")
        past = self.driver.burn()
        self.driver.add("past", past)
        self.driver.add("now", self.driver.burn())
        self.host.start(uri=self.driver.uri, interval="500ms")
        self.host.after_ticks(4)
        stand_still(past)
        self.host.after_ticks(1)
        self.host.powercap.show("intel-rapl:1", 1000000)
        wait_for(lambda: self.host.zone("package-1")["readable"], "the zone's first reading")
        self.host.powercap.set("intel-rapl:1", 4000000)
        wait_for(lambda: self.host.zone("package-1")["measured_uj"] == 3000000, "its second reading")
        self.assertEqual(self.host.list()["past"]["energy_uj"]["package-1"], 0)
        self.assertGreater(self.host.list()["now"]["energy_uj"]["package-1"], 0)
        self.assert_conserved()

    def test_a_domain_that_ran_before_the_agent_is_billed_nothing_for_its_past(self):
        self.driver.add("old", self.driver.burn())
        self.host.start(uri=self.driver.uri)
        wait_for(lambda: "old" in self.host.list(), "the domain")
        self.assertEqual(self.host.list()["old"]["energy_uj"]["package-0"], 0)

    def test_a_frame_has_no_zone_without_its_parent(self):
        """A reader would refuse it, and the guest would be shown nothing at all."""
        for zone, name in (("1", "psys"), ("1:0", "dram"), ("2", "gpu"), ("2:0", "core"), ("0:1", "dram")):
            self.host.powercap.add("intel-rapl:" + zone, name)
        listener = self.listen()
        self.driver.add("talker", self.driver.burn(), channel=listener.getsockname())
        self.host.start(uri=self.driver.uri)
        guest = Guest(listener)
        self.addCleanup(guest.close)
        self.assertEqual(set(guest.next_frame()["zones"]), {"package-0", "package-0/core", "package-0/dram"})

    def listen(self):
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(os.path.join(self.host.root, "channel"))
        listener.listen(1)
        listener.settimeout(TIMEOUT)
        return listener

    def test_frames_carry_what_the_ledger_says(self):
        listener = self.listen()
        self.driver.add("talker", self.driver.burn(), channel=listener.getsockname())
        self.host.start(uri=self.driver.uri)
        self.burn_energy()
        guest = Guest(listener)
        self.addCleanup(guest.close)
        frame = guest.next_frame()
        self.host.after_ticks(2)
        ledger = self.host.list()["talker"]["energy_uj"]["package-0"]
        self.assertLessEqual(frame["zones"]["package-0"], ledger)
        self.assertEqual(frame["zones"]["package-0"] % 1000, 0)
        wait_for(lambda: guest.next_frame()["zones"]["package-0"] == ledger - ledger % 1000, "the ledger's figure")
        self.assertEqual(self.host.list()["talker"]["channel"]["state"], "open")


class Guest:
    """The guest's end of one channel."""

    def __init__(self, listener):
        self.connection, _ = listener.accept()
        self.connection.settimeout(TIMEOUT)
        self.file = self.connection.makefile("rb")
        self.session = "00000000000000aa"
        self.connection.sendall(b'\n{"v":1,"hello":"%s"}\n' % self.session.encode())

    def next_frame(self):
        import json

        while True:
            line = self.file.readline()
            if line.strip():
                break
        frame = json.loads(line)
        self.connection.sendall(b'{"v":1,"ack":"%s","seq":%d}\n' % (self.session.encode(), frame["seq"]))
        return frame

    def close(self):
        self.file.close()
        self.connection.close()


class BadInput(AgentCase):
    def refused(self, code, *words, options=(), **settings):
        ended = self.host.run_to_end(*options, **settings)
        lines = ended.stderr.strip().split("\n")
        self.assertEqual((ended.returncode, len(lines)), (code, 1), ended.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        return lines[0]

    def test_no_meter_where_one_is_demanded(self):
        self.refused(1, "powercap", options=("--source", "powercap"))

    def test_no_meter_means_an_estimate_that_says_so(self):
        self.host.start()
        status = self.host.status()
        self.assertEqual({zone["quality"] for zone in status["zones"]}, {"estimated"})
        self.assertIn("estimated", self.host.said())

    @unittest.skipIf(os.geteuid() != 0, "needs root to run as nobody")
    def test_an_unreadable_meter_is_refused_and_never_estimated(self):
        self.host.powercap.add("intel-rapl:0", "package-0")
        path = os.path.join(self.host.powercap.directory, "intel-rapl:0", "energy_uj")
        os.chmod(path, stat.S_IRUSR)
        for directory in (self.host.root, self.host.rundir):
            os.chmod(directory, 0o777)
        ended = subprocess.run(
            self.host.command(), capture_output=True, text=True, user=65534, timeout=TIMEOUT, check=False
        )
        self.assertEqual(ended.returncode, 1, ended.stderr)
        self.assertIn("root", ended.stderr)
        self.assertEqual(len(ended.stderr.strip().split("\n")), 1)

    def test_two_agents_on_one_runtime_directory(self):
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.start()
        self.refused(1, "another virtjouled (pid %d)" % self.host.process.pid, self.host.run)

    def test_a_bare_number_is_no_duration(self):
        self.refused(2, "1s", interval="5")

    def test_an_interval_out_of_bounds(self):
        self.refused(2, "100ms", interval="10ms")

    def test_an_unknown_option(self):
        self.refused(2, "--frobnicate; virtjouled --help lists what is allowed", options=("--frobnicate",))

    def test_a_config_that_is_not_there(self):
        self.refused(2, "/nonexistent/virtjouled.conf", options=("--config", "/nonexistent/virtjouled.conf"))

    def test_a_message_is_one_line_even_of_a_path_with_a_newline(self):
        self.refused(2, "/nonexistent/a b", options=("--config", "/nonexistent/a\nb"))

    def test_a_wrong_key_in_the_config(self):
        path = os.path.join(self.host.root, "virtjouled.conf")
        with open(path, "w") as config:
            config.write("[agent]\ninterval=1s\nintervall=2s\n")
        self.refused(2, path + ":3:", "intervall", options=("--config", path))

    def test_a_runtime_directory_that_cannot_be_made(self):
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.run = "/proc/nowhere"
        self.refused(1, "/proc/nowhere", "--runtime-dir")

    def test_libvirt_out_of_reach_is_said_and_the_host_is_measured(self):
        self.host.powercap.add("intel-rapl:0", "package-0")
        self.host.start(uri="qemu+unix:///system?socket=/nonexistent/libvirt-sock")
        self.host.powercap.set("intel-rapl:0", 1000000 + 77)
        self.host.after_ticks()
        self.assertEqual(self.host.zone("package-0")["host_uj"], 77)
        wait_for(lambda: "libvirt" in self.host.said(), "the complaint")


if __name__ == "__main__":
    unittest.main()
