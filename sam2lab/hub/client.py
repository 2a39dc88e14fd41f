"""`Client` asks Qualcomm's own client, which runs in a process of its own environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Any, Self

from sam2lab.hub import environment
from sam2lab.hub.errors import HubError

SERVICE = Path(__file__).with_name("_service.py")

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
    """A process that speaks with AI Hub. Leaving it ends the process, not the jobs.

    `ask` calls a verb of `_service.Service`. What the client prints, such as the progress of
    uploads, appears on stderr.

    ```python
    with Client() as client:
        print(client.ask("devices", name="Samsung Galaxy S24"))
    ```
    """

    def __init__(self, python: Path | None = None) -> None:
        self._python = python or environment.find()
        self._said = ""
        self._process = subprocess.Popen(
            [str(self._python), str(SERVICE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._listener = Thread(target=self._pass_on, daemon=True)
        self._listener.start()

    def ask(self, verb: str, **asked: Any) -> Any:
        """Call a verb and return its value; a `HubError` says what went wrong."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"verb": verb, **asked}).encode() + b"\n")
            self._process.stdin.flush()
            text = self._process.stdout.readline()
        except BrokenPipeError:
            text = b""
        if not text:
            self._process.wait()
            self._listener.join(1)
            lines = self._said.split("\n")
            said = lines[-1] or f"exit code {self._process.returncode}"
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

    def _pass_on(self) -> None:
        """Show what the client prints here, which may be a notebook, and keep the end of it."""
        assert self._process.stderr is not None
        while part := os.read(self._process.stderr.fileno(), 4096):
            # Bars are drawn anew in their line, so nothing waits for the line's end.
            text = part.decode("utf-8", "replace")
            self._said = (self._said + text).strip()[-1000:]
            sys.stderr.write(text)
            sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()
