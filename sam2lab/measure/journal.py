"""A long measurement on disk: a line of JSON for each finished piece, so that none is lost.

The first line names the measurement. A process that is killed may leave the last line broken:
then that piece is not finished.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

Line = dict[str, Any]


class Journal:
    """A file that only grows, and goes on where an earlier process stopped.

    All pieces in a file share one `about`: a file with another one is refused. With `anew` any
    earlier measurement in the file is deleted.
    """

    def __init__(self, file: str | os.PathLike[str], about: Line, anew: bool = False) -> None:
        self.path = Path(file)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        found, end = read_lines(self.path) if self.path.exists() else ([], 0)
        # Through JSON, so that tuples and lists compare as equal.
        wanted = json.loads(json.dumps(about))
        if anew:
            found, end = [], 0
        if found and found[0] != wanted:
            differing = [name for name in wanted if found[0].get(name) != wanted[name]]
            raise ValueError(
                f"{self.path} holds another measurement, with other {', '.join(differing)}; give "
                "another file, or remove this one to measure anew"
            )
        self._file = self.path.open("a+b")
        self._file.truncate(end)
        if not found:
            self.add(about)

    def add(self, line: Line) -> None:
        """Keep a finished piece; it is in the file when this returns."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def lines(self, **wanted: Any) -> list[Line]:
        """The finished pieces, in order: all, or those that hold all of these values."""
        _about, *pieces = read_lines(self.path)[0]
        return [piece for piece in pieces if wanted.items() <= piece.items()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def read_lines(path: Path) -> tuple[list[Line], int]:
    """The whole lines of a journal, `about` first, and the byte at which they end."""
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in content[:end].splitlines()]
    except ValueError:
        lines = [None]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError(f"{path} is no measurement's file; give another name")
    return lines, end
