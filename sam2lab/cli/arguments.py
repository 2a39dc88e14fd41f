"""Arguments that several commands take, and what text they accept."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection, Sequence
from pathlib import Path

from sam2lab.runtime.engines.protocol import SIZES, VERSIONS
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


def add_model(parser: ArgumentParser) -> None:
    """Add --model, a size or a bundle, and --engine."""
    parser.add_argument(
        "--model",
        default="nano",
        help="a size such as tiny, or a bundle's folder; nano by default",
    )
    add_engine(parser)


def add_coco(parser: ArgumentParser, what: str) -> None:
    """Add --coco, which may be given again; `what` is its help."""
    parser.add_argument("--coco", type=Path, action="append", default=[], metavar="PATH", help=what)


def add_cutouts(parser: ArgumentParser) -> None:
    """Add --cutouts, which scenes are made with."""
    parser.add_argument(
        "--cutouts",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="RGBA pictures, such as emoji, to paste into scenes; may be given again",
    )


def add_keep_in(parser: ArgumentParser) -> None:
    """Add --keep-in, where measurements go on from."""
    parser.add_argument(
        "--keep-in",
        type=Path,
        metavar="FOLDER",
        help="keep there what is measured as it comes, and go on from there next time",
    )


def add_comparison(parser: ArgumentParser, what: str, names: Collection[str]) -> None:
    """Add what comparisons with others take; `what` says what the names of --only are."""
    add_size(parser, SIZES, default="tiny")
    parser.add_argument(
        "--only",
        action="append",
        choices=names,
        metavar=what.upper(),
        help=f"measure only this {what}; may be given again: {', '.join(names)}",
    )
    parser.add_argument(
        "--weights",
        default="random",
        metavar="WHICH",
        help="'random' (the default), 'auto' for Meta's checkpoint, or the path of a file",
    )
    add_version(parser)
    parser.add_argument("--threads", type=count, help="of each of them; all cores by default")
    parser.add_argument(
        "--folder", type=Path, help="for what is exported and measured; by default in the cache"
    )


def add_training(parser: ArgumentParser, place: str) -> None:
    """Add what both trainers take; they write to models/`place` by default."""
    add_coco(parser, "a COCO-format folder, or its instances.json; may be given again")
    parser.add_argument("--toy", action="store_true", help="a minute's run, to see how it goes")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=f"where to write what is trained, by default models/{place}; must hold no model yet",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        dest="folder",
        help="where the checkpoint of an unfinished run lies, begun with the same --seed, --toy "
        "and pictures; by default runs/ in the cache",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of all that is drawn at random; 0 by default"
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
