"""Start a function in a fresh process, and exchange lines of JSON with it."""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any, Self

Line = dict[str, Any]

LOOP = Path(__file__).with_name("_child_loop.py")
PACKAGE_HOME = str(Path(__file__).resolve().parents[2])
# Nothing that is measured takes minutes; a process that is silent for longer hangs.
PATIENCE_S = 600.0


class ChildError(ChildProcessError):
    """A child process failed; the message is one line."""


class Child:
    """A fresh Python process that runs `function(asked, *others)`; leaving ends it and its own.

    `asked` is an iterator over the lines that `tell` sends. The function yields the lines that
    `hear` returns, each with `peak_mb` added: the most memory the process has held, in 10^6
    bytes. `others` are further functions or classes for it.

    The process reads each of them from its file, without the package around it. So it has
    imported nothing but the standard library when the function begins, if those files import
    nothing else at their top. One that says nothing for `patience_s` is ended, with a `ChildError`.

    ```python
    with Child(function) as child:
        print(child.ask(name="value"))
    ```
    """

    def __init__(
        self,
        function: Callable[..., Iterator[Line]],
        *others: Callable[..., Any],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._complaints = tempfile.TemporaryFile(  # noqa: SIM115
            "w+", encoding="utf-8", errors="replace"
        )
        # -P: modules beside the script have names of the standard library's.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(LOOP)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            encoding="utf-8",
            # No session of its own: Linux would give that its own share of the machine, however
            # nice its parent is.
            process_group=0,
        )
        self.tell(
            path=[PACKAGE_HOME, *(place for place in sys.path if place)],
            objects=[[inspect.getfile(each), each.__qualname__] for each in (function, *others)],
        )

    def tell(self, **line: Any) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        # A process that has ended takes no lines; `hear` says why it ended.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()

    def hear(self) -> Line | None:
        """Wait for the next line; None where the function has returned."""
        assert self._process.stdout is not None
        timer = Timer(self._patience_s, kill, [self._process])
        timer.daemon = True
        timer.start()
        try:
            text = self._process.stdout.readline()
        finally:
            was_in_time = timer.is_alive()
            timer.cancel()
        if not text:
            if not was_in_time:
                raise ChildError(f"silent for {self._patience_s:g} s")
            try:
                self._process.wait(self._patience_s)
            except subprocess.TimeoutExpired:
                # A library that never ends, although the function has returned.
                kill(self._process)
            if self._process.wait():
                raise ChildError(self._last_words())
            return None
        line: Line = json.loads(text)
        if "error" in line:
            raise ChildError(line["error"])
        return line

    def ask(self, **line: Any) -> Line:
        """Send a line and wait for the one that answers it."""
        self.tell(**line)
        answer = self.hear()
        if answer is None:
            raise ChildError("the process ended without an answer")
        return answer

    def _last_words(self) -> str:
        code = self._process.returncode
        self._complaints.seek(0)
        lines = [line.strip() for line in self._complaints if line.strip()]
        # The last line of a traceback names the error.
        return lines[-1] if lines and code > 0 else f"the process ended with {code}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        kill(self._process)
        self._process.communicate()
        self._complaints.close()


def kill(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads a group of processes, and with it what it has started.

    Else a process of its that lives on would hold its pipes open, for whose end readers wait.
    """
    if sys.platform == "win32":
        process.kill()
    elif process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
