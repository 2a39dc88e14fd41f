"""A table of runs and the machine it came from, on disk: a CSV file with a JSON file beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd

from sam2lab.runtime.files import replacing

# How much of a run's work a killed process may lose.
SAVE_EVERY_S = 5.0


def save_table(table: pd.DataFrame, file: str | os.PathLike[str]) -> None:
    """Write a table to `file`, a name in .csv, and what `table.attrs` says to the .json beside it.

    Each file is written whole beside its place and then put there, so that whoever reads, or
    pulls the plug, finds either the old one or the new one.
    """
    path = _csv(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "dtypes": {column: str(dtype) for column, dtype in table.dtypes.items()},
        **table.attrs,
    }
    _write(path.with_suffix(".json"), json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    _write(path, table.to_csv(index=False, lineterminator="\n"))


def load_table(file: str | os.PathLike[str]) -> pd.DataFrame:
    """Read what `save_table` wrote, with the machine and all else in `table.attrs`."""
    path = _csv(file)
    beside = path.with_suffix(".json")
    for wanted in (path, beside):
        if not wanted.is_file():
            raise ValueError(
                f"file is {str(path)!r}, but there is no {wanted.name}; a saved table is two "
                f"files, {path.name} and {beside.name}: copy both"
            )
    try:
        about: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
        # An engine may be called "none", which pandas would take for nothing.
        table = pd.read_csv(path, dtype=about.pop("dtypes"), keep_default_na=False, na_values=[""])
    except (ValueError, KeyError, AttributeError, TypeError) as reason:
        raise ValueError(
            f"{path.name} and {beside.name} are not what save_table() wrote ({reason}); measure "
            "again, or copy both files again"
        ) from None
    table.attrs = about
    return table


class Recorder:
    """Rows as they come, saved every few seconds where there is a file to save them to."""

    def __init__(
        self, columns: list[str], about: dict[str, Any], file: str | os.PathLike[str] | None
    ) -> None:
        self.about = about
        self._columns = columns
        self._rows: list[dict[str, Any]] = []
        self._file = None if file is None else _csv(file)
        self._saved = monotonic()

    def add(self, row: dict[str, Any]) -> None:
        """Keep a finished run."""
        self._rows.append(row)
        if self._file is not None and monotonic() - self._saved >= SAVE_EVERY_S:
            save_table(self.table(), self._file)
            self._saved = monotonic()

    def finish(self) -> pd.DataFrame:
        """The whole table, saved."""
        table = self.table()
        if self._file is not None:
            save_table(table, self._file)
        return table

    def table(self) -> pd.DataFrame:
        """What there is so far."""
        table = pd.DataFrame(self._rows, columns=self._columns)
        table.attrs = dict(self.about)
        return table


def _csv(file: str | os.PathLike[str]) -> Path:
    path = Path(file)
    if path.suffix != ".csv":
        raise ValueError(f"file is {str(path)!r}; wanted a name that ends in .csv")
    return path


def _write(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
