"""Let the two processes of `make test` share a machine: what runs beside what, on which cores."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling
    from xdist.workermanage import WorkerController

try:
    import fcntl
except ImportError:  # on Windows nobody waits for a turn, so that figures there are less exact
    fcntl = None  # type: ignore[assignment]

# Their figures are times: nothing runs beside them, and they have all cores.
MEASURING = ("03_latency", "07_devices")

TOGETHER = ("tests/browser/", "tests/peers/", "tests/native/")

# Two tests at most are waited for, and pyproject.toml ends each that takes ten minutes. A file that
# is held for longer is held by something that a crashed process has left behind.
PATIENCE_S = 1500.0

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

        def remove_node(self, node: WorkerController) -> str | None:
            """Leave what a process did not get to to the others, and name the test that ended it.

            xdist hands on that test too, and files that are done. A process that gets such a file
            has nothing to report, so it is given nothing more, and the run never ends.
            """
            work = self.assigned_work.pop(node)
            left = [test for tests in work.values() for test, done in tests.items() if not done]
            for name, tests in work.items():
                tests |= dict.fromkeys(tests.keys() & left[:1], True)
                if not all(tests.values()):
                    self.workqueue[name] = tests
            for other in self.nodes:
                self._reschedule(other)
            return next(iter(left), None)

        def _reschedule(self, node: WorkerController) -> None:
            """Hand out files until a process has two tests, or knows that no more will come.

            Until then it keeps its last test, and xdist hands out one file at a time.
            """
            super()._reschedule(node)
            while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

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
    if fcntl is None:
        yield
        return
    with ExitStack() as room:
        with _locked(folder / "gate", fcntl.LOCK_EX):
            how = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
            room.enter_context(_locked(folder / "room", how))
        yield


@contextmanager
def _locked(file: Path, how: int) -> Iterator[None]:
    give_up = time.monotonic() + PATIENCE_S
    with file.open("w") as held:
        while not _is_taken(held, how):
            if time.monotonic() > give_up:
                raise TimeoutError(f"{file} was held for {PATIENCE_S:g} s: by what, says lsof")
            time.sleep(0.02)
        try:
            yield
        finally:
            # A forked child may hold the file open for longer.
            fcntl.flock(held, fcntl.LOCK_UN)


def _is_taken(held: IO[str], how: int) -> bool:
    try:
        fcntl.flock(held, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
