"""`sam2lab clips` measures how well a model follows objects through clips that are drawn."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lab.cli.accuracy import with_interval
from sam2lab.cli.arguments import add_coco, add_cutouts, add_engine, add_keep_in, count
from sam2lab.runtime.files import check_place

if TYPE_CHECKING:
    from sam2lab.runtime.engines.protocol import Engine
    from sam2lab.scenes import MovingScenes

SUMMARY = "say how well a model follows objects through drawn clips"
TEXT = """\
Let a model follow one object through each of some drawn clips, and print J
(mean IoU) in three frames of them, with 95 % intervals, as a table in
Markdown. Things move, hide, leave and return in the clips. Two baselines stand
beside each figure: the first mask held still, and the image model asked in
every frame for what is in the box of its last mask. A second table says of as
many other clips, in which the object is out of sight for a while, how often a
frame is rightly called with or without it. Random weights are refused.

Figures are honest: clips come from numbers, photos of --coco and cut-outs that
training is kept away from. For videos that were filmed there is `tracking`.

examples:
  {prog} clips nano
  {prog} clips nano --coco my_photos --cutouts emoji --keep-in run
  {prog} clips models/my-nano --clips 3 --frames 6 --no-baselines
"""

PROMPTS = ("mask", "click")
CLIPS, FRAMES = 24, 24


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `clips`."""
    parser.add_argument("model", metavar="MODEL", help="a size such as nano, or a bundle's folder")
    add_engine(parser)
    parser.add_argument(
        "--clips", type=count, default=CLIPS, metavar="N", help=f"of each kind; {CLIPS} by default"
    )
    parser.add_argument(
        "--frames",
        type=count,
        default=FRAMES,
        metavar="T",
        help=f"of each clip; {FRAMES} by default",
    )
    add_coco(parser, "photos in COCO's format to draw clips from; may be given again")
    add_cutouts(parser)
    parser.add_argument(
        "--no-baselines", action="store_true", help="leave them out, which saves a quarter"
    )
    add_keep_in(parser)


def run(arguments: Namespace) -> None:
    """Measure, and print both tables."""
    if not arguments.clips or arguments.frames < 3:
        raise ValueError(
            f"--clips is {arguments.clips} and --frames {arguments.frames}; wanted at least 1 and 3"
        )
    from sam2lab.opening import open_segmenter
    from sam2lab.scenes import CocoFolder, Mixture, MovingScenes

    if arguments.keep_in is not None:
        check_place("--keep-in", arguments.keep_in)
    folders = [CocoFolder(path) for path in arguments.coco]
    scenes = MovingScenes(Mixture(folders, arguments.cutouts, held_out=True))
    # Last, since it may export for minutes.
    engine = open_segmenter(arguments.model, engine=arguments.engine).engine
    print_figures(
        str(arguments.model),
        engine,
        scenes,
        arguments.clips,
        arguments.frames,
        baselines=not arguments.no_baselines,
        keep_in=arguments.keep_in,
    )


def print_figures(
    model: str,
    engine: Engine,
    scenes: MovingScenes,
    clips: int = CLIPS,
    frames: int = FRAMES,
    baselines: bool = True,
    keep_in: Path | None = None,
) -> None:
    """Follow objects through `clips` clips of each kind, and print both tables."""
    from sam2lab.measure.moving_clips import j_at, moving_clips, presence_called
    from sam2lab.measure.tracking import tracking_study

    tables = []
    for name, hides in (("moving", False), ("hiding", True)):
        side = engine.info.input_size[0]
        table = tracking_study(
            {model: engine},
            moving_clips(scenes, clips, frames, side, hides),
            PROMPTS,
            baselines=baselines and not hides,
            keep_in=keep_in and keep_in / f"{name}.jsonl",
        )
        if table.attrs["interrupted"]:
            raise KeyboardInterrupt
        tables.append(table)
    moving, hiding = tables

    shown = [frames * third // 3 - 1 for third in (1, 2, 3)]
    print("| J (95 % interval) | way | clips |", *(f"frame {frame} |" for frame in shown))
    print("|---|---|---:|" + "---:|" * len(shown))
    rows = j_at(moving, shown)
    for (prompt, way), row in rows.groupby(["prompt", "way"], sort=False):
        means = [with_interval(each.j, each.low, each.high) for each in row.itertuples()]
        print("|", " | ".join([prompt, way, str(row["clips"].max()), *means]), "|")
    print("\n| rightly called (95 % interval) | frames | clips | frames in all | share |")
    print("|---|---|---:|---:|---:|")
    for each in presence_called(hiding).itertuples():
        share = with_interval(each.right, each.low, each.high)
        print("|", f"{each.prompt} | {each.of} | {each.clips} | {each.frames:,} | {share}", "|")
