"""Checks numbers and paths that users pass, and words the refusals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import inf
from operator import index
from pathlib import Path


def whole(name: str, value: int, least: int, most: float = inf) -> int:
    """A whole number from `least` to `most`, which may be numpy's but not a boolean.

    >>> whole("threads", 0, least=1)
    Traceback (most recent call last):
    ValueError: threads is 0; wanted a whole number, 1 or more
    """
    try:
        given = least - 1 if isinstance(value, bool) else index(value)
    except TypeError:
        given = least - 1
    if not least <= given <= most:
        bounds = f", {least} or more" if most == inf else f" from {least} to {most}"
        raise ValueError(f"{name} is {value!r}; wanted a whole number{bounds}")
    return given


def height_and_width(name: str, value: Iterable[int]) -> tuple[int, int]:
    """Two whole numbers of pixels, from any iterable.

    >>> height_and_width("input_size", [720, 1280])
    (720, 1280)
    """
    try:
        height, width = (index(side) for side in value)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} is {value!r}; wanted (height, width), two whole numbers of pixels"
        ) from None
    return height, width


def number(name: str, value: float, least: float = -inf, most: float = inf) -> float:
    """A finite number from `least` to `most`, not text or a boolean, which float() accepts.

    >>> number("share", 2, 0, 1)
    Traceback (most recent call last):
    ValueError: share is 2; wanted a number from 0 to 1
    """
    try:
        given = inf if isinstance(value, (str, bytes, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        given = inf
    # Written so that NaN fails too.
    if not least <= given <= most or abs(given) == inf:
        bounds = "" if least == -inf else f", {least} or more"
        if most < inf:
            bounds = f" from {least} to {most}"
        raise ValueError(f"{name} is {value!r}; wanted a number{bounds}")
    return given


WEIGHTS = "'auto', 'random' or the path of a .pt or .safetensors file"


def existing_file(name: str, value: str | os.PathLike[str], wanted: str) -> Path:
    """The path of a file, which must exist."""
    found = path(name, value, wanted).expanduser()
    if not found.is_file():
        raise ValueError(f"{name} is {str(value)!r}: no such file; wanted {wanted}")
    return found


def path(name: str, value: str | os.PathLike[str], wanted: str = "a path, text or a Path") -> Path:
    """A path, which need not exist; `wanted` says what else is accepted.

    >>> path("folder", None)
    Traceback (most recent call last):
    ValueError: folder is None; wanted a path, text or a Path
    """
    try:
        return Path(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r:.80}; wanted {wanted}") from None
