"""One comparison on nano for all tests: interrupted, and taken up again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sam2lab.peers import PEERS, Comparison, bench, compare, register
from sam2lab.peers.plan import Plan
from tests.peers.toy import Absent, Broken, Toy

KINDS = (Absent, Broken, Toy)
# In one call, instead of 64: enough to have a time.
FEW = 4


@dataclass(frozen=True)
class Run:
    """The folder of a comparison, the lines when it was interrupted, and how it ended."""

    folder: Path
    interrupted: list[dict[str, Any]]
    finished: Comparison


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Compare ours with a toy, a peer that is missing and one that cannot export.

    The run is interrupted after its rounds, and the same call goes on with it.
    """
    folder = tmp_path_factory.mktemp("bench")

    def call() -> Comparison:
        names = [kind.name for kind in KINDS]
        return compare("nano", names, threads=1, rounds=2, starts=1, folder=folder)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, _registered():
        patch.setattr(Plan, "MANY", FEW)
        with pytest.MonkeyPatch.context() as once:
            once.setattr(bench, "start", interrupt)
            with pytest.raises(KeyboardInterrupt):
                call()
        lines = (folder / bench.JOURNAL).read_text(encoding="utf-8").splitlines()
        interrupted = [json.loads(line) for line in lines[1:]]
        return Run(folder, interrupted, call())


@pytest.fixture(scope="session")
def finished(run: Run) -> Comparison:
    return run.finished


@contextmanager
def _registered() -> Iterator[None]:
    """Register the peers that are made for these tests, for as long as it takes."""
    before = dict(PEERS)
    try:
        for kind in KINDS:
            register(kind)
        yield
    finally:
        PEERS.clear()
        PEERS.update(before)
