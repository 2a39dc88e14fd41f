"""A script in a fresh process, and lines of JSON to it and from it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

PACKAGE_HOME = str(Path(__file__).resolve().parents[2])

Line = dict[str, Any]


class Child:
    """The process; ended on leaving, whatever it does then."""

    def __init__(self, script: Path) -> None:
        self._complaints = tempfile.TemporaryFile(  # noqa: SIM115
            "w+", encoding="utf-8", errors="replace"
        )
        # -P: a folder of ours must not stand where the standard library is looked for.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
        )

    def send(self, line: Line) -> None:
        """Send a line, and as `path` in it where this process finds its modules."""
        assert self._process.stdin is not None
        found_in = [PACKAGE_HOME, *(place for place in sys.path if place)]
        # Whoever has ended is heard no more: that says it.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"path": found_in, **line}) + "\n")
            self._process.stdin.flush()

    def hear(self) -> Line | None:
        """Wait for the next line; None where no more will come."""
        assert self._process.stdout is not None
        text = self._process.stdout.readline()
        line: Line | None = json.loads(text) if text else None
        return line

    def end(self) -> tuple[int, str]:
        """Wait until the process has ended: its exit code, and all that it complained of."""
        code = self._process.wait()
        self._complaints.seek(0)
        return code, self._complaints.read()

    def kill(self) -> None:
        """End the process, which may be waited for."""
        self._process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self._process.communicate()
        self._complaints.close()
