"""What is finished of a long measurement, a line for each piece, so that it can be taken up again.

The first line says what is measured. A process that is killed may leave the last line broken:
that piece is measured again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Self

Line = dict[str, Any]


class Journal:
    """A file of JSON lines that only grows; `done` is what it held when it was opened."""

    def __init__(self, file: str | os.PathLike[str], about: Line) -> None:
        self.path = Path(file)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole, end = _whole_lines(self.path)
        # Through JSON, so that tuples and lists compare as equal.
        wanted = json.loads(json.dumps(about))
        if whole and whole[0] != wanted:
            differing = [name for name in wanted if whole[0].get(name) != wanted[name]]
            raise ValueError(
                f"{self.path} holds another measurement, with other {', '.join(differing)}; give "
                "another file, or remove this one to measure anew"
            )
        self.done: list[Line] = whole[1:]
        self._file = self.path.open("a+b")
        self._file.truncate(end)
        if not whole:
            self.add(about)

    def add(self, line: Line) -> None:
        """Keep a finished piece; it is in the file when this returns."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()


def _whole_lines(path: Path) -> tuple[list[Line], int]:
    """The lines that are whole, and the byte at which they end."""
    if not path.exists():
        return [], 0
    content = path.read_bytes()
    end = content.rfind(b"\n") + 1
    try:
        lines = [json.loads(line) for line in content[:end].splitlines()]
    except ValueError:
        lines = [None]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError(f"{path} is no measurement's file; give another name")
    return lines, end
