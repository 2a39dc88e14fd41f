"""`sam2lab tracking` measures how well a model follows objects through videos."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from sam2lab import settings
from sam2lab.cli.accuracy import with_interval
from sam2lab.cli.arguments import add_keep_in, add_model
from sam2lab.runtime.files import check_place

SUMMARY = "say how well a model follows objects through videos"
TEXT = """\
Let a model follow every object of a folder in DAVIS's format, and print J, F
and J&F as DAVIS 2017 defines them, with 95 % intervals where there are videos
enough, as a table in Markdown. Two baselines stand beside each figure: the
first mask held still, and the image model asked in every frame for what is in
the box of its last mask. Random weights are refused.

JPEGImages/<video> and Annotations/<video> hold frames and labels, or such
folders of a resolution (480p) in between; ImageSets/2017/<split>.txt lists the
videos of a split.

examples:
  {prog} tracking --model nano
  {prog} tracking DAVIS --model tiny
  {prog} tracking DAVIS --prompt click --prompt box --keep-in run
  {prog} tracking my_videos --engine openvino --table all.csv
"""

FIGURES = {"j_and_f": "J&F", "j": "J", "f": "F"}


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `tracking`."""
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="in the format of DAVIS; by default that of the clip that ships",
    )
    add_model(parser)
    parser.add_argument(
        "--prompt",
        action="append",
        choices=("mask", "click", "box"),
        help="how the first frame names an object: its true mask (the default), a click in its "
        "middle, or its box; may be given again",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="a list in ImageSets/2017; by default val if it is there, else all videos",
    )
    parser.add_argument(
        "--resolution", metavar="NAME", help="480p by default, if there are several"
    )
    parser.add_argument(
        "--no-baselines", action="store_true", help="leave them out, which halves the time"
    )
    add_keep_in(parser)
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="write the figures of every frame as CSV"
    )


def run(arguments: Namespace) -> None:
    """Measure, and print the table."""
    from sam2lab.measure import DavisFolder, summarise_tracking, tracking_study
    from sam2lab.opening import open_segmenter

    folder = settings.data_folder() / "clips" if arguments.folder is None else arguments.folder
    videos = DavisFolder(folder, arguments.split, arguments.resolution)
    for name, place in (
        ("--keep-in", arguments.keep_in),
        ("--table", arguments.table and arguments.table.parent),
    ):
        if place is not None:
            check_place(name, place)
    model = str(arguments.model)
    table = tracking_study(
        # Last, since it may export for minutes.
        {model: open_segmenter(arguments.model, engine=arguments.engine)},
        videos,
        arguments.prompt or "mask",
        baselines=not arguments.no_baselines,
        keep_in=arguments.keep_in and arguments.keep_in / "tracking.jsonl",
    )
    if table.attrs["interrupted"]:
        raise KeyboardInterrupt
    if arguments.table is not None:
        table.to_csv(arguments.table, index=False)
    print(f"{model}, memory {table.attrs['engines'][model]['memory']}\n")
    print("| prompt | way | videos | objects |", " | ".join(FIGURES.values()), "|")
    print("|---|---|---:|---:|" + "---:|" * len(FIGURES))
    for row in summarise_tracking(table).to_dict("records"):
        cells = [row["prompt"], row["way"], f"{row['sequences']:,}", f"{row['objects']:,}"]
        means = [
            with_interval(*(row[each + end] for end in ("", "_low", "_high"))) for each in FIGURES
        ]
        print("|", " | ".join([*cells, *means]), "|")
    for skipped in table.attrs["skipped"]:
        print(f"\nskipped: {skipped['sequence']}, {skipped['prompt']}: {skipped['reason']}")
