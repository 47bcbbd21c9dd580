# SPDX-License-Identifier: LGPL-2.1-or-later
"""What runs in the guests and beside them, and what the thesis measured in the scenario of the same shape."""
import dataclasses

THESIS = "M. Hösel, Measuring Energy Consumption in Virtualized Kubernetes Clusters, 2025, chapter 6"


@dataclasses.dataclass(frozen=True)
class Load:
    """stress-ng --cpu workers --cpu-load percent, in one guest; blink: on for so many seconds, off for as many."""
    workers: int
    percent: int
    blink: int = 0


@dataclasses.dataclass(frozen=True)
class Thesis:
    """The share of the attributable power that its tools gave to the workload, and its relative standard deviation (None:
    not given)."""
    label: str
    ratio: int
    sigma: int = None


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    seconds: int
    loads: tuple  # one entry per guest that runs; None: it idles
    thesis: Thesis = None
    host: Load = None  # a process of the host's own


def one(percent, seconds, thesis, workers=1):
    return Scenario(f"one-{percent * workers}", f"one VM, {percent * workers} % of a CPU", seconds,
                    (Load(workers, percent),), thesis)


# The analogue in the thesis is the one with the most similar share of the whole machine in use (128 CPUs there, 2 here).
# Ordered by number of guests: they are started as they are needed, and none idles beside a scenario that has fewer.
SCENARIOS = (
    one(5, 180, Thesis("4 workers", 35, 33)),
    one(10, 150, Thesis("8 workers", 57, 19)),
    one(25, 70, Thesis("16 workers", 68, 13)),
    one(50, 50, Thesis("32 workers", 73, 14)),
    one(100, 50, Thesis("64 workers", 95, 12)),
    one(75, 50, Thesis("128 workers", 96, 16), workers=2),
    Scenario("host-noise", "one VM, 25 %; a host process comes and goes", 70, (Load(1, 25),),
             Thesis("16 workers", 68, 13), host=Load(1, 75, blink=7)),
    Scenario("two-even", "two VMs, 40 % each", 50, (Load(1, 40), Load(1, 40)), Thesis("2n4c", 51)),
    Scenario("two-uneven", "two VMs, 25 % and 50 %", 60, (Load(1, 25), Load(1, 50)), Thesis("2n4c", 51)),
    Scenario("neighbour", "two VMs, 25 %; the other comes and goes", 70, (Load(1, 25), Load(1, 75, blink=7)),
             Thesis("16 workers", 68, 13)),
    Scenario("four-even", "four VMs, 25 % each", 60, (Load(1, 25),) * 4, Thesis("4n16c", 78)),
    Scenario("four-uneven", "four VMs, 15, 30, 15, 30 %", 70, tuple(Load(1, percent) for percent in (15, 30, 15, 30)),
             Thesis("4n16c", 78)),
    Scenario("four-idle", "four VMs, all idle", 60, (None,) * 4),
)

QUICK = (
    dataclasses.replace(SCENARIOS[2], seconds=20),
    dataclasses.replace(SCENARIOS[8], seconds=20),
)
