"""SHA-256 digests of files, and a note of those that take long to work out."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sam2lab import settings
from sam2lab.runtime.files import replacing

# A file system may give two changes within this many seconds the same time of change.
CLOCK_STEP_S = 2.0


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def noted_sha256(path: Path) -> str:
    """The sha256 of a file, worked out again only when its size or time of change is another.

    For checkpoints, of which a large one takes a second. The notes are in the cache folder;
    without them, or where they cannot be read or written, the file is hashed.
    """
    state = path.stat()
    mark = [state.st_size, state.st_mtime_ns]
    name, notes = str(path.resolve()), _read_notes()
    noted = notes.get(name)
    if isinstance(noted, dict) and noted.get("mark") == mark and "sha256" in noted:
        return str(noted["sha256"])
    digest = sha256_of(path)
    if time.time() - state.st_mtime > CLOCK_STEP_S:
        notes[name] = {"mark": mark, "sha256": digest}
        with suppress(OSError):
            _notes_file().parent.mkdir(parents=True, exist_ok=True)
            with replacing(_notes_file()) as beside:
                beside.write_text(json.dumps(notes, indent=2) + "\n", encoding="utf-8")
    return digest


def _notes_file() -> Path:
    return settings.cache_folder() / "digests.json"


def _read_notes() -> dict[str, Any]:
    try:
        notes = json.loads(_notes_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}
