"""The client's environment: where it is looked for, and what is said where it is not there."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from sam2lab import hub
from sam2lab.hub import environment
from sam2lab.hub.client import Client
from sam2lab.hub.errors import HubError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path))
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    return tmp_path


def test_without_it_the_way_to_make_it_is_named(nano_float: Path) -> None:
    with pytest.raises(HubError, match="python -m sam2lab hub setup") as caught:
        hub.submit(nano_float, "Samsung Galaxy S24")
    assert caught.value.reason == "client"


def test_a_variable_names_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    assert environment.find() == Path(sys.executable)
    monkeypatch.setenv(environment.VARIABLE, "no/python")
    with pytest.raises(HubError, match="'no/python', which is no file"):
        environment.find()


def test_what_pip_refuses_is_told_and_not_taken_for_an_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(place: Path) -> Path:
        python = place / "python"
        place.mkdir(parents=True, exist_ok=True)
        python.write_text("#!/bin/sh\necho a warning\necho no network >&2\nexit 1\n")
        python.chmod(0o755)
        return python

    monkeypatch.setattr(environment, "_python", failing)
    # Making the environment itself takes seconds.
    monkeypatch.setattr(sys, "executable", shutil.which("true"))
    with pytest.raises(HubError, match="said 'no network'"):
        environment.make()
    with pytest.raises(HubError, match="is not here"):
        environment.find()


def test_a_client_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho a word >&2\nexit 3\n")
    python.chmod(0o755)
    with Client(python) as client, pytest.raises(HubError, match="ended: a word"):
        client.ask("devices")


def test_a_client_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sam2lab.hub.client.PATIENCE_S", 0.05)
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nsleep 600 & sleep 600\n")
    python.chmod(0o755)
    with Client(python) as client, pytest.raises(HubError, match=r"said nothing for 0\.05 s"):
        client.ask("devices")


def test_a_python_without_the_client_is_told(nano_float: Path) -> None:
    with Client(Path(sys.executable)) as client, pytest.raises(HubError, match="qai_hub"):
        client.ask("devices")


@pytest.fixture
def nano_float() -> Path:
    """A float bundle that is always there."""
    return Path(__file__).parents[2] / "models" / "nano"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"runtime": "qnn"}, "runtime is 'qnn'; wanted one of tflite, qnn_dlc, onnx"),
        ({"precision": "int4"}, "precision is 'int4'; wanted one of float, w8a8, w8a8-full"),
        ({"bundle": "no/bundle"}, "is not a folder"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_the_client_is_looked_for(
    nano_float: Path, asked: dict[str, str], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        hub.submit(**{"bundle": nano_float, "device": "Samsung Galaxy S24"} | asked)
