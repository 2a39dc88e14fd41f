"""Let the two processes of `make test` share a machine: what runs beside what, on which cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

# Their figures are times: nothing runs beside them, and they have all cores.
MEASURING = ("03_latency", "07_devices")

TOGETHER = ("tests/browser/", "tests/peers/")

# Only Linux keeps a process to some cores.
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def is_one_of_several(config: pytest.Config) -> bool:
    """Whether this process got a share of the tests from the one that was started."""
    return hasattr(config, "workerinput")


def scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """Give whole files to a process, because their tests share fixtures.

    The tests of some folders share a server, or a run of half a minute: such a folder goes to one
    process like a single file.
    """
    from xdist.scheduler import LoadFileScheduling

    class InTheirOrder(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    config.option.loadscopereorder = False
    return InTheirOrder(config, log)


def in_turn(item: pytest.Item) -> tuple[bool, bool, bool]:
    """The key to sort tests by: first what is alone, then what takes long.

    So no process waits long to be alone, and both end at the same time.
    """
    marks = {mark.name for mark in item.iter_markers()}
    return "alone" not in marks, "browser" not in marks, item.path.suffix != ".ipynb"


def keep_to_own_cores(config: pytest.Config) -> None:
    """Take this process's share of the cores, before a library counts them to start threads.

    The spinning threads of two processes on the same cores would slow both.
    """
    about = config.workerinput  # type: ignore[attr-defined]
    number, count = int(about["workerid"].removeprefix("gw")), about["workercount"]
    own = sorted(CORES)[number::count]
    if own:
        os.sched_setaffinity(0, own)


@contextmanager
def place(item: pytest.Item) -> Iterator[None]:
    """Wait for a test's turn, and give it all cores where it is alone or drives a browser."""
    alone = item.get_closest_marker("alone") is not None
    everywhere = alone or item.get_closest_marker("browser") is not None
    with turn(item.config.cache.mkdir("turns"), alone):
        if not (CORES and everywhere):
            yield
            return
        own = os.sched_getaffinity(0)
        os.sched_setaffinity(0, CORES)
        yield
        os.sched_setaffinity(0, own)


@contextmanager
def turn(folder: Path, alone: bool) -> Iterator[None]:
    """Wait for a place in the room that all processes share, or for the room to be empty.

    Everyone comes through the gate, one at a time. One who is alone waits inside the gate, since
    the others' tests would follow one another without end.
    """
    import fcntl

    with ExitStack() as room:
        with _locked(folder / "gate", fcntl.LOCK_EX):
            how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            room.enter_context(_locked(folder / "room", how))
        yield


@contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    import fcntl

    with file.open("w") as held:
        fcntl.flock(held, how)
        try:
            yield
        finally:
            # A forked child may hold the file open for longer.
            fcntl.flock(held, fcntl.LOCK_UN)
