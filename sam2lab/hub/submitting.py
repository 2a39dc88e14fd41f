"""Submit a bundle to Qualcomm AI Hub, and say how far its jobs are."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from sam2lab import settings
from sam2lab.hub.client import Client
from sam2lab.hub.errors import HubError
from sam2lab.hub.following import Report, start_all
from sam2lab.hub.steps import PRECISIONS, RUNTIMES, Steps
from sam2lab.hub.work import Asked, Work
from sam2lab.runtime.arguments import existing_file
from sam2lab.runtime.bundle import ONNX, TFLITE, Bundle

# The runtimes of files that run as they are, by their endings.
COMPILED = {TFLITE: "tflite", "dlc": "qnn_dlc"}


def works_folder() -> Path:
    """Where folders of jobs lie by default."""
    return settings.models_folder() / "hub"


def submit(
    bundle: str | os.PathLike[str],
    device: str,
    runtime: str | None = None,
    precision: str | None = None,
    photos: Sequence[str | os.PathLike[str]] = (),
    folder: str | os.PathLike[str] | None = None,
    report: Report = print,
) -> Work:
    """Upload a bundle's graphs, and start the jobs that need no other job's result.

    Files for devices, .tflite or .dlc, run as they are. Those of a float bundle for ONNX Runtime
    are compiled there for `runtime`, by default `"tflite"`, in `precision`: `"float"`, `"w8a8"`,
    which leaves the decoder float, or `"w8a8-full"`.

    `photos` are files whose masks are compared, the first three of them; 8 bits are calibrated with
    twelve. By default those that ship. Called again, it goes on with the same `folder`, which by
    default has a name that says what it is.
    """
    for name, value, known in (
        ("runtime", runtime, RUNTIMES),
        ("precision", precision, PRECISIONS),
    ):
        if value is not None and value not in known:
            raise ValueError(f"{name} is {value!r}; wanted one of {', '.join(known)}")
    opened = Bundle.open(bundle)
    runtime, precision = _what_runs(opened, runtime, precision)
    for photo in photos:
        existing_file("photos", photo, "files of photos")
    chosen = photos or sorted((settings.data_folder() / "photos").glob("*.jpg"))
    with Client() as client:
        name, os_version, chipset = _device(client, device)
        asked = Asked(
            str(opened.folder.absolute()),
            opened.key,
            name,
            chipset,
            os_version,
            runtime,
            precision,
            tuple(str(Path(photo).absolute()) for photo in chosen),
        )
        place = folder or works_folder() / _name(opened, asked)
        work = Work.begin(place, asked)
        start_all(Steps(work, client), report)
        return work


def refresh(work: Work) -> None:
    """Ask for the state of each job that runs; nothing is started."""
    running = [name for name, step in work.steps.items() if step.is_running]
    if running:
        with Client() as client:
            steps = Steps(work, client)
            for name in running:
                steps.refresh(name)


def devices() -> list[tuple[str, str, str]]:
    """Name, version of the system and chipset of each device of AI Hub."""
    with Client() as client:
        return [_described(each) for each in client.ask("devices")]


def _what_runs(bundle: Bundle, runtime: str | None, precision: str | None) -> tuple[str, str]:
    """The runtime and the precision on the device; refuses what does not go with the files."""
    place, info = str(bundle.folder), bundle.info
    if bundle.kind == ONNX:
        if info.precision != "float":
            raise ValueError(
                f"bundle is {place!r}, of precision {info.precision}; wanted one of precision "
                "float, which AI Hub quantises itself with precision='w8a8'"
            )
        return runtime or "tflite", precision or "float"
    if bundle.kind not in COMPILED:
        raise ValueError(
            f"bundle is {place!r}, of .{bundle.kind} files; wanted one of .onnx files, which AI "
            f"Hub compiles, or of .tflite or .dlc files: python -m sam2lab export {info.size} "
            "--target qnn, without --chip"
        )
    made = COMPILED[bundle.kind], info.precision
    for name, asked, has in zip(("runtime", "precision"), (runtime, precision), made, strict=True):
        if asked not in (None, has):
            raise ValueError(
                f"{name} is {asked!r}, but {place!r} has .{bundle.kind} files of {name} {has!r}, "
                "which run as they are; leave it out, or give a float bundle of .onnx files"
            )
    return made


def _device(client: Client, device: str) -> tuple[str, str, str]:
    found = client.ask("devices", name=device)
    if not found:
        known = [each["name"] for each in client.ask("devices")]
        near = ", ".join(difflib.get_close_matches(device, known, 3, 0.4)) or "nothing"
        raise HubError(
            "device",
            f"device is {device!r}, which AI Hub does not have; near to it is {near}. All of them: "
            "python -m sam2lab hub devices",
        )
    # The newest system comes last.
    return _described(found[-1])


def _described(device: dict[str, str | list[str]]) -> tuple[str, str, str]:
    chipsets = [a.partition(":")[2] for a in device["attributes"] if a.startswith("chipset:")]
    return str(device["name"]), str(device["os"]), chipsets[0] if chipsets else "unknown"


def _name(bundle: Bundle, asked: Asked) -> str:
    parts = [bundle.folder.name, asked.device, asked.runtime, asked.precision]
    return re.sub(r"[^\w.]+", "-", " ".join(parts)).strip("-").lower()
