# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the sampler in the guest saw, and how attribution compares with it."""
import dataclasses
import itertools
import math
import statistics

TICKS_PER_S = 100  # of the guest's kernel, USER_HZ
VCPUS = 2
WINDOW_S = 10
WINDOW_CPU_S = 5
WINDOWS_MIN = 3


@dataclasses.dataclass
class Sample:
    """One update of the tree. Groups by their path."""
    uptime_s: float
    energy_uj: int
    idle_ticks: int
    used_us: dict = dataclasses.field(default_factory=dict)
    processes: dict = dataclasses.field(default_factory=dict)  # (path, pid, start): ticks
    given_uj: dict = dataclasses.field(default_factory=dict)
    measured_uj: int = None
    kernel_uj: int = None


def parse(text):
    """Whole samples only, in which the attributor had taken in this very update: neither one less nor one more."""
    samples = []
    for kind, *words in (line.split() for line in text.splitlines()):
        if kind == "S":
            samples.append(Sample(float(words[0]), int(words[1]), int(words[2])))
        elif kind == "C":
            samples[-1].used_us[words[0]] = int(words[1])
        elif kind == "P":
            samples[-1].processes[tuple(words[:3])] = int(words[3])
        elif kind == "J":
            samples[-1].given_uj[words[0]] = int(words[1])
        else:
            samples[-1].measured_uj, samples[-1].kernel_uj = map(int, words)
    groups = samples[0].used_us if samples else ()
    samples = [sample for sample in samples if len(sample.given_uj) == len(groups) and sample.measured_uj is not None]
    if not samples:
        return []
    before = statistics.mode(sample.energy_uj - sample.measured_uj for sample in samples)
    return [sample for sample in samples if sample.energy_uj - sample.measured_uj == before]


def busy_us(begin, end):
    """CPU time that the guest's kernel says was not idle."""
    return VCPUS * (end.uptime_s - begin.uptime_s) * 1e6 - (end.idle_ticks - begin.idle_ticks) * 1e6 / TICKS_PER_S


def expected_uj(begin, end, group):
    """Energy handed to the guest x the group's share of busy time, over the whole of it."""
    used_us = end.used_us[group] - begin.used_us[group]
    return (end.energy_uj - begin.energy_uj) * used_us / busy_us(begin, end)


def by_intervals(samples, group):
    """The same, interval by interval: where a CPU-second costs more at one time than at another."""
    return sum(expected_uj(begin, end, group) for begin, end in itertools.pairwise(samples))


def live_us(begin, end, group):
    """What is to be seen of the group's CPU time in processes that are there at the end."""
    ticks = sum(ticks - begin.processes.get(key, 0) for key, ticks in end.processes.items() if key[0] == group)
    return ticks * 1e6 / TICKS_PER_S


def by_live_processes(samples, group):
    """µJ, had the CPU time of live processes been summed at every update."""
    return sum((end.energy_uj - begin.energy_uj) * live_us(begin, end, group) / busy_us(begin, end)
               for begin, end in itertools.pairwise(samples))


def by_usage_ratio(samples, group):
    """µJ, had each interval's energy been split into active and idle by how much of all CPUs was used, and the active part shared."""
    return sum((end.energy_uj - begin.energy_uj) * (end.used_us[group] - begin.used_us[group])
               / (VCPUS * (end.uptime_s - begin.uptime_s) * 1e6) for begin, end in itertools.pairwise(samples))


def deviation(samples, group):
    """Relative standard deviation of given / expected over windows that are long and busy enough; None of fewer than three."""
    ratios = []
    begin = samples[0]
    for end in samples[1:]:
        if end.uptime_s - begin.uptime_s >= WINDOW_S and end.used_us[group] - begin.used_us[group] >= WINDOW_CPU_S * 1e6:
            ratios.append((end.given_uj[group] - begin.given_uj[group]) / expected_uj(begin, end, group))
            begin = end
    if len(ratios) < WINDOWS_MIN:
        return None
    mean = sum(ratios) / len(ratios)
    return math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / (len(ratios) - 1)) / mean


def of_guest(samples):
    begin, end = samples[0], samples[-1]
    seconds = end.uptime_s - begin.uptime_s
    energy_uj = end.energy_uj - begin.energy_uj
    return {"seconds": seconds, "vm_w": energy_uj / seconds / 1e6, "vm_uj": energy_uj,
            "busy": busy_us(begin, end) / seconds / 1e6, "kernel": (end.kernel_uj - begin.kernel_uj) / energy_uj}


def of_group(samples, group, idle_w):
    """idle_w: what the same guest was given with no workload in it; None: not measured."""
    begin, end = samples[0], samples[-1]
    guest = of_guest(samples)
    expected, each = expected_uj(begin, end, group), by_intervals(samples, group)
    given = end.given_uj[group] - begin.given_uj[group]
    above_uj = None if idle_w is None else guest["vm_uj"] - idle_w * guest["seconds"] * 1e6
    return {"cpu": (end.used_us[group] - begin.used_us[group]) / guest["seconds"] / 1e6,
            "expected_w": expected / guest["seconds"] / 1e6, "given_w": given / guest["seconds"] / 1e6,
            "arithmetic": given / expected, "by_interval": given / each, "sigma": deviation(samples, group),
            "above_uj": above_uj, "given_uj": given,
            "live": by_live_processes(samples, group) / each, "ratio": by_usage_ratio(samples, group) / each}
