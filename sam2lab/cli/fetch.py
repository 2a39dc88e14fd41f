"""`sam2lab fetch` downloads one of Meta's checkpoints."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from sam2lab.cli.arguments import add_size, add_version
from sam2lab.runtime.engines.protocol import SIZES

SUMMARY = "download one of Meta's checkpoints"
TEXT = """\
Make sure that one of Meta's checkpoints is here and whole, and print its path.
A download that was interrupted goes on from where it stopped.

examples:
  {prog} fetch tiny
  {prog} fetch large --version 2.0
"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what can be typed after `fetch`."""
    add_size(parser, [size for size in SIZES if size != "nano"])
    add_version(parser)


def run(arguments: Namespace) -> None:
    """Make sure that a checkpoint is here and print where."""
    from sam2lab.reference.fetch import checkpoint

    print(checkpoint(arguments.size, arguments.version).fetch())
