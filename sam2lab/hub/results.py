"""Fetch what the jobs of a folder made: files, profiles and masks, as files and as tables."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pandas as pd

from sam2lab.hub import comparing
from sam2lab.hub.client import Client
from sam2lab.hub.following import Report, check_failures, follow
from sam2lab.hub.sources import GRAPHS
from sam2lab.hub.steps import Steps
from sam2lab.hub.work import Work
from sam2lab.measure import devices
from sam2lab.measure.profiles import profile_row
from sam2lab.runtime.files import replacing

MASKS, PROFILES = "masks.csv", "profiles.csv"


def fetch(work: Work, report: Report, wait: bool = True) -> bool:
    """Go on with a folder, and fetch what is there; whether that is all.

    Writes `encoder` and `decoder` as the device's runtime takes them, `profiles.csv`, rows of the
    device table, and `masks.csv`, how the device's masks differ from ours.
    """
    with Client() as client:
        steps = Steps(work, client)
        if wait:
            follow(steps, report)
        for graph in GRAPHS:
            _fetch_file(steps, graph, report)
        whole = all(name in work.steps and work.steps[name].is_done for name in steps.needs())
        if whole:
            _write_profiles(steps)
            _compare(steps, report)
        else:
            check_failures(steps)
        return whole


def profiles(*folders: str | os.PathLike[str]) -> pd.DataFrame:
    """Rows of the device table from folders that were fetched: all of `models/hub` by default.

    It has the columns of `devices.published` where there are none.

    ```python
    table = pd.concat([devices.published(), profiles()], ignore_index=True)
    ```
    """
    from sam2lab.hub.submitting import works_folder

    chosen = [Path(each) for each in folders] or sorted(works_folder().glob("*"))
    files = [folder / PROFILES for folder in chosen]
    missing = [str(file.parent) for file in files if not file.is_file()]
    if folders and missing:
        raise ValueError(
            f"{missing[0]} has no {PROFILES}; fetch it: python -m sam2lab hub fetch {missing[0]}"
        )
    tables = [pd.read_csv(file) for file in files if file.is_file()]
    return pd.concat(tables, ignore_index=True) if tables else devices.published()[:0]


def masks(folder: str | os.PathLike[str]) -> pd.DataFrame:
    """How a fetched folder's masks differ from ours, in the columns of `measure.compare_masks`.

    Without rows where our weights for its files are not here.
    """
    path = Path(folder) / MASKS
    if not path.is_file() and (path.parent / PROFILES).is_file():
        return pd.DataFrame(columns=["kind", "iou"])
    return pd.read_csv(path)


def _fetch_file(steps: Steps, graph: str, report: Report) -> None:
    """Download the compiled file of one graph, if it is made and not here."""
    work = steps.work
    made = work.steps.get(f"{graph}/compile")
    if made is None or not made.is_done or any(work.folder.glob(f"{graph}.*")):
        return
    report(f"{graph}: downloads its file")
    with tempfile.TemporaryDirectory(dir=work.folder, prefix=".") as beside:
        loaded = Path(steps.client.ask("download_model", model=made.made, folder=beside))
        # One file, or the archive of several.
        loaded.replace(work.folder / f"{graph}{''.join(loaded.suffixes)}")


def _write_profiles(steps: Steps) -> None:
    asked, info = steps.work.asked, steps.source.info
    weights = "random weights: for time only" if info.has_random_weights else "trained weights"
    rows = []
    for part, verb in devices.PARTS.items():
        graph = f"{verb}r"
        profile = steps.client.ask("download_profile", job=steps.work.steps[f"{graph}/run"].id)
        precision = steps.precision(graph)
        size = "x".join(map(str, info.input_size))
        measured = f"{info.size} at {size}, {weights}"
        rows.append(profile_row(profile, part, asked.runtime, precision, asked.chipset, measured))
    with replacing(steps.work.folder / PROFILES) as beside:
        pd.DataFrame(rows).to_csv(beside, index=False)


def _compare(steps: Steps, report: Report) -> None:
    path = steps.work.folder / MASKS
    if path.exists():
        return
    ours = comparing.reference(steps.source.bundle)
    if ours is None:
        report("masks are not compared: the weights of these files are not here")
        return
    report("compares the device's masks with ours")
    encoded, decoded = steps.outputs("encoder"), steps.outputs("decoder")
    table = comparing.compare(steps.source, ours, steps.photos(), encoded, decoded)
    with replacing(path) as beside:
        table.to_csv(beside, index=False)
