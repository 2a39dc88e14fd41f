"""Session files: the work on all photos as JSON, so that it outlives the kernel."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime import images
from sam2lab.runtime.files import replacing
from sam2lab.widgets.formats.png import as_png
from sam2lab.widgets.session.objects import Box, Item, Point, Prompt, State, box_on, point_on
from sam2lab.widgets.session.pictures import History, Page, Picture

FORMAT = "sam2lab click session"
VERSION = 1


class SessionFileError(ValueError):
    """A session file cannot be used; the message says why and what to do."""


@dataclass
class Saved:
    """The content of a session file: `pages` by the key of their photo, one of them `current`."""

    engine: str
    mode: str
    current: str
    pages: dict[str, Page]


def write(path: str | os.PathLike[str], saved: Saved, with_images: bool) -> None:
    """Write a session file, whole or not at all.

    A photo that was opened from a file is stored as its path, which is relative if the photo
    lies in the session file's folder or below. Other photos are stored inside the session file;
    with `with_images`, all of them are.
    """
    target = Path(path).expanduser().absolute()
    content = {
        "format": FORMAT,
        "version": VERSION,
        "engine": saved.engine,
        "mode": saved.mode,
        "image": saved.current,
        "images": [
            _source(page.picture, target.parent, with_images) | _history(page.history)
            for page in saved.pages.values()
        ],
    }
    text = json.dumps(content, allow_nan=False)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as beside:
            beside.write_text(text, encoding="utf-8")
    except OSError as error:
        # The error itself would name the temporary file, which is gone.
        raise SessionFileError(
            f"path: {str(path)!r} cannot be written: {error.strerror or error}; choose another "
            f"place, or see that {str(target.parent)!r} is a folder that you may write into"
        ) from error


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a session file and check everything except the photos, which `Picture.read` checks."""
    source = Path(path).expanduser().absolute()
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"its format is not {FORMAT!r}")
        if content["version"] != VERSION:
            raise ValueError(
                f"it is of version {content['version']!r}, this sam2lab reads {VERSION}"
            )
        pages = [_page(each, source.parent) for each in content["images"]]
        saved = Saved(
            engine=_typed(str, content["engine"]),
            mode=_typed(str, content["mode"]),
            current=_typed(str, content["image"]),
            pages={page.picture.key: page for page in pages},
        )
        if saved.current not in saved.pages or saved.mode not in ("positive", "negative"):
            raise ValueError("it contradicts itself")
        return saved
    except FileNotFoundError as error:
        raise SessionFileError(
            f"path: there is no file {str(path)!r}; pass the path that Session.save wrote to"
        ) from error
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise SessionFileError(
            f"path: {str(path)!r} cannot be loaded, {type(error).__name__}: {error}; wanted a "
            "file that Session.save wrote"
        ) from error


def _source(picture: Picture, folder: Path, with_images: bool) -> dict[str, Any]:
    about: dict[str, Any] = {
        "key": picture.key,
        "name": picture.name,
        "size": list(picture.size),
    }
    if picture.path is not None:
        path = Path(picture.path)
        inside = path.is_relative_to(folder)
        about["path"] = (path.relative_to(folder) if inside else path).as_posix()
    if picture.path is None or with_images:
        about["file"] = base64.b64encode(_file_bytes(picture)).decode()
    return about


def _file_bytes(picture: Picture) -> bytes:
    if isinstance(picture.source, bytes):
        return picture.source
    rgb = picture.read()
    if picture.path is not None:
        return Path(picture.path).read_bytes()
    if rgb.dtype == np.uint8:
        return as_png(rgb)
    raise ValueError(
        f"the image {picture.name!r} has more than 8 bits per channel and no file, and a "
        "session file cannot hold it; write it to a file and open that"
    )


def _history(history: History) -> dict[str, Any]:
    """List the states in order of time; an object that many states share is written once."""
    states = [*history.past, history.present, *reversed(history.future)]
    numbers: dict[Item, int] = {}
    rows = [
        {
            "active": state.active,
            "next_id": state.next_id,
            "objects": [numbers.setdefault(item, len(numbers)) for item in state.objects],
        }
        for state in states
    ]
    return {
        "objects": [asdict(item) for item in numbers],
        "states": rows,
        "present": len(history.past),
    }


def _page(about: dict[str, Any], folder: Path) -> Page:
    height, width = (_typed(int, side) for side in about["size"])
    source: images.ImageLike
    if "file" in about:
        source = base64.b64decode(about["file"], validate=True)
    else:
        source = folder / _typed(str, about["path"])
    picture = Picture(
        _typed(str, about["key"]), _typed(str, about["name"]), (height, width), source
    )
    items = {i: _item(each, picture.size) for i, each in enumerate(about["objects"])}
    states = [_state(each, items) for each in about["states"]]
    present = _typed(int, about["present"])
    if not 0 <= present < len(states):
        raise ValueError(f"its present is {present} of {len(states)} states")
    future = states[:present:-1]
    return Page(picture, History(states[present], states[:present], future))


def _state(about: dict[str, Any], items: dict[int, Item]) -> State:
    state = State(
        tuple(items[_typed(int, number)] for number in about["objects"]),
        _typed(int, about["active"]),
        _typed(int, about["next_id"]),
    )
    ids = [item.id for item in state.objects]
    if (
        len(set(ids)) < len(ids)
        or state.active not in ids
        or max(ids) >= state.next_id
        or any(not item.prompts and item.id != state.active for item in state.objects)
    ):
        raise ValueError("it contradicts itself in its objects")
    return state


def _item(about: dict[str, Any], size: tuple[int, int]) -> Item:
    choice = about["choice"]
    item = Item(
        id=_typed(int, about["id"]),
        name=_typed(str, about["name"]),
        colour=_typed(str, about["colour"]),
        hidden=_typed(bool, about["hidden"]),
        prompts=tuple(_prompts(about["prompts"], size)),
        choice=None if choice is None else _typed(int, choice),
    )
    # The session's own checks refuse what no user could have done.
    alone = State((item,), item.id, item.id + 1)
    if alone.renamed(item.id, item.name).recoloured(item.id, item.colour) != alone:
        raise ValueError(f"it has an object of name {item.name!r} and colour {item.colour!r}")
    if item.choice not in (None, 0, 1, 2):
        raise ValueError(f"it has a choice of {item.choice!r}")
    return item


def _prompts(about: Iterable[dict[str, Any]], size: tuple[int, int]) -> Iterable[Prompt]:
    for each in about:
        prompt: Prompt
        if "positive" in each:
            prompt = point_on(size, each["x"], each["y"], _typed(bool, each["positive"]))
            same = prompt == Point(**each)
        else:
            prompt = box_on(size, each["x0"], each["y0"], each["x1"], each["y1"])
            same = prompt == Box(**each)
        if not same:
            raise ValueError(f"it has a prompt {each}")
        yield prompt


def _typed(kind: type[Any], value: Any) -> Any:
    """Return the value if it is of this very type; a bool is no int here."""
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
