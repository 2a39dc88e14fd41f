"""What others published is here as they published it."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from sam2lab.web import VENDORED, vendored


@pytest.mark.parametrize("name", VENDORED)
def test_each_file_is_as_published(name: str) -> None:
    assert vendored(name)


def test_the_program_is_webassembly_and_small_when_packed() -> None:
    packed = vendored("ort-wasm-simd-threaded.wasm.gz")
    assert gzip.decompress(packed).startswith(b"\0asm")
    assert len(packed) < 4e6


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[vendored.__module__], "FOLDER", tmp_path)
    (tmp_path / "LICENSE").write_text("another")
    with pytest.raises(ValueError, match="sha256 is another"):
        vendored("LICENSE")
