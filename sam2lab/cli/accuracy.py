"""`sam2lab accuracy` measures how well a model segments what it was not trained on."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lab.cli.arguments import add_coco, add_cutouts, add_engine, add_keep_in, count
from sam2lab.runtime.files import check_place

if TYPE_CHECKING:
    import pandas as pd

    from sam2lab.measure.ground_truth import Samples

    Drawer = Callable[[tuple[int, int]], Samples]

SUMMARY = "say how well a model segments"
TEXT = """\
Ask a model for every object of pictures whose truth is known, and print the
mean IoU (Jaccard index) of its masks with 95 % intervals, as a table in
Markdown: for one click in the centre, the mask that it scores best and the
best of its three; for a box; and for two more clicks, each on the larger
mistake. Beside it, how well outlines agree for a box (F, within 2 pixels), and
how the score of the mask after one click goes with its IoU (correlation).
Random weights are refused.

Figures are honest where training never saw the pictures: scenes are drawn from
numbers, photos and cut-outs that it is kept from, and --held-out does the same
for the photos of --coco.

examples:
  {prog} accuracy nano
  {prog} accuracy nano --coco data/tiny_coco --scenes 0
  {prog} accuracy nano --coco my_photos --held-out --cutouts emoji
  {prog} accuracy nano --coco photos --held-out --pictures 200
"""

SCENES = "synthetic scenes and cut-outs"

# The widths of the table's columns: two counts, six figures with their intervals.
WIDTHS = (7, 8, *[24] * 6)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `accuracy`."""
    parser.add_argument("model", metavar="MODEL", help="a size such as nano, or a bundle's folder")
    add_engine(parser)
    add_coco(
        parser,
        "an instances.json, or a folder that holds one; its photos lie beside it, or in "
        "images/ there; may be given again, for a row of its own",
    )
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="where the photos of --coco lie, if elsewhere"
    )
    parser.add_argument(
        "--held-out",
        action="store_true",
        help="only the photos of --coco that training keeps away from, one in five",
    )
    parser.add_argument(
        "--pictures",
        type=count,
        metavar="N",
        help="about so many photos of each --coco, evenly along its list; all by default",
    )
    parser.add_argument(
        "--scenes",
        type=count,
        default=200,
        metavar="N",
        help="how many drawn scenes to ask about; 200 by default, 0 for none",
    )
    add_cutouts(parser)
    add_keep_in(parser)


def run(arguments: Namespace) -> None:
    """Measure, and print the table."""
    if not arguments.coco and not arguments.scenes:
        raise ValueError("nothing to measure on: give --coco PATH, or --scenes above 0")
    if not arguments.coco and (arguments.held_out or arguments.images or arguments.pictures):
        raise ValueError(
            "--held-out, --images and --pictures are about --coco PATH, which is missing"
        )
    if arguments.images and len(arguments.coco) > 1:
        raise ValueError("--images is about a single --coco PATH; give the others in a run each")
    from sam2lab.measure.accuracy import evaluate
    from sam2lab.measure.accuracy_summaries import headline_accuracy
    from sam2lab.opening import open_segmenter

    if arguments.keep_in is not None:
        check_place("--keep-in", arguments.keep_in)
    parts = list(_parts(arguments))
    # Last, since it may export for minutes.
    engine = open_segmenter(arguments.model, engine=arguments.engine).engine
    left_out = []
    for name, samples_for, above_px in parts:
        samples = samples_for(engine.info.input_size)
        file = arguments.keep_in and arguments.keep_in / f"{name.split(',')[0]}.jsonl"
        result = evaluate(
            {str(arguments.model): engine}, samples, ("clicks", "box"), clicks=3, keep_in=file
        )
        if result.table.attrs["interrupted"]:
            raise KeyboardInterrupt
        rows = headline_accuracy(result.table, above_px)
        if name == parts[0][0]:
            _print_row("mean (95 % interval)", ["objects", "pictures", *rows["question"]])
            _print_row("---", ["---:"] * len(WIDTHS))
        counts = [f"{rows[column].max():,}" for column in ("objects", "photos")]
        means = [with_interval(row.value, row.low, row.high) for row in rows.itertuples()]
        _print_row(name, [*counts, *means])
        left_out.append(_left_out(name, result.skipped))
    print("", *filter(None, left_out), sep="\n")


def _parts(arguments: Namespace) -> Iterator[tuple[str, Drawer, int]]:
    """The kinds of pictures: a name, the samples, and how large an object must be to count.

    The samples are for a model's (height, width), which drawn scenes have.
    """
    from sam2lab.measure import ground_truth
    from sam2lab.measure.accuracy import SMALL_PX
    from sam2lab.scenes.mixture import Mixture

    if arguments.scenes:
        mixture = Mixture(cutouts=arguments.cutouts, held_out=True)
        yield SCENES, lambda size: ground_truth.drawn(mixture, arguments.scenes, size), 0
    for path in arguments.coco:
        photos = ground_truth.coco(path, arguments.images, arguments.held_out)
        step = max(1, round(len(photos) / (arguments.pictures or len(photos) or 1)))
        name = (path.parent if path.suffix else path).resolve().name
        yield f"{name}, objects > 32² px", partial(_of_any_size, photos[::step]), SMALL_PX


def _of_any_size(photos: Samples, _: tuple[int, int]) -> Samples:
    return photos


def _print_row(name: str, cells: Sequence[str]) -> None:
    padded = [f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)]
    print("|", " | ".join([f"{name:<{len(SCENES)}}", *padded]), "|", flush=True)


def with_interval(mean: float, low: float, high: float) -> str:
    """A mean with its interval, which a few pictures do not have.

    >>> with_interval(0.5, 0.4, 0.625), with_interval(0.5, math.nan, math.nan)
    ('0.500 (0.400 to 0.625)', '0.500')
    """
    return f"{mean:.3f}" + ("" if math.isnan(low) else f" ({low:.3f} to {high:.3f})")


def _left_out(name: str, skipped: pd.DataFrame) -> str:
    """A line that counts the skipped by reason, empty where there are none."""
    reasons = Counter(reason.partition(":")[0] for reason in skipped["reason"])
    counted = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items())
    return counted and f"skipped of {name}: {counted}"
