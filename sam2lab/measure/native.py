"""Builds `sam2lab-segment`, the program in C++, and measures it beside Python and torch.

Its sources are in the folder `native/` of the checkout, which a wheel does not have.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import onnxruntime
import pandas as pd
from tqdm.auto import tqdm

from sam2lab.measure import machine
from sam2lab.runtime.arguments import whole

SOURCES = Path(__file__).resolve().parents[2] / "native"
CPP, PYTHON = "C++", "sam2lab"
DISK_COLUMNS = ["series", "start", "mask_ms", "peak_mb"]
STEPS = ["pre_ms", "encode_ms", "decode_ms", "post_ms", "total_ms"]
STEADY_COLUMNS = ["series", "round", "run", *STEPS, "peak_mb"]

# A busy machine took a minute for ten seconds of work.
PATIENCE_S = 900

# What a user would write: from nothing to a mask on disk. Last, it prints its peak of memory.
TO_DISK = """
import json, sys
import sam2lab
from PIL import Image

job = json.loads(sys.argv[1])
segmenter = sam2lab.open_segmenter(**job["open"])
click = {"point_coordinates": [job["click"]], "point_labels": [1]}
(prediction,) = segmenter.segment_images(job["photo"], **click)
Image.fromarray(prediction.best).save(job["out"])
from sam2lab.measure._child_loop import peak_mb
print(peak_mb())
"""
# The same answer again and again, without a cache, and the times of each.
STEADY = """
import json, sys
import sam2lab
from sam2lab.measure._child_loop import peak_mb
from sam2lab.measure.workload import Workload, time_answer

job = json.loads(sys.argv[1])
engine = sam2lab.open_segmenter(**job["open"]).engine
click = {"point_coordinates": [job["click"]], "point_labels": [1]}
workload = Workload.about(job["photo"], click)
print("run,pre_ms,encode_ms,decode_ms,post_ms,total_ms,peak_mb")
for run in range(job["runs"]):
    pre, encode, decode, post, total, _ = time_answer(engine, workload)
    print(run, pre, encode, decode, post, total, peak_mb(), sep=",")
"""


class CannotBuild(RuntimeError):
    """The program cannot be built here; the message says what is missing."""


def build(folder: Path = SOURCES.parent / "build" / "native", *options: str) -> Path:
    """Build the program, or what of it changed, and return its file.

    `options` are those of CMake. `make native` builds in the same folder.
    """
    if not (SOURCES / "CMakeLists.txt").is_file():
        raise CannotBuild("the sources of the program in C++ are in sam2lab's repository only")
    if shutil.which("cmake") is None:
        raise CannotBuild("cmake, which builds the program in C++, is not installed")
    for command in (
        ["cmake", "-S", str(SOURCES), "-B", str(folder), *options],
        ["cmake", "--build", str(folder), "--config", "Release"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        if done.returncode:
            said = (done.stderr + done.stdout).splitlines()
            why = next((line.strip() for line in said if "rror" in line or "ould NOT" in line), "")
            raise CannotBuild(
                "the program in C++ was not built, which wants a compiler for C++17, and libjpeg "
                f"and libpng with their headers: {why or said[-1:]}"
            )
    places = [folder, folder / "Release"]
    names = ("sam2lab-segment", "sam2lab-segment.exe")
    return next(file for place in places for n in names if (file := place / n).is_file())


def onnxruntime_library() -> Path:
    """The shared library in the wheel of onnxruntime that Python imports."""
    folder = Path(onnxruntime.__file__).with_name("capi")
    endings = ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll")
    return next(file for ending in endings for file in sorted(folder.glob(ending)))


def to_disk(
    openings: Mapping[str, Mapping[str, Any]],
    photo: str | os.PathLike[str],
    click: tuple[float, float],
    starts: int = 10,
    program: Path | None = None,
) -> pd.DataFrame:
    """Time processes that segment a photo, from their start until the mask is on disk, in turn.

    Columns: `series`, `start`, `mask_ms` as the parent sees it, and `peak_mb`, the most memory
    that the process held, in 10^6 bytes. `openings` are arguments of `sam2lab.open_segmenter`
    by name; `program`, if given, runs the bundle of the series "sam2lab" too, as "C++".
    """
    starts = whole("starts", starts, least=1)
    series = [*([CPP] if program else []), *openings]
    rows = []
    with tempfile.TemporaryDirectory(prefix="sam2lab-disk-") as scratch:
        out = Path(scratch) / "mask.png"
        turns = [(start, name) for start in range(starts) for name in series]
        with contextlib.suppress(KeyboardInterrupt):
            for start, name in tqdm(turns, desc="to disk", leave=False):
                if name == CPP:
                    assert program is not None
                    csv = Path(scratch) / "times.csv"
                    bundle = openings[PYTHON]["model"]
                    command = [*_command(program, bundle, photo, click, out), "--repeat", "1"]
                    took_ms, _ = _timed([*command, "--csv", str(csv)])
                    peak_mb = float(pd.read_csv(csv)["peak_mb"].iloc[-1])
                else:
                    took_ms, said = _timed(_python(TO_DISK, openings[name], photo, click, out=out))
                    peak_mb = float(said)
                rows.append((name, start, took_ms, peak_mb))
    return _with_machine(pd.DataFrame(rows, columns=DISK_COLUMNS))


def steady(
    opening: Mapping[str, Any],
    program: Path,
    photo: str | os.PathLike[str],
    click: tuple[float, float],
    runs: int = 30,
    rounds: int = 5,
) -> pd.DataFrame:
    """Time answers of processes that give `runs` each, C++ and Python in turn, `rounds` times.

    An answer is all three masks, from a photo that is read to their pixels. Columns: `series`,
    `round`, `run` (0 is the first answer of a process), the four steps, `total_ms` and
    `peak_mb`. `opening` holds arguments of `sam2lab.open_segmenter`.
    """
    runs, rounds = whole("runs", runs, least=1), whole("rounds", rounds, least=1)
    tables = []
    with tempfile.TemporaryDirectory(prefix="sam2lab-steady-") as scratch:
        out, csv = Path(scratch) / "mask.png", Path(scratch) / "times.csv"
        command = _command(program, opening["model"], photo, click, out)
        command += ["--all-candidates", "--repeat", str(runs), "--csv", str(csv)]
        for number in tqdm(range(rounds), desc="steady", leave=False):
            _timed(command)
            cpp = pd.read_csv(csv)
            _, said = _timed(_python(STEADY, opening, photo, click, runs=runs))
            python = pd.read_csv(io.StringIO(said))
            tables += [cpp.assign(series=CPP, round=number)]
            tables += [python.assign(series=PYTHON, round=number)]
    return _with_machine(pd.concat(tables, ignore_index=True)[STEADY_COLUMNS])


def _command(
    program: Path,
    bundle: str | os.PathLike[str],
    photo: str | os.PathLike[str],
    click: tuple[float, float],
    out: Path,
) -> list[str]:
    point = ",".join(map(repr, click))
    library = str(onnxruntime_library())
    words = [program, bundle, photo, "--point", point, "--out", out, "--onnxruntime", library]
    return [*map(str, words)]


def _python(
    script: str,
    opening: Mapping[str, Any],
    photo: str | os.PathLike[str],
    click: tuple[float, float],
    **others: Any,
) -> list[str]:
    job = {"open": dict(opening), "photo": photo, "click": click, **others}
    return [sys.executable, "-c", script, json.dumps(job, default=str)]


def _timed(command: list[str]) -> tuple[float, str]:
    """How long a process took, in ms, and what it printed."""
    path = os.pathsep.join([str(SOURCES.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    start = perf_counter()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": path},
    )
    took_ms = 1000 * (perf_counter() - start)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {last}")
    return took_ms, done.stdout


def _with_machine(table: pd.DataFrame) -> pd.DataFrame:
    table.attrs["machine"] = machine.fingerprint()
    return table
