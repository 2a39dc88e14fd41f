"""Functions for a child process that end as QNN's libraries do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any


def crashing(asked: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """End the process."""
    next(asked)
    os.kill(os.getpid(), signal.SIGSEGV)
    yield {}


def refusing(asked: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Fail as ONNX Runtime does."""
    next(asked)
    raise RuntimeError("Failed to finalize QNN graph. Error code: 1002")
    yield {}
