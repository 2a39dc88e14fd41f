"""A test that is alone has the room to itself, and gets it however many others come."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.side_by_side import turn

fcntl = pytest.importorskip("fcntl", reason="Windows runs the tests in one process")


class Visitor(threading.Thread):
    """Takes one turn, and stays until it is sent away."""

    def __init__(self, folder: Path, alone: bool = False) -> None:
        super().__init__(daemon=True)
        self.folder, self.alone = folder, alone
        self.is_in, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with turn(self.folder, self.alone):
            self.is_in.set()
            self.may_go.wait(60)

    def leave(self) -> None:
        self.may_go.set()
        self.join(60)


def gate_is_taken(folder: Path) -> bool:
    with (folder / "gate").open("w") as gate:
        try:
            fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    time.sleep(0.01)
    return False


def test_some_share_the_room_and_one_who_is_alone_has_it_next(tmp_path: Path) -> None:
    first, second = Visitor(tmp_path), Visitor(tmp_path)
    assert first.is_in.wait(60)
    assert second.is_in.wait(60)
    alone = Visitor(tmp_path, alone=True)
    assert any(gate_is_taken(tmp_path) for _ in range(6000))
    second.leave()
    assert not alone.is_in.wait(0.1)
    late = Visitor(tmp_path)
    assert not late.is_in.wait(0.1), "who comes later waits behind the one who is alone"
    first.leave()
    assert alone.is_in.wait(60)
    assert not late.is_in.wait(0.1)
    alone.leave()
    assert late.is_in.wait(60)
    late.leave()
