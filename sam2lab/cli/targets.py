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
were made, of the same graphs on this machine's processor.

examples:
  {prog} targets nano
  {prog} targets nano --only litert-float --only litert-w8a8
  {prog} targets nano --input-size 128x128 --photos 4
  {prog} targets tiny --weights random --folder my/files
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
    from sam2lab.export.device.bundles import images_for
    from sam2lab.export.everywhere import export_everywhere, targets_here
    from sam2lab.measure import machine
    from sam2lab.measure.by_target import compare_targets
    from sam2lab.peers.markdown import table
    from sam2lab.quantize.calibration import readable
    from sam2lab.reference import zoo
    from sam2lab.reference.engine import TorchEngine

    model = zoo.load(
        arguments.size,
        weights=arguments.weights,
        version=arguments.version,
        input_size=arguments.input_size,
    )
    photos = [photo for _, photo in readable(images_for(None, arguments.photos)[1])]
    with tempfile.TemporaryDirectory() as scratch:
        bundles = list(export_everywhere(model, arguments.folder or scratch, arguments.only))
        found = compare_targets(TorchEngine(model), bundles, photos, arguments.runs)
    height, width = model.info.input_size
    print(f"{model.info.name} at {height} x {width}; {machine.describe(machine.fingerprint())}.\n")
    print(table(in_words(found)))
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
