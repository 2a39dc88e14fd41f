"""`sam2lab hub` runs a bundle on a phone that Qualcomm AI Hub hosts."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sam2lab.hub import Work

SUMMARY = "run a bundle on a phone that Qualcomm AI Hub hosts"
TEXT = """\
Compile a bundle for a real phone in Qualcomm's cloud, measure its time there,
and compare its masks on your photos with ours. The cloud wants a token, which
is free; what is uploaded are the graphs and the photos.

`submit` uploads, starts jobs and prints their folder; `fetch` waits for the
jobs of a folder and brings home files, times and masks, and goes on where an
earlier one stopped; `status` says how far jobs are; `setup` makes the
environment of Qualcomm's client; `devices` lists what there is.

examples:
  {prog} hub setup
  {prog} hub devices galaxy
  {prog} hub submit models/tiny --device "Samsung Galaxy S24"
  {prog} hub submit models/nano --device "SA8775P ADP" --runtime onnx
  {prog} hub submit models/nano-litert-w8a8 --device "Google Pixel 9"
  {prog} hub status
  {prog} hub fetch models/hub/tiny-on-s24
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `hub`."""
    verbs = parser.add_subparsers(metavar="VERB", dest="verb", required=True)
    verbs.add_parser("setup", help="make the environment of Qualcomm's client (0.2 GB)")
    devices = verbs.add_parser("devices", help="list the devices")
    devices.add_argument("word", nargs="?", default="", metavar="WORD", help="in their names")
    submit = verbs.add_parser("submit", help="upload a bundle, and start jobs")
    submit.add_argument(
        "bundle",
        metavar="FOLDER",
        help="a bundle of .tflite or .dlc files, which run as they are, or one of precision float "
        "of .onnx files, which are compiled there",
    )
    submit.add_argument("--device", required=True, metavar="NAME", help="see `hub devices`")
    submit.add_argument(
        "--runtime",
        choices=("tflite", "qnn_dlc", "onnx"),
        help="what .onnx files are compiled for; tflite by default",
    )
    submit.add_argument(
        "--precision",
        choices=("float", "w8a8", "w8a8-full"),
        help="of .onnx files: 'float' (the default); 'w8a8' lets AI Hub quantise the encoder, and "
        "'w8a8-full' the decoder too, whose masks then are others",
    )
    submit.add_argument(
        "--photos",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="masks are compared on the first three, 8 bits are calibrated with twelve; by default "
        "those that ship",
    )
    submit.add_argument(
        "--out", type=Path, metavar="FOLDER", help="remembers the jobs; by default in models/hub"
    )
    status = verbs.add_parser("status", help="say how far jobs are")
    status.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="by default all in models/hub"
    )
    fetch = verbs.add_parser("fetch", help="wait for jobs, and bring home what they made")
    fetch.add_argument("folder", type=Path, metavar="FOLDER", help="what `hub submit` printed")
    fetch.add_argument("--no-wait", action="store_true", help="only what is there now")


def run(arguments: Namespace) -> None:
    """Do what the verb says."""
    _VERBS[arguments.verb](arguments)


def _setup(arguments: Namespace) -> None:
    from sam2lab.hub import environment

    print(environment.make())


def _devices(arguments: Namespace) -> None:
    from sam2lab import hub

    for name, version, chipset in hub.devices():
        if arguments.word.lower() in name.lower():
            print(f"{name}  (system {version}, {chipset})")


def _submit(arguments: Namespace) -> None:
    from sam2lab import hub

    work = hub.submit(
        arguments.bundle,
        arguments.device,
        arguments.runtime,
        arguments.precision,
        arguments.photos,
        arguments.out,
        _say,
    )
    print(work.folder)


def _status(arguments: Namespace) -> None:
    from sam2lab import hub
    from sam2lab.hub.submitting import works_folder
    from sam2lab.hub.work import JOBS_FILE

    folders = arguments.folders or [f.parent for f in sorted(works_folder().glob(f"*/{JOBS_FILE}"))]
    if not folders:
        print(f"no jobs in {works_folder()}: python -m sam2lab hub submit FOLDER --device NAME")
    for folder in folders:
        work = hub.Work.open(folder)
        hub.refresh(work)
        print(*_lines(work), sep="\n")


def _lines(work: Work) -> list[str]:
    asked = work.asked
    lines = [f"{work.folder}: {asked.device}, {asked.runtime}, {asked.precision}"]
    for name, step in work.steps.items():
        lines.append("  ".join(filter(None, [f"  {name:<19}", step.state, step.reason, step.url])))
    return lines


def _fetch(arguments: Namespace) -> None:
    from sam2lab import hub

    work = hub.Work.open(arguments.folder)
    if not hub.fetch(work, _say, wait=not arguments.no_wait):
        print(*_lines(work), sep="\n")
        return
    columns = ["model", "runtime", "precision", "chipset", "inference_ms", "peak_mb_max"]
    print(hub.profiles(work.folder)[[*columns, "primary_compute_unit"]].to_string(index=False))
    masks = hub.masks(work.folder)
    if len(masks):
        ious = masks.groupby("kind")["iou"].agg(["mean", "min", "size"])
        print("\nIoU of the device's masks with ours")
        print(ious.rename(columns={"min": "least", "size": "masks"}).to_string())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


_VERBS = {
    "setup": _setup,
    "devices": _devices,
    "submit": _submit,
    "status": _status,
    "fetch": _fetch,
}
