"""`Client` asks Qualcomm's own client, which runs in a process of its own environment."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread
from typing import Any, Self

from sam2lab.hub import environment
from sam2lab.hub.errors import HubError
from sam2lab.measure.child import kill

SERVICE = Path(__file__).with_name("_service.py")
# Uploads and downloads draw bars all the while; a client that prints nothing for longer hangs.
PATIENCE_S = 600.0

WITHOUT = (
    "Without a token, python -m sam2lab export writes files for phones and compares their masks "
    "here; only times on real devices are missing, for which sam2lab.measure.devices.published() "
    "has Qualcomm's own"
)
REMEDIES = {
    "token": "Sign in at https://aihub.qualcomm.com, which costs nothing, copy the API token from "
    "Account, Settings, and run: {scripts}/qai-hub configure --api_token TOKEN. " + WITHOUT,
    "unreachable": "What was submitted goes on there. Look at the network and at "
    "https://aihub.qualcomm.com, then run the same command again",
    "busy": "Try again in some minutes",
    "device": "python -m sam2lab hub devices lists those that there are",
}


class Client:
    """A process that speaks with AI Hub; leaving it ends the process, not the jobs.

    `ask` calls a verb of `_service.Service`. What the client prints, such as the progress of
    uploads, appears on stderr.

    ```python
    with Client() as client:
        print(client.ask("devices", name="Samsung Galaxy S24"))
    ```
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = python or environment.find()
        self._said, self._heard = "", time.monotonic()
        self._process = subprocess.Popen(
            [str(self._python), str(SERVICE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        self._listeners = [
            Thread(target=listen, daemon=True) for listen in (self._pass_on, self._listen)
        ]
        for listener in self._listeners:
            listener.start()

    def ask(self, verb: str, **asked: Any) -> Any:
        """Call a verb and return its value; a `HubError` says what went wrong."""
        assert self._process.stdin is not None
        # One that has ended takes no question; no answer comes then.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"verb": verb, **asked}).encode() + b"\n")
            self._process.stdin.flush()
        text = self._answer()
        if not text:
            # The same holds for the next question.
            self._answers.put(text)
            self._listeners[0].join(1)
            lines = self._said.split("\n")
            said = lines[-1] or f"exit code {self._process.wait(PATIENCE_S)}"
            raise HubError(
                "client",
                f"the client in {self._python} ended: {said}. If that is no interrupt, delete "
                f"{environment.folder()} and make it anew: {environment.MAKE}",
            )
        answer = json.loads(text)
        if "error" not in answer:
            return answer["value"]
        reason = answer["reason"]
        remedy = REMEDIES.get(reason, "").format(scripts=self._python.parent)
        raise HubError(reason, ". ".join(filter(None, [answer["error"].rstrip(". "), remedy])))

    def _answer(self) -> bytes:
        """The next answer, nothing where the process has ended."""
        self._heard = time.monotonic()
        while (left := self._heard + PATIENCE_S - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                return self._answers.get(timeout=left)
        kill(self._process)
        raise HubError(
            "unreachable",
            f"the client has said nothing for {PATIENCE_S:g} s. {REMEDIES['unreachable']}",
        )

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(b"")

    def _pass_on(self) -> None:
        """Show what the client prints here, which may be a notebook, and keep the end of it."""
        assert self._process.stderr is not None
        while part := os.read(self._process.stderr.fileno(), 4096):
            # Bars are drawn anew in their line, so nothing waits for the line's end.
            text = part.decode("utf-8", "replace")
            self._heard = time.monotonic()
            self._said = (self._said + text).strip()[-1000:]
            # A notebook's stderr may be closed; the client stands still where nobody reads.
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(text)
                sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        kill(self._process)
        # Only then closes: a number of a file that a thread still reads may belong to another.
        for listener in self._listeners:
            listener.join(10)
        self._process.communicate()
