"""Session files: JSON, alone or in an archive with arrays.

They are written whole or not at all, and checked when they are read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt

from sam2lab.runtime.files import replacing
from sam2lab.widgets.session.prompts import Box, Point, Prompt, box_on, point_on

C = TypeVar("C")
Array = npt.NDArray[Any]
JSON_NAME = "session.json"


class Numbered(Generic[C]):
    """Things in the order in which they came; one that comes again keeps its number.

    >>> numbered = Numbered()
    >>> numbered("a"), numbered("b"), numbered("a"), numbered.things
    (0, 1, 0, ['a', 'b'])
    """

    def __init__(self) -> None:
        self.things: list[C] = []
        self._numbers: dict[int, int] = {}

    def __call__(self, thing: C) -> int:
        """The number of this very thing."""
        number = self._numbers.setdefault(id(thing), len(self.things))
        if number == len(self.things):
            self.things.append(thing)
        return number


class SessionFileError(ValueError):
    """A session file cannot be used; the message says why and what to do."""


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a session file; make its folder where there is none."""
    text = json.dumps(content, allow_nan=False)
    with _writing(path) as beside:
        beside.write_text(text, encoding="utf-8")


def write_archive(
    path: str | os.PathLike[str], content: dict[str, Any], arrays: Iterable[tuple[str, Array]]
) -> None:
    """Write a session file with arrays by name, which is a zip archive of JSON and .npy files.

    It is not compressed: zlib saves a sixth of what nano remembers, in six times the time.
    """
    text = json.dumps(content, allow_nan=False)
    with _writing(path) as beside, ZipFile(beside, "w") as archive:
        archive.writestr(JSON_NAME, text)
        for name, array in arrays:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


@contextmanager
def _writing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A place to write to, from where a complete file is moved to `path`."""
    target = place(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            yield beside
    except OSError as error:
        # The error itself would name the temporary file, which is gone.
        raise SessionFileError(
            f"path: {str(path)!r} cannot be written: {error.strerror or error}; choose another "
            f"place, or see that {str(target.parent)!r} is a folder that you may write into"
        ) from error


def read(
    path: str | os.PathLike[str],
    form: str,
    version: int,
    writer: str,
    understood: Callable[[dict[str, Any]], C],
) -> C:
    """What `understood` makes of a session file's content; `writer` is the method that wrote it.

    Whatever it raises because the content is not as it was written becomes a `SessionFileError`.
    """
    with _reading(path, writer):
        return understood(_checked(place(path).read_text(encoding="utf-8"), form, version))


def read_archive(
    path: str | os.PathLike[str],
    form: str,
    version: int,
    writer: str,
    understood: Callable[[dict[str, Any], Callable[[str], Array]], C],
) -> C:
    """The same for a file with arrays; `understood` also gets what reads one of them by its name.

    An array whose bytes are not those that were written is refused: the archive has their CRC.
    """
    with _reading(path, writer), ZipFile(place(path)) as archive:

        def array(name: str) -> Array:
            with archive.open(f"{name}.npy") as file:
                read: Array = np.lib.format.read_array(file, allow_pickle=False)
                return read

        text = archive.read(JSON_NAME).decode("utf-8")
        return understood(_checked(text, form, version), array)


def _checked(text: str, form: str, version: int) -> dict[str, Any]:
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("format") != form:
        raise ValueError(f"its format is not {form!r}")
    if content["version"] != version:
        raise ValueError(f"it is of version {content['version']!r}, this sam2lab reads {version}")
    return content


@contextmanager
def _reading(path: str | os.PathLike[str], writer: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SessionFileError(
            f"path: there is no file {str(path)!r}; pass the path that {writer} wrote to"
        ) from error
    except (LookupError, TypeError, ValueError, RecursionError, BadZipFile) as error:
        raise SessionFileError(
            f"path: {str(path)!r} cannot be loaded, {type(error).__name__}: {error}; wanted a "
            f"file that {writer} wrote"
        ) from error


def place(path: str | os.PathLike[str]) -> Path:
    """The absolute path of a session file."""
    return Path(path).expanduser().absolute()


def path_from(folder: Path, path: str | os.PathLike[str]) -> str:
    """How a session file in `folder` names a path: relative where it lies there or below."""
    inside = Path(path).is_relative_to(folder)
    return (Path(path).relative_to(folder) if inside else Path(path)).as_posix()


def prompts_of(about: Iterable[dict[str, Any]], size: tuple[int, int]) -> Iterable[Prompt]:
    """The prompts that `asdict` wrote; refuse those that no user could have drawn."""
    for each in about:
        prompt: Prompt
        if "positive" in each:
            prompt = point_on(size, each["x"], each["y"], typed(bool, each["positive"]))
            same = prompt == Point(**each)
        else:
            prompt = box_on(size, each["x0"], each["y0"], each["x1"], each["y1"])
            same = prompt == Box(**each)
        if not same:
            raise ValueError(f"it has a prompt {each}")
        yield prompt


def typed(kind: type[Any], value: Any) -> Any:
    """Return the value if it is of this very type; a bool is no int here."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
