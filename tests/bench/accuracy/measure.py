# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agents' ledgers say and what is true, at the same moments."""
import bisect
import http.client
import json
import math
import os
import socket
import threading
import time

ZONE = "package-0"
WINDOW_S = 10
WINDOW_CPU_S = 5
WINDOWS_MIN = 3  # for a standard deviation to be worth the name
TRUTH_INTERVAL_S = 0.02
TASKS = ("/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct")


def machine_load(stat=False):
    """What the simulator takes for the machine's load: the CPU time of all tasks in ns, where the machine tells it, which is
    a meter without steps; else (and with stat) what /proc/stat tells. In the first case the agents are shown a /proc/stat made of
    the same, in its steps, so that neither interrupts nor a hypervisor that steals time from this machine play a part."""
    tasks = next((path for path in TASKS if os.path.exists(os.path.join(path, "cpuacct.usage"))), None)
    return ["--cgroup", tasks] if tasks and not stat else ["--machine"]


def cpu_ns(pid):
    """The process CPU clock, all threads, exited ones included (clock_getcpuclockid(3)). The agent reads cpu.stat."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def cpu_ticks():
    """(ticks of all CPUs, idle and iowait ones among them, stolen ones among them)"""
    with open("/proc/stat", encoding="ascii") as text:
        ticks = [int(word) for word in text.readline().split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4], ticks[7]


class Truth:
    """with Truth ({uuid: pid}) as truth: CPU time of processes, noted every 20 ms, to be asked for any moment since."""

    def __init__(self, pids):
        self.pids = pids
        self.times_us = []
        self.notes = []
        self.leave = threading.Event()
        self.thread = threading.Thread(target=self.note_all, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.leave.set()
        self.thread.join()

    def note_all(self):
        while not self.leave.wait(TRUTH_INTERVAL_S):
            note = {uuid: cpu_ns(pid) for uuid, pid in self.pids.items()}
            self.notes.append(note)
            self.times_us.append(time.monotonic_ns() // 1000)

    def cpu_us(self, uuid, at_us):
        """Interpolated between the two notes around that moment, which may have to be waited for."""
        while not self.times_us or self.times_us[-1] < at_us:
            time.sleep(TRUTH_INTERVAL_S)
        after = max(bisect.bisect_left(self.times_us, at_us), 1)
        begin_us, end_us = self.times_us[after - 1:after + 1]
        begin_ns, end_ns = (note[uuid] for note in self.notes[after - 1:after + 1])
        return (begin_ns + (end_ns - begin_ns) * (at_us - begin_us) / (end_us - begin_us)) / 1000


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def get(agent, path):
    connection = UnixConnection(os.path.join(agent.runtime, "api.sock"))
    try:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def read_ledger(agent):
    """(moment of the tick in µs, {uuid: µJ}, status), all of one tick."""
    while True:
        status = get(agent, "/v1/status")
        domains = get(agent, "/v1/domains")
        if get(agent, "/v1/status")["ticks"]["count"] == status["ticks"]["count"]:
            energies = {domain["uuid"]: domain["energy_uj"][ZONE] for domain in domains}
            return status["ticks"]["monotonic_us"], energies, status


def machine(status):
    """(µJ above static power, µs of CPU time that the agent saw the machine use)"""
    zone = next(zone for zone in status["zones"] if zone["id"] == ZONE)
    return zone["dynamic_uj"], status["busy_us"]


def conserved(status):
    return all(zone["attributed_uj"] + zone["host_uj"] + zone["static_uj"] == zone["measured_uj"]
               for zone in status["zones"])


def deviation(values):
    """Relative standard deviation, or None of too few values."""
    if len(values) < WINDOWS_MIN:
        return None
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1)) / mean


def windows(series):
    """Cuts [(µs, µJ attributed, CPU µs)] where at least WINDOW_S and WINDOW_CPU_S have passed; yields differences."""
    begin = series[0]
    for end in series[1:]:
        elapsed_us, energy_uj, busy_us = (after - before for after, before in zip(end, begin))
        if elapsed_us >= WINDOW_S * 1e6 and busy_us >= WINDOW_CPU_S * 1e6:
            yield elapsed_us, energy_uj, busy_us
            begin = end


def account(series, watts_per_cpu, meter_watts):
    """What became of one VM in one scenario, from [(µs, µJ attributed, CPU µs)]. meter_watts: what the meter showed per busy
    CPU, which is not quite watts_per_cpu where what is busy for the agent is not for the meter (interrupts)."""
    elapsed_us, energy_uj, busy_us = (after - before for after, before in zip(series[-1], series[0]))
    cut = list(windows(series))
    return {
        "seconds": elapsed_us / 1e6,
        "cpu_s": busy_us / 1e6,
        "attributable_j": busy_us * watts_per_cpu / 1e6,
        "attributed_j": energy_uj / 1e6,
        "attributable_w": busy_us * watts_per_cpu / elapsed_us,
        "attributed_w": energy_uj / elapsed_us,
        "ratio": energy_uj / (busy_us * watts_per_cpu),
        "of_share": energy_uj / (busy_us * meter_watts),
        "windows": len(cut),
        "sigma": deviation([energy / (busy * watts_per_cpu) for _, energy, busy in cut]),
        "sigma_attributed_w": deviation([energy / elapsed for elapsed, energy, _ in cut]),
        "sigma_attributable_w": deviation([busy / elapsed for elapsed, _, busy in cut]),
    }
