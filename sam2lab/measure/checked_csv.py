"""A CSV file whose every field is checked; a broken row is refused with its line number."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

Field = Callable[[str], Any]


def read(
    path: Path, fields: Mapping[str, Field], identity: tuple[str, ...], ends: tuple[str, str]
) -> pd.DataFrame:
    """A file with exactly these columns, in this order, as each field reads its text.

    No two rows may agree in all columns of `identity`; `ends` are the two ends of a range.
    """
    rows: list[dict[str, Any]] = []
    seen: dict[tuple[Any, ...], int] = {}
    for line, values in _lines(path, tuple(fields)):
        row = {}
        for (name, field), value in zip(fields.items(), values, strict=True):
            try:
                row[name] = field(value)
            except ValueError as reason:
                raise _refused(path, line, f"{name} is {value!r}, {reason}") from None
        low, high = (row[end] for end in ends)
        if low > high:
            raise _refused(path, line, f"{ends[0]} {low:g} is above {ends[1]} {high:g}")
        key = tuple(row[name] for name in identity)
        if key in seen:
            raise _refused(path, line, f"{', '.join(key)} stands in line {seen[key]} already")
        seen[key] = line
        rows.append(row)
    if not rows:
        raise ValueError(f"{path} holds no rows. {_REMEDY}")
    return pd.DataFrame(rows)


def one_of(known: tuple[str, ...]) -> Field:
    """A field that holds one of these words."""

    def check(value: str) -> str:
        if value not in known:
            raise ValueError(f"wanted one of {', '.join(known)}")
        return value

    return check


def name(value: str) -> str:
    """A field that is not empty."""
    if not value or value != value.strip():
        raise ValueError("wanted a name without spaces around it")
    return value


def milliseconds(value: str) -> float:
    """A time of one run; half a minute is none, but a slip of the comma."""
    if not 0 < (number := _number(value)) < 30_000:
        raise ValueError("wanted milliseconds, above 0 and below 30000")
    return number


def megabytes(value: str) -> int:
    """Memory, in whole megabytes."""
    if not (0 <= (number := _number(value)) < 65_536 and number.is_integer()):
        raise ValueError("wanted whole megabytes, from 0 to 65535")
    return int(number)


def _number(value: str) -> float:
    """Digits with at most one point: what float() takes besides is no figure of a table."""
    whole, _, fraction = value.partition(".")
    if not (value.isascii() and whole.isdigit() and (fraction or "0").isdigit()):
        raise ValueError("wanted a number")
    return float(value)


def _lines(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """The rows with their line numbers; the first line must name the columns."""
    if not path.is_file():
        raise ValueError(f"file is {str(path)!r}, which does not exist. {_REMEDY}")
    with path.open(encoding="utf-8", newline="") as opened:
        reader = csv.reader(opened)
        header = next(reader, [])
        if tuple(header) != columns:
            raise _refused(path, 1, f"the columns are {header}, wanted {list(columns)}")
        for values in reader:
            if len(values) != len(columns):
                counts = f"{len(values)} values, wanted {len(columns)}"
                raise _refused(path, reader.line_num, counts)
            yield reader.line_num, values


_REMEDY = "Take the file from the project again; data/README.md says where it came from"


def _refused(path: Path, line: int, reason: str) -> ValueError:
    return ValueError(f"{path}, line {line}: {reason}. {_REMEDY}")
