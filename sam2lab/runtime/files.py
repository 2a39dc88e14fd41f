"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file beside its place; it moves there when all of it is written.

    Whoever reads `target` meanwhile finds what was there before, and so does everybody where
    writing is interrupted.

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
