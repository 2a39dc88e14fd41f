"""A checkpoint is hashed once, and again when it has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from sam2lab.runtime import digests


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were read and hashed, in order."""
    read: list[Path] = []
    real = digests.sha256_of

    def counted(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(digests, "sha256_of", counted)
    return read


def written(path: Path, content: bytes, age_s: float) -> Path:
    """A file that was changed `age_s` seconds ago."""
    path.write_bytes(content)
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))
    return path


def test_an_unchanged_file_is_hashed_once(tmp_path: Path, hashed: list[Path]) -> None:
    file = written(tmp_path / "own.pt", b"weights", age_s=60)
    wanted = hashlib.sha256(b"weights").hexdigest()
    assert [digests.noted_sha256(file) for _ in range(3)] == [wanted] * 3
    assert hashed == [file]


@pytest.mark.parametrize("content", [b"heavier", b"lighter one"], ids=["same size", "longer"])
def test_a_changed_file_is_noticed(tmp_path: Path, content: bytes) -> None:
    file = written(tmp_path / "own.pt", b"weights", age_s=60)
    digests.noted_sha256(file)
    written(file, content, age_s=30)
    assert digests.noted_sha256(file) == hashlib.sha256(content).hexdigest()


def test_a_file_that_changes_twice_within_the_clocks_step_is_noticed(tmp_path: Path) -> None:
    file = written(tmp_path / "own.pt", b"weights", age_s=0)
    digests.noted_sha256(file)
    before = file.stat()
    file.write_bytes(b"heavier")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.noted_sha256(file) == hashlib.sha256(b"heavier").hexdigest()


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"NAME": 3}', b'{"NAME": {}}']
)
def test_damaged_notes_are_replaced(
    tmp_path: Path, cache: Path, hashed: list[Path], damage: bytes
) -> None:
    file = written(tmp_path / "own.pt", b"weights", age_s=60)
    cache.mkdir()
    (cache / "digests.json").write_bytes(damage.replace(b"NAME", os.fsencode(file)))
    for _ in range(2):
        assert digests.noted_sha256(file) == hashlib.sha256(b"weights").hexdigest()
    assert hashed == [file]


def test_a_cache_that_cannot_be_written_to_does_not_stop_the_work(
    tmp_path: Path, cache: Path
) -> None:
    cache.write_text("in the way")
    file = written(tmp_path / "own.pt", b"weights", age_s=60)
    assert digests.noted_sha256(file) == hashlib.sha256(b"weights").hexdigest()
