"""`sam2lab video-bench` measures our way of following objects beside upstream's."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from sam2lab.cli.arguments import add_comparison, count

SUMMARY = "measure how fast objects are followed, beside upstream"
TEXT = """\
Follow the same objects with the same weights, by turns, with our exported
memory and with upstream's SAM2VideoPredictor, eager and compiled; on OpenVINO
and in 8 bits; with five objects; and print each figure beside its goal, as a
table in Markdown. All parts take hours for tiny: measure some with --only.

Weights are random by default: they take as long as trained ones. The folder
keeps the exported files and video.json, to which each finished part is added.

examples:
  {prog} video-bench --only eager --only openvino
  {prog} video-bench nano --only memory --frames 40
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `video-bench`."""
    from sam2lab.peers.video.parts import PARTS

    add_comparison(parser, "part", PARTS)
    parser.add_argument(
        "--rounds", type=count, default=12, help="frames in the steady state; 12 by default"
    )
    parser.add_argument(
        "--frames", type=count, default=200, help="for the peak of memory; 200 by default"
    )
    parser.add_argument(
        "--stream", type=count, default=1000, help="frames of the stream; 1000 by default"
    )
    parser.add_argument("--video", type=Path, help="by default the clip that ships")


def run(arguments: Namespace) -> None:
    """Measure, and print the report."""
    from sam2lab.peers.video.bench import video_bench

    result = video_bench(
        arguments.only or (),
        arguments.size,
        rounds=arguments.rounds,
        frames=arguments.frames,
        stream=arguments.stream,
        threads=arguments.threads,
        weights=arguments.weights,
        version=arguments.version,
        video=arguments.video,
        folder=arguments.folder,
    )
    print(result.report(), end="")
