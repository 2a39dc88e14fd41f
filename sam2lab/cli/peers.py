"""`sam2lab peers` measures our export and other ways to run SAM 2 in turn."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from sam2lab.cli.arguments import add_comparison

SUMMARY = "measure our export beside others"
TEXT = """\
Export one model with every exporter that is here, check that they all give the
original's masks, and measure them in turn: encoding, one prompt and 64,
memory, the way to the first mask. Prints tables in Markdown, and how to get
the peers that are missing.

Weights are random by default: they take as long as trained ones, and their
masks mean nothing, but can be compared. The folder keeps the exported files and
the measurements, the result as peers.json. After an interrupt the same command
goes on.

examples:
  {prog} peers
  {prog} peers nano --rounds 3 --starts 1
  {prog} peers tiny --weights auto --folder my_bench
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `peers`."""
    from sam2lab.peers import PEERS

    add_comparison(parser, "peer", PEERS)
    parser.add_argument("--rounds", type=int, help="how often each is asked; 7 by default")
    parser.add_argument("--starts", type=int, help="fresh processes of each; 4 by default")
    parser.add_argument("--photo", type=Path, help="by default the cat that ships")


def run(arguments: Namespace) -> None:
    """Measure, and print the report."""
    from sam2lab.peers import compare, report

    comparison = compare(
        arguments.size,
        arguments.only,
        threads=arguments.threads,
        rounds=arguments.rounds,
        starts=arguments.starts,
        photo=arguments.photo,
        weights=arguments.weights,
        version=arguments.version,
        folder=arguments.folder,
    )
    print(report(comparison), end="")
