"""A child process that is told what to do by lines of JSON, and whose failure is a sentence."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import Any

HERE = Path(__file__).parent
# Compiling an encoder may take minutes on two cores; whoever is silent for longer hangs.
PATIENCE_S = 600.0

Line = dict[str, Any]


class ChildError(ChildProcessError):
    """A child process ended, or said what went wrong: the first line of that."""


class Child:
    """Runs a script of this folder, which answers each line with a line."""

    def __init__(self, script: str) -> None:
        self._complaints = tempfile.TemporaryFile(  # noqa: SIM115
            "w+", encoding="utf-8", errors="replace"
        )
        # -P: a folder of ours must not stand where the standard library is looked for.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
        )

    def ask(self, **line: Any) -> Line:
        """Send a line, wait for the answer; `ChildError` where none comes, or a complaint."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        home = str(HERE.parents[1])
        sent = {"path": [home, *(place for place in sys.path if place)], **line}
        timer = Timer(PATIENCE_S, self._process.kill)
        timer.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(json.dumps(sent) + "\n")
                self._process.stdin.flush()
            answer = self._process.stdout.readline()
        finally:
            was_in_time = timer.is_alive()
            timer.cancel()
        if not answer:
            raise ChildError(self._last_words() if was_in_time else f"silent for {PATIENCE_S:g} s")
        heard: Line = json.loads(answer)
        if "error" in heard:
            raise ChildError(heard["error"])
        return heard

    def _last_words(self) -> str:
        code = self._process.wait()
        self._complaints.seek(0)
        lines = [line.strip() for line in self._complaints if line.strip()]
        # Of a traceback the line that names the error comes last, flush left.
        return lines[-1] if lines and code > 0 else f"the process ended with {code}"

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
