"""Settings and fixtures for all tests: time limits, and a Jupyter apart from the user's."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("patient", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("patient")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is being tested."""
    return REPOSITORY


@dataclass(frozen=True)
class JupyterServer:
    """A running JupyterLab: process id, where it listens, and the folder that it shows."""

    pid: int
    port: int
    token: str
    root: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="session")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    """A JupyterLab with the project's server configuration, and nothing of the user's own."""
    home = tmp_path_factory.mktemp("jupyter")
    folders = {
        name: home / name.lower()
        for name in (
            "HOME",
            "IPYTHONDIR",
            "JUPYTER_CONFIG_DIR",
            "JUPYTER_DATA_DIR",
            "JUPYTER_RUNTIME_DIR",
            "JUPYTERLAB_SETTINGS_DIR",
            "JUPYTERLAB_WORKSPACES_DIR",
        )
    }
    root = home / "root"
    for folder in (root, *folders.values()):
        folder.mkdir()
    # JupyterLab would ask in a dialog whether to fetch news.
    news = folders["JUPYTERLAB_SETTINGS_DIR"] / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')

    inherited = {k: v for k, v in os.environ.items() if not k.startswith("JUPYTER")}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"),
                f"--config={REPOSITORY / 'sam2lab' / 'jupyter' / 'server_config.json'}",
                "--LabApp.expose_app_in_browser=True",
                str(root),
            ],
            env=inherited | {name: str(folder) for name, folder in folders.items()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        info = _server_info(server, folders["JUPYTER_RUNTIME_DIR"], home / "log")
        yield JupyterServer(server.pid, info["port"], info["token"], root)
    finally:
        server.terminate()
        server.wait(30)


def _server_info(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> dict:
    """The file that the server writes a moment before it listens."""
    file = runtime / f"jpserver-{server.pid}.json"
    give_up = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < give_up:
        try:
            info = json.loads(file.read_text())
            socket.create_connection(("127.0.0.1", info["port"]), timeout=10).close()
            return info
        except (FileNotFoundError, json.JSONDecodeError, ConnectionRefusedError):
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """As `export_anew`, but what was exported before is given again."""
    from tests.exporting import export_anew

    made: dict[tuple[Any, ...], Any] = {}

    def make(
        size: str,
        input_size: tuple[int, int] | None = None,
        precision: str = "float",
        memory: bool = True,
    ) -> Any:
        key = size, input_size, precision, memory
        if key not in made:
            folder = tmp_path_factory.mktemp("exported") / size
            made[key] = export_anew(folder, *key)
        return made[key]

    return make


@pytest.fixture
def unsimplified() -> Iterator[None]:
    """Leave what is exported as it was traced, where a test is about something else."""
    from tests.exporting import unsimplified

    with unsimplified():
        yield


@pytest.fixture(scope="session")
def nano_bundle(exported: Callable[..., Any]) -> Path:
    """A folder with nano as exported, its weights random."""
    return exported("nano").bundle.folder
