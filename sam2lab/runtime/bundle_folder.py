"""Write the folder of a bundle so that it appears whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from sam2lab.runtime.bundle import BUNDLE_FILE, GRAPHS, MEMORY_GRAPHS
from sam2lab.runtime.files import check_place

# No export takes this long, so a folder that is older belongs to a process that was killed.
_ABANDONED_AFTER_S = 24 * 60 * 60


def check_free(folder: Path) -> None:
    """Refuse a folder that holds a bundle, or a part of one, or that cannot be written into."""
    check_place("folder", folder)
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    taken = [path.name for path in there if _is_of_bundle(path)]
    if taken:
        raise ValueError(
            f"folder is {str(folder)!r}, which already has {' and '.join(taken)}; delete them "
            "to export anew, or choose another folder"
        )


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Yield a new folder to write into; at the end it becomes `folder`, or its files go there.

    An error or an interrupt deletes it. A process that is killed cannot: the next one that writes
    to the same place deletes what is left, once it is a day old.
    """
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned(folder)
    unfinished = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
    unfinished.mkdir()
    try:
        yield unfinished
        if folder.exists():
            # A folder without the file that describes it is not a bundle yet, so that comes last.
            written = sorted(unfinished.iterdir(), key=lambda path: path.name == BUNDLE_FILE)
            for path in written:
                os.replace(path, folder / path.name)
        else:
            os.replace(unfinished, folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _is_of_bundle(path: Path) -> bool:
    """Whether a file is that of a bundle by its name, whatever the format of its graphs."""
    return path.name == BUNDLE_FILE or path.stem in (*GRAPHS, *MEMORY_GRAPHS)


def _delete_abandoned(folder: Path) -> None:
    ours = re.compile(rf"\.{re.escape(folder.name)}\.[0-9a-f]{{8}}")
    # Another process may delete the same folder, and the parent may refuse to be listed.
    with contextlib.suppress(OSError), os.scandir(folder.parent) as entries:
        for entry in entries:
            if ours.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                age_s = time.time() - entry.stat(follow_symlinks=False).st_mtime
                if age_s > _ABANDONED_AFTER_S:
                    shutil.rmtree(entry.path, ignore_errors=True)
