"""The fingerprint describes the machine and its software, and names no user, host or folder."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from sam2lab import OnnxEngine
from sam2lab.measure import machine
from sam2lab.runtime import cores


def test_names_the_processor_the_memory_and_the_versions() -> None:
    facts = machine.fingerprint()
    assert facts["cpu"] not in ("", "unknown")
    assert 1 <= facts["usable_cores"] <= facts["logical_cores"]
    assert facts["python"] == platform.python_version()
    assert facts["onnxruntime"] == onnxruntime.__version__
    assert facts["numpy"] == np.__version__


def test_holds_plain_values_only_so_that_json_keeps_it() -> None:
    facts = machine.fingerprint()
    assert json.loads(json.dumps(facts)) == facts


def test_tells_nothing_about_the_user(nano_bundle: Path) -> None:
    said = json.dumps(machine.fingerprint(OnnxEngine(nano_bundle)))
    for private in (str(Path.home()), str(nano_bundle.parent), str(Path.cwd()), platform.node()):
        assert private not in said
    assert f'"{getpass.getuser()}"' not in said


def test_knows_what_an_engine_runs_and_where(nano_bundle: Path) -> None:
    engine = OnnxEngine(nano_bundle, providers=["CPUExecutionProvider"], threads=1)
    facts = machine.engine_facts(engine)
    assert facts["engine_key"] == engine.key
    assert facts["weights"] == "random:0"
    assert facts["threads"] == 1
    assert "CPUExecutionProvider" in facts["providers"]


def test_an_engine_without_orders_leaves_its_threads_to_the_library(nano_bundle: Path) -> None:
    assert machine.engine_facts(OnnxEngine(nano_bundle))["threads"] == 0


def test_knows_the_flags_that_linux_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_cpuinfo", lambda: {"Features": "fp asimd asimddp crc32"})
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert machine.fingerprint()["cpu_flags"] == "asimd asimddp"


def test_cores_that_a_container_is_not_granted_are_not_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "own").write_text("0::/\n")
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores, "OWN_CGROUPS", tmp_path / "own")
    assert machine.fingerprint()["usable_cores"] == 1
