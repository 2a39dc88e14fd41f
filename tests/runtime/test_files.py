"""A file is there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.runtime.files import replacing


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


def _begin_and_stop(target: Path, stop: type[BaseException]) -> None:
    with replacing(target) as beside:
        beside.write_text("half")
        raise stop
