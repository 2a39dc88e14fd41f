"""Measures the program in C++ beside Python and torch, with nano, and prints the figures.

make bench-native
make bench-native ARGS="--starts 30 --rounds 10"
"""

from __future__ import annotations

import argparse
import io
import sys

import pandas as pd

from sam2lab.measure import machine, native
from sam2lab.measure.statistics import median_interval
from tests.conftest import REPOSITORY

NANO = REPOSITORY / "models" / "nano"
PHOTO = REPOSITORY / "data" / "photos" / "cat.jpg"
CLICK = (170.0, 110.0)
OPENINGS = {
    native.PYTHON: {"model": NANO},
    "torch": {"model": "nano", "engine": "torch"},
}


def ratio(table: pd.DataFrame, column: str, by: str, other: str) -> str:
    """The median of C++ divided by another series, pair by pair, with its 95 % interval."""
    wide = table.pivot(index=by, columns="series", values=column)
    found = median_interval(wide[native.CPP] / wide[other])
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}] of {other}'s"


def main() -> None:
    """Measure, and print a line for each goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--runs", type=int, default=40)
    asked = parser.parse_args()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a line as soon as it is known
    program = native.build()
    facts = machine.fingerprint()
    print(
        machine.describe(facts), facts["cpu_flags"], f"onnxruntime {facts['onnxruntime']}", sep="; "
    )

    disk = native.to_disk(OPENINGS, PHOTO, CLICK, asked.starts, program)
    print(disk.groupby("series", sort=False)[["mask_ms", "peak_mb"]].median().round(1))
    for other in OPENINGS:
        print("process start to mask on disk:", ratio(disk, "mask_ms", "start", other))
        print("peak of memory:", ratio(disk, "peak_mb", "start", other))

    table = native.steady(OPENINGS[native.PYTHON], program, PHOTO, CLICK, asked.runs, asked.rounds)
    for name, rows in (("first answer", table["run"] == 0), ("further answers", table["run"] > 0)):
        medians = table[rows].groupby(["series", "round"])[native.STEPS].median()
        print(name)
        print(medians.groupby("series").median().round(2))
        print("total:", ratio(medians.reset_index(), "total_ms", "round", native.PYTHON))


if __name__ == "__main__":
    main()
