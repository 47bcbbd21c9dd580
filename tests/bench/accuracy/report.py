# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table, the CSV file and the plot."""
import csv
import os
import subprocess
import tempfile

COLUMNS = ("scenario", "interval", "vm", "load", "seconds", "cpu_s", "attributable_j", "attributed_j", "attributable_w",
           "attributed_w", "ratio", "of_share", "windows", "sigma", "sigma_attributed_w", "sigma_attributable_w", "host_idle",
           "host_steal", "thesis", "thesis_ratio", "thesis_sigma")
HEADER = ("scenario", "tick", "attributable", "attributed", "ratio", "of share", "each VM", "σ", "windows", "idle", "stolen", "thesis's",
          "ratio", "σ")
WIDTHS = (44, 6, 13, 11, 8, 8, 14, 7, 8, 5, 6, 12, 6, 5)


def percent(value, digits=0, none="-"):
    return none if value is None else f"{value * 100:.{digits}f} %"


def cells(scenario, interval, rows):
    """One line of the table: all VMs of a scenario."""
    attributable, attributed = (sum(row[key] for row in rows) for key in ("attributable_w", "attributed_w"))
    share = sum(row["attributed_w"] / row["of_share"] for row in rows)
    ratios = [row["ratio"] for row in rows]
    sigmas = [row["sigma"] for row in rows if row["sigma"] is not None]
    thesis = scenario.thesis
    return (scenario.title, interval, f"{attributable:.3f} W", f"{attributed:.3f} W",
            percent(attributed / attributable, 2), percent(attributed / share, 2), f"{min(ratios) * 100:.1f}-{max(ratios) * 100:.1f} %",
            percent(max(sigmas, default=None), 2), str(min(row["windows"] for row in rows)),
            percent(rows[0]["host_idle"]), percent(rows[0]["host_steal"]), thesis.label if thesis else "-",
            f"{thesis.ratio} %" if thesis else "-", f"{thesis.sigma} %" if thesis and thesis.sigma else "-")


def line(words):
    texts = [word.ljust(width) if left else word.rjust(width)
             for word, width, left in zip(words, WIDTHS, [True] + [False] * len(WIDTHS))]
    return " ".join(texts).rstrip()


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})


def plot_data(table):
    """Blocks for gnuplot: name, then ratio and σ in % per interval, then the thesis's; NaN where there is none."""
    intervals = sorted({interval for _, interval, _ in table}, key=lambda interval: interval.endswith("ms"))
    lines = []
    for scenario in dict.fromkeys(scenario for scenario, _, _ in table):
        words = [f'"{scenario.name}"']
        for interval in intervals:
            rows = next((rows for one, other, rows in table if one == scenario and other == interval), [])
            ratio = sum(row["attributed_w"] for row in rows) / sum(row["attributable_w"] for row in rows) if rows else None
            sigma = max((row["sigma"] for row in rows if row["sigma"] is not None), default=None)
            words += ["NaN" if value is None else f"{value * 100:.3f}" for value in (ratio, sigma)]
        thesis = scenario.thesis
        words += [str(value) if value else "NaN" for value in ((thesis.ratio, thesis.sigma) if thesis else (None, None))]
        lines.append(" ".join(words))
    return intervals, "\n".join(lines) + "\n"


def has_points(data, column):
    return any(words.split()[column - 1] != "NaN" for words in data.splitlines())


def plot_commands(data, data_path, path, intervals):
    terminal = "pngcairo size 900,620" if path.endswith(".png") else "svg size 900,620 font 'sans,11' background 'white'"
    thesis = 2 + 2 * len(intervals)
    colours = ("#1b6ca8", "#63b4d1", "#2a9d8f")

    def bars(first):
        series = [(first + 2 * i, f"virtjoule, {interval}", colours[i % len(colours)]) for i, interval in enumerate(intervals)]
        series.append((thesis + first - 2, "thesis (workload)", "#c8553d"))
        return ", ".join(f"'{data_path}' using {column}:xtic(1) title '{title}' linecolor rgb '{colour}'"
                         for column, title, colour in series if has_points(data, column))
    return f"""
set terminal {terminal}
set output '{path}'
set style data histograms
set style histogram clustered gap 1
set style fill solid
set boxwidth 0.9
set grid ytics
set xtics rotate by 30 right
set key outside top center horizontal
set multiplot layout 2,1
set ylabel 'attributed / attributable, %'
set yrange [0:120]
set arrow from graph 0, first 100 to graph 1, first 100 nohead dashtype 2
plot {bars(2)}
unset arrow
unset key
set ylabel 'relative standard deviation, %'
set yrange [0:40]
plot {bars(3)}
"""


def write_plot(path, table):
    intervals, data = plot_data(table)
    with tempfile.TemporaryDirectory() as scratch:
        data_path = os.path.join(scratch, "data")
        with open(data_path, "w", encoding="utf-8") as out:
            out.write(data)
        subprocess.run(["gnuplot"], input=plot_commands(data, data_path, os.path.abspath(path), intervals), text=True, check=True)
