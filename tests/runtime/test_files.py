"""A file is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sam2lab.runtime.files import check_place, replacing


def test_a_reader_finds_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with replacing(target) as beside:
        beside.write_text("half of the")
        assert target.read_text() == "old"
        beside.write_text("new")
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
def test_an_interrupt_leaves_what_was_there_and_no_litter(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    target = tmp_path / "note.txt"
    target.write_text("old")
    with pytest.raises(stop):
        _begin_and_stop(target, stop)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_two_that_write_at_once_do_not_share_a_file(tmp_path: Path) -> None:
    target = tmp_path / "note.txt"
    with replacing(target) as first, replacing(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"


def test_a_place_may_be_a_folder_or_nothing_yet(tmp_path: Path) -> None:
    check_place("folder", tmp_path)
    check_place("folder", tmp_path / "new" / "deeper")


@pytest.mark.parametrize("below", ["", "model", "models/tiny"])
def test_a_file_in_the_way_of_a_folder_is_found_beforehand(tmp_path: Path, below: str) -> None:
    (tmp_path / "note.txt").touch()
    with pytest.raises(ValueError, match=r"^out is .*note\.txt.* is a file; choose another place"):
        check_place("out", tmp_path / "note.txt" / below)


def test_a_folder_that_may_not_be_written_into_is_found_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # chmod does not stop root, who may run the tests.
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(ValueError, match=r"^out is .*you may not write into .*; choose another"):
        check_place("out", tmp_path / "new" / "deeper")


def _begin_and_stop(target: Path, stop: type[BaseException]) -> None:
    with replacing(target) as beside:
        beside.write_text("half")
        raise stop
