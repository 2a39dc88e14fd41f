"""A test that is alone has the room to itself; a run ends also where one of its processes dies."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import side_by_side
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


def test_a_turn_that_never_comes_is_an_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_by_side, "PATIENCE_S", 0.05)
    alone = Visitor(tmp_path, alone=True)
    assert alone.is_in.wait(60)
    with pytest.raises(TimeoutError, match="room was held for"), turn(tmp_path, alone=False):
        pass
    alone.leave()


class Process:
    """What the scheduler sees of a process that runs tests."""

    gateway = SimpleNamespace(id="gw")

    def __init__(self) -> None:
        self.shutting_down = False
        self.waiting: list[int] = []

    def send_runtest_some(self, numbers: list[int]) -> None:
        self.waiting += numbers

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.mark.parametrize("ended", ["before the last files are given", "after that"])
def test_a_process_that_crashes_leaves_its_tests_to_others(ended: str) -> None:
    tests = [f"{file}::{number}" for file in ("a", "b", "c", "d") for number in range(3)]
    config = SimpleNamespace(getvalue=lambda _: ["popen"] * 2, option=SimpleNamespace())
    shared = side_by_side.scheduler(config, None)
    done = []

    def join(*processes: Process) -> None:
        for each in processes:
            shared.add_node(each)
        for each in processes:
            shared.add_node_collection(each, tests)
        shared.schedule()

    def run(process: Process, count: int) -> None:
        # As xdist's processes do, it keeps its last test until it hears that no more will come.
        while count and len(process.waiting) > (not process.shutting_down):
            number, count = process.waiting.pop(0), count - 1
            done.append(tests[number])
            shared.mark_test_complete(process, number)

    crashing, steady, new = Process(), Process(), Process()
    join(crashing, steady)
    run(steady, 4 if ended == "after that" else 0)
    run(crashing, 2)
    assert shared.remove_node(crashing) == "a::2"
    join(new)
    for _ in tests:
        run(new, 1)
        run(steady, 1)
    assert sorted([*done, "a::2"]) == tests, "each once, but not the one that crashed"
    assert new.shutting_down
    assert steady.shutting_down
