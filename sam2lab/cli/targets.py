"""`sam2lab targets` says what each kind of file costs a model: masks, bytes, time."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lab.cli.arguments import add_size, add_version, count, height_and_width
from sam2lab.runtime.engines.protocol import SIZES, TARGETS

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "compare the files for computers, phones and NPUs, in every precision"
TEXT = """\
Export one model for every target whose packages are here, in every precision,
and print a table in Markdown: how far the masks agree with the model's in torch
(mean and least IoU over six kinds of prompt on each photo), how large the files
are, how long an encode takes here on one thread, as a multiple of the first
row's, and what was published of the tiny model on real chips. Photos are those
that ship, and drawn scenes; what is calibrated never saw them.

Files for NPUs run nowhere but there: their row is what was measured when they
were made, of the same graphs on this machine's processor. A second table says
how many nodes of the encoder the NPU takes and what compiling took, and with
--chip and --emulate how far masks agree where Qualcomm's emulator encodes. That
takes it a minute for a photo of 512 x 512.

examples:
  {prog} targets nano
  {prog} targets nano --only litert-float --only litert-w8a8
  {prog} targets nano --input-size 128x128 --photos 4
  {prog} targets tiny --weights random --folder my/files
  {prog} targets nano --only qnn-float --chip SM8650 --emulate 4
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `targets`."""
    add_size(parser, SIZES, default="nano")
    parser.add_argument(
        "--weights", default="auto", metavar="WHICH", help="as for export; 'auto' by default"
    )
    add_version(parser)
    parser.add_argument("--input-size", type=height_and_width, metavar="HEIGHTxWIDTH")
    names = [f"{target}-{precision}" for target in TARGETS for precision in TARGETS[target]]
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        default=[],
        metavar="NAME",
        help="only these files, such as litert-w8a8; may be given again: " + ", ".join(names),
    )
    parser.add_argument(
        "--photos", type=count, default=20, metavar="N", help="to compare on; 20 by default"
    )
    parser.add_argument(
        "--runs", type=count, default=15, metavar="N", help="of each encoder; 15 by default"
    )
    parser.add_argument("--chip", metavar="NAME", help="for qnn: compile for this chip")
    parser.add_argument(
        "--emulate",
        type=count,
        default=0,
        metavar="N",
        help="with --chip: ask Qualcomm's emulator about so many of the photos; 0 by default",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        help="keep the files there, and take what is there instead of exporting it",
    )


def run(arguments: Namespace) -> None:
    """Export, measure, and print the table."""
    if not 1 <= arguments.photos <= 20 or arguments.runs < 2:
        raise ValueError(
            f"--photos is {arguments.photos} and --runs {arguments.runs}; wanted 1 to 20, and at "
            "least 2"
        )
    if arguments.emulate > arguments.photos * bool(arguments.chip):
        raise ValueError(
            f"--emulate is {arguments.emulate}; wanted at most --photos, {arguments.photos}, and "
            "--chip, since the emulator is one chip's"
        )
    from sam2lab.export.device.bundles import answers_of, images_for
    from sam2lab.export.everywhere import export_everywhere, targets_here
    from sam2lab.measure import machine
    from sam2lab.measure.by_target import compare_targets
    from sam2lab.peers.markdown import table
    from sam2lab.qnn.chips import chip
    from sam2lab.qnn.emulated import compiled
    from sam2lab.quantize.calibration import readable
    from sam2lab.reference import zoo

    wanted = chip(arguments.chip) if arguments.chip else None
    model = zoo.load(
        arguments.size,
        weights=arguments.weights,
        version=arguments.version,
        input_size=arguments.input_size,
    )
    photos = [photo for _, photo in readable(images_for(None, arguments.photos)[1])]
    asked = photos[: arguments.emulate]
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder or scratch
        bundles = list(export_everywhere(model, folder, arguments.only, wanted))
        reference = answers_of(model)
        found = compare_targets(reference, bundles, photos, arguments.runs)
        for_npus = [bundle for bundle in bundles if bundle.target == "qnn"]
        encoders = compiled(reference, for_npus, asked)
    height, width = model.info.input_size
    print(f"{model.info.name} at {height} x {width}; {machine.describe(machine.fingerprint())}.\n")
    print(table(in_words(found)))
    if len(encoders):
        print(f"\nThe encoder, compiled for {wanted.name if wanted else 'any chip'}:\n")
        print(table(compiled_in_words(encoders)))
    absent = [target for target in TARGETS if target not in targets_here()]
    for target in absent:
        print(f"\nnot here: {target}; pip install 'sam2lab[{target}]' brings it")


def in_words(found: pd.DataFrame) -> pd.DataFrame:
    """The table of `compare_targets` as text."""
    import pandas as pd

    def time(row: pd.Series) -> str:
        if pd.isna(row["ratio"]):
            return "not here"
        if row["ratio_low"] == row["ratio_high"]:
            return f"{row['encode_ms']:.0f} ms"
        return f"{row['ratio']:.2f} [{row['ratio_low']:.2f}, {row['ratio_high']:.2f}]"

    def published(row: pd.Series) -> str:
        if not row["chipsets"]:
            return "–"
        low, high = row["published_low_ms"], row["published_high_ms"]
        return f"{row['published_ms']:,.0f} ({low:,.0f} to {high:,.0f}, {row['chipsets']} chips)"

    return pd.DataFrame(
        {
            "target": found["target"],
            "precision": found["precision"],
            "files (MB)": found["megabytes"].map("{:.1f}".format),
            "masks": [f"{row.masks} on {row.photos} photos" for row in found.itertuples()],
            # Rounded down: 1 is for masks that are all the same.
            "mean IoU": [f"{int(value * 1e5) / 1e5:.5f}" for value in found["mean_iou"]],
            "least IoU": [f"{int(value * 1e5) / 1e5:.5f}" for value in found["least_iou"]],
            "encode": found.apply(time, axis=1),
            "tiny on published chips (ms)": found.apply(published, axis=1),
        }
    )


def compiled_in_words(found: pd.DataFrame) -> pd.DataFrame:
    """The table of `qnn.compiled` as text."""
    import pandas as pd

    words = {
        "precision": found["precision"],
        "nodes on QNN, on the processor": [f"{r.on_qnn}, {r.on_cpu}" for r in found.itertuples()],
        "file (MB)": found["megabytes"].map("{:.1f}".format),
        "compiling (s of a core)": found["seconds"].map("{:.0f}".format),
        "its peak (GB)": (found["peak_mb"] / 1000).map("{:.2f}".format),
    }
    if "masks" in found:
        words["mean IoU by the emulator (least)"] = [
            f"{r.mean_iou:.4f} ({r.least_iou:.4f}) of {r.masks} masks" for r in found.itertuples()
        ]
    return pd.DataFrame(words)
