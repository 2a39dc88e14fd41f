"""Arguments that several commands take, and what text they accept."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence

from sam2lab.runtime.engines.protocol import VERSIONS
from sam2lab.runtime.engines.table import ENGINES


def add_size(parser: ArgumentParser, sizes: Sequence[str], default: str | None = None) -> None:
    """Add SIZE; with a default it may be left out."""
    parser.add_argument(
        "size",
        choices=sizes,
        metavar="SIZE",
        help=", ".join(sizes) + (f"; {default} by default" if default else ""),
        nargs="?" if default else None,
        default=default,
    )


def add_engine(parser: ArgumentParser) -> None:
    """Add --engine, with a line on each engine of the table."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="onnx",
        help="; ".join(f"{row.name!r}: {row.summary}" for row in ENGINES.values()),
    )


def add_version(parser: ArgumentParser) -> None:
    """Add --version of SAM 2."""
    parser.add_argument(
        "--version",
        choices=VERSIONS,
        default="2.1",
        help="of SAM 2: 2.1 (the default) or 2.0",
    )


def height_and_width(text: str) -> tuple[int, int]:
    """Two sides in pixels, from text such as 720x1280.

    >>> height_and_width("720x1280")
    (720, 1280)
    """
    sides = re.fullmatch(r"(\d+)[x×](\d+)", text.lower())
    if sides is None:
        raise ArgumentTypeError(f"{text!r} is not HEIGHTxWIDTH in pixels, such as 720x1280")
    return int(sides[1]), int(sides[2])


def count(text: str) -> int:
    """A whole number from text, 0 or more.

    >>> count("12")
    12
    """
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)
