"""The session files of photos: the work on all of them, so that it outlives the kernel."""

from __future__ import annotations

import base64
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime import images
from sam2lab.widgets.formats.png import as_png
from sam2lab.widgets.session import session_file
from sam2lab.widgets.session.history import History
from sam2lab.widgets.session.objects import Item, State
from sam2lab.widgets.session.pictures import Page, Picture
from sam2lab.widgets.session.session_file import path_from, prompts_of, typed

FORMAT = "sam2lab click session"
VERSION = 1


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
    folder = session_file.place(path).parent
    content = {
        "format": FORMAT,
        "version": VERSION,
        "engine": saved.engine,
        "mode": saved.mode,
        "image": saved.current,
        "images": [
            _source(page.picture, folder, with_images) | _history(page.history)
            for page in saved.pages.values()
        ],
    }
    session_file.write(path, content)


def read(path: str | os.PathLike[str]) -> Saved:
    """Read a session file and check everything except the photos, which `Picture.read` checks."""
    folder = session_file.place(path).parent

    def understood(content: dict[str, Any]) -> Saved:
        pages = [_page(each, folder) for each in content["images"]]
        saved = Saved(
            engine=typed(str, content["engine"]),
            mode=typed(str, content["mode"]),
            current=typed(str, content["image"]),
            pages={page.picture.key: page for page in pages},
        )
        if saved.current not in saved.pages or saved.mode not in ("positive", "negative"):
            raise ValueError("it contradicts itself")
        return saved

    return session_file.read(path, FORMAT, VERSION, "Session.save", understood)


def _source(picture: Picture, folder: Path, with_images: bool) -> dict[str, Any]:
    about: dict[str, Any] = {
        "key": picture.key,
        "name": picture.name,
        "size": list(picture.size),
    }
    if picture.path is not None:
        about["path"] = path_from(folder, picture.path)
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


def _history(history: History[State]) -> dict[str, Any]:
    """List the states in order of time; an object that many states share is written once."""
    numbers: dict[Item, int] = {}
    rows = [
        {
            "active": state.active,
            "next_id": state.next_id,
            "objects": [numbers.setdefault(item, len(numbers)) for item in state.objects],
        }
        for state in history.states
    ]
    return {
        "objects": [asdict(item) for item in numbers],
        "states": rows,
        "present": len(history.past),
    }


def _page(about: dict[str, Any], folder: Path) -> Page:
    height, width = (typed(int, side) for side in about["size"])
    source: images.ImageLike
    if "file" in about:
        source = base64.b64decode(about["file"], validate=True)
    else:
        source = folder / typed(str, about["path"])
    picture = Picture(typed(str, about["key"]), typed(str, about["name"]), (height, width), source)
    items = {i: _item(each, picture.size) for i, each in enumerate(about["objects"])}
    states = [_state(each, items) for each in about["states"]]
    return Page(picture, History.of(states, typed(int, about["present"])))


def _state(about: dict[str, Any], items: dict[int, Item]) -> State:
    objects = tuple(items[typed(int, number)] for number in about["objects"])
    return State(objects, typed(int, about["active"]), typed(int, about["next_id"])).check()


def _item(about: dict[str, Any], size: tuple[int, int]) -> Item:
    choice = about["choice"]
    item = Item(
        id=typed(int, about["id"]),
        name=typed(str, about["name"]),
        colour=typed(str, about["colour"]),
        hidden=typed(bool, about["hidden"]),
        prompts=tuple(prompts_of(about["prompts"], size)),
        choice=None if choice is None else typed(int, choice),
    )
    if item.choice not in (None, 0, 1, 2):
        raise ValueError(f"it has a choice of {item.choice!r}")
    return item
