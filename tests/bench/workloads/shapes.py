# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shapes of load in one guest: those of the thesis, in miniature."""
import dataclasses

# Short processes, as many as there is time for.
STORM = "sh -c 'while :; do /bin.d/true; done'"


@dataclasses.dataclass(frozen=True)
class Load:
    """One pod: stress-ng --cpu workers --cpu-load percent, or a storm of short processes. slice_ms: how long it is busy at a time;
    0: stress-ng's own, which is seconds at low load. blink: on for so many seconds, off for as many. noise: it is there to disturb
    the others."""
    workers: int = 1
    percent: int = 100
    slice_ms: int = 0
    blink: int = 0
    storm: bool = False
    noise: bool = False


@dataclasses.dataclass(frozen=True)
class Shape:
    title: str
    seconds: int
    pods: tuple = ()
    beside: Load = None  # in a guest of its own
    thesis: str = "-"


def workers(count, percent, seconds, thesis="-", slice_ms=0):
    plural = "s" if count > 1 else ""
    title = f"{count} worker{plural}, {percent} % of a CPU each" + (f", {slice_ms} ms at a time" if slice_ms else "")
    return Shape(title, seconds, (Load(count, percent, slice_ms),), thesis=thesis)


NOTHING = Shape("no workload", 30)
SHAPES = (
    NOTHING,
    workers(1, 5, 60, "27 % (2 workers)"),
    workers(1, 10, 60, "35 % (4 workers)"),
    workers(1, 25, 30, "57 % (8 workers)"),
    workers(1, 50, 40, "73 % (32 workers)"),
    workers(1, 75, 40, "73 % (32 workers)"),
    workers(2, 5, 60, "35 % (4 workers)"),
    workers(2, 10, 60, "57 % (8 workers)"),
    workers(2, 25, 40, "73 % (32 workers)"),
    workers(2, 50, 60, "95 % (64 workers)"),
    workers(2, 75, 40, "96 % (128 workers)"),
    workers(1, 5, 60, slice_ms=20),
    workers(1, 10, 60, slice_ms=20),
    workers(2, 10, 60, slice_ms=20),
    Shape("two pods, 1 and 2 workers, 25 %", 40, (Load(1, 25), Load(2, 25)), thesis="34 W : 32 W of 8 : 16"),
    Shape("the same, a third pod comes and goes", 40, (Load(1, 25), Load(2, 25), Load(1, 60, blink=5, noise=True)),
          thesis="34 W : 32 W of 8 : 16"),
    Shape("a storm of short processes beside 25 %", 40, (Load(1, 25), Load(storm=True))),
    Shape("25 %, a noisy guest comes and goes", 40, (Load(1, 25),), beside=Load(1, 75, blink=5)),
)
