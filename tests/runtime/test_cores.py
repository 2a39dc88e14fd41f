"""The cores that count: those that this process may run on, and those it is granted the time of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sam2lab.runtime import cores


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight cores, all of them allowed; its control groups lie in this folder."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(cores, "OWN_CGROUPS", tmp_path / "own")
    return tmp_path


def group(machine: Path, own: str, **files: str) -> None:
    """Put the process into groups `own`, and files, by `folder__name`, into their tree."""
    (machine / "own").write_text(own)
    for name, text in files.items():
        file = machine / "groups" / name.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("quota", "wanted"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("1600000 100000", 8),
    ],
    ids=["none", "two", "one and a half", "a hundredth", "more than there are"],
)
def test_a_container_uses_what_it_is_granted(machine: Path, quota: str, wanted: int) -> None:
    group(machine, "0::/\n", cpu_dot_max=quota + "\n")
    assert cores.usable() == wanted


def test_the_tightest_group_around_the_process_counts(machine: Path) -> None:
    group(
        machine,
        "0::/pod/box\n",
        pod__cpu_dot_max="300000 100000\n",
        pod__box__cpu_dot_max="max 100000\n",
    )
    assert cores.usable() == 3


@pytest.mark.parametrize(("quota", "wanted"), [("-1", 8), ("400000", 4)])
@pytest.mark.parametrize("place", ["/", "/docker/told-by-the-host"])
def test_the_older_groups_are_read_too(machine: Path, place: str, quota: str, wanted: int) -> None:
    group(
        machine,
        f"3:memory:/elsewhere\n2:cpu,cpuacct:{place}\n0::/\n",
        cpu__cpu_dot_cfs_quota_us=quota + "\n",
        cpu__cpu_dot_cfs_period_us="100000\n",
    )
    assert cores.usable() == wanted


def test_fewer_allowed_than_granted_are_those_allowed(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(machine, "0::/\n", cpu_dot_max="400000 100000\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5})
    assert cores.usable() == 1


def test_a_system_without_groups_or_affinity_has_all_its_cores(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert cores.usable() == 12
