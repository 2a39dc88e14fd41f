"""Functions that `test_child` starts in processes; this file imports only the standard library."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

Line = dict[str, Any]


class Doubled:
    """A class that a function is handed."""

    def of(self, number: int) -> int:
        return 2 * number


def double(asked: Iterator[Line], kind: type) -> Iterator[Line]:
    for line in asked:
        print("a library that prints")
        yield {"doubled": kind().of(line["number"]), "path": sys.path}


def loaded(asked: Iterator[Line]) -> Iterator[Line]:
    yield {"modules": sorted(sys.modules), "first": sys.path[0]}


def fail(asked: Iterator[Line]) -> Iterator[Line]:
    yield {"step": 1}
    raise ValueError("no luck\ntoday")


def leave(asked: Iterator[Line]) -> Iterator[Line]:
    sys.exit("out of order")
    yield {}


def wait(asked: Iterator[Line]) -> Iterator[Line]:
    yield from asked


def start_another(asked: Iterator[Line]) -> Iterator[Line]:
    yield {"pid": subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid}
    yield from asked
