"""A child process that is asked line by line, and whose failure is a sentence."""

from __future__ import annotations

from pathlib import Path
from threading import Timer
from typing import Any

from sam2lab.measure import child
from sam2lab.measure.child import Line

HERE = Path(__file__).parent
# Compiling an encoder may take minutes on two cores; whoever is silent for longer hangs.
PATIENCE_S = 600.0


class ChildError(ChildProcessError):
    """A child process ended, or said what went wrong: the first line of that."""


class Child(child.Child):
    """Runs a script of this folder, which answers each line with a line."""

    def __init__(self, script: str) -> None:
        super().__init__(HERE / script)

    def ask(self, **line: Any) -> Line:
        """Send a line, wait for the answer; `ChildError` where none comes, or a complaint."""
        timer = Timer(PATIENCE_S, self.kill)
        timer.start()
        try:
            self.send(line)
            answer = self.hear()
        finally:
            was_in_time = timer.is_alive()
            timer.cancel()
        if answer is None:
            raise ChildError(self._last_words() if was_in_time else f"silent for {PATIENCE_S:g} s")
        if "error" in answer:
            raise ChildError(answer["error"])
        return answer

    def _last_words(self) -> str:
        code, complaints = self.end()
        lines = [line.strip() for line in complaints.splitlines() if line.strip()]
        # Of a traceback the line that names the error comes last, flush left.
        return lines[-1] if lines and code > 0 else f"the process ended with {code}"
