"""The folder of a bundle appears whole, and what killed processes left is deleted in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sam2lab.runtime.bundle_folder import appearing, check_free

DAY_S = 24 * 60 * 60


def aged(path: Path, seconds: float) -> Path:
    """The path, last changed so many seconds ago."""
    then = time.time() - seconds
    os.utime(path, (then, then), follow_symlinks=False)
    return path


def write_all(folder: Path) -> None:
    for name in ("encoder.onnx", "decoder.onnx", "bundle.json"):
        (folder / name).write_text(name)


def test_nothing_is_there_before_all_of_it_is(tmp_path: Path) -> None:
    target = tmp_path / "models" / "nano"
    with appearing(target) as unfinished:
        write_all(unfinished)
        assert not target.exists()
    assert sorted(path.name for path in target.iterdir()) == [
        *("bundle.json", "decoder.onnx", "encoder.onnx")
    ]
    assert list(target.parent.iterdir()) == [target]


def test_what_a_killed_process_left_is_deleted_after_a_day(tmp_path: Path) -> None:
    old, recent = tmp_path / ".nano.0123abcd", tmp_path / ".nano.89ef4567"
    for left, age_s in ((old, DAY_S + 60), (recent, DAY_S - 60)):
        left.mkdir()
        write_all(left)
        aged(left, age_s)
    with appearing(tmp_path / "nano") as unfinished:
        write_all(unfinished)
    assert sorted(path.name for path in tmp_path.iterdir()) == [recent.name, "nano"]


@pytest.mark.parametrize(
    "name",
    [".nano.0123abc", ".nano.0123abcd.bak", ".tiny.0123abcd", "nano.0123abcd", ".nanox0123abcd"],
)
def test_other_folders_are_never_deleted(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    aged(tmp_path / name, 10 * DAY_S)
    with appearing(tmp_path / "nano") as unfinished:
        write_all(unfinished)
    assert (tmp_path / name).is_dir()


def test_files_and_links_are_never_deleted(tmp_path: Path) -> None:
    file, linked = tmp_path / ".nano.0123abcd", tmp_path / "precious"
    file.write_text("a file")
    linked.mkdir()
    (linked / "weights").write_text("precious")
    link = tmp_path / ".nano.89ef4567"
    link.symlink_to(linked)
    for path in (file, link):
        aged(path, 10 * DAY_S)
    with appearing(tmp_path / "nano") as unfinished:
        write_all(unfinished)
    assert file.is_file()
    assert link.is_symlink()
    assert (linked / "weights").read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["encoder.onnx", "decoder.tflite", "memory_attention.onnx", "bundle.json"]
)
def test_a_folder_with_a_part_of_a_bundle_is_refused(tmp_path: Path, name: str) -> None:
    check_free(tmp_path)
    (tmp_path / name).write_text("already there")
    with pytest.raises(ValueError, match=rf"folder is .*already has {name}; delete them"):
        check_free(tmp_path)
