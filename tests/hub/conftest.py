"""Qualcomm's real client in an environment of its own, and a stand-in for its service."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest

from sam2lab.hub import environment
from sam2lab.hub.errors import HubError
from sam2lab.measure.child import kill
from tests.conftest import REPOSITORY

# These run in the client's environment.
collect_ignore = ["stand_in.py", "short_waits"]

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def client_python() -> Path:
    """The interpreter of the client's environment, which stays in build/ for the next time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAM2LAB_CACHE", str(REPOSITORY / "build"))
        try:
            return environment.make()
        except HubError as error:
            pytest.skip(f"needs a package index: {error}")


class StandIn:
    """The stand-in's process, seen from a test. It ends where its stdin does, as with this one."""

    def __init__(self, python: Path) -> None:
        run = [sys.executable, str(HERE / "device.py")]
        self.process = subprocess.Popen(
            [str(python), str(HERE / "stand_in.py"), *run],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        assert self.process.stdout is not None
        timer = Timer(120, kill, [self.process])
        timer.start()
        self.url = self.process.stdout.readline().strip()
        timer.cancel()
        assert self.url, "the stand-in did not start"

    def control(self, **wanted: Any) -> dict[str, Any]:
        """Let it misbehave; what it was asked so far."""
        request = urllib.request.Request(f"{self.url}/control", json.dumps(wanted).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def end(self) -> None:
        kill(self.process)
        self.process.communicate()


@pytest.fixture(scope="session")
def started(client_python: Path) -> Iterator[StandIn]:
    standing = StandIn(client_python)
    yield standing
    standing.end()


@pytest.fixture
def cloud(
    started: StandIn, client_python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StandIn:
    """The stand-in, without memories, and a client that knows it and the right token."""
    started.control(forget=True, token="right", fail="", throttled=0, busy=1, broken=0)
    write_token(tmp_path / "client.ini", started.url, "right")
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(tmp_path / "client.ini"))
    monkeypatch.setenv("SAM2LAB_QAI_HUB", str(client_python))
    monkeypatch.setenv("PYTHONPATH", str(HERE / "short_waits"))
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("sam2lab.hub.following.POLL_S", 0.0)
    monkeypatch.setattr("sam2lab.hub.following.BUSY_S", (0.0, 0.0))
    return started


def write_token(file: Path, url: str, token: str) -> None:
    """A configuration of the client, as `qai-hub configure` writes it."""
    file.write_text(
        f"[api]\napi_token = {token}\napi_url = {url}\nweb_url = {url}\nverbose = True\n"
    )
