"""Writes files so that they are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_place(name: str, folder: Path) -> None:
    """Refuse a folder that cannot be made or written into, before long work that would fill it."""
    place = folder.absolute()
    there = next(each for each in (place, *place.parents) if os.path.exists(each))
    if not there.is_dir():
        which = "which" if there == place else f"but {there}"
        raise ValueError(f"{name} is {str(folder)!r}, {which} is a file; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(
            f"{name} is {str(folder)!r}, but you may not write into {there}; choose another place"
        )


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file beside its place, and move it there when it is complete.

    Until then, and where writing is interrupted, `target` stays as it was.

    ```python
    with replacing("note.txt") as beside:
        beside.write_text("whole", encoding="utf-8")
    ```
    """
    target = Path(target)
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)
