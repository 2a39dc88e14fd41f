"""Finished pieces stay in the file when a process is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam2lab.measure.journal import Journal

ABOUT = {"kinds": ("box",), "seed": 0}


def test_what_was_added_is_there_the_next_time(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "journal.jsonl"
    with Journal(file, ABOUT) as journal:
        assert journal.lines() == []
        journal.add({"image": 1, "iou": 0.1 + 0.2})
    with Journal(file, ABOUT) as journal:
        assert journal.lines() == [{"image": 1, "iou": 0.1 + 0.2}]


def test_a_line_is_in_the_file_as_soon_as_it_is_added(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", ABOUT) as journal:
        journal.add({"image": 1})
        assert (tmp_path / "j").read_text().endswith('{"image": 1}\n')


@pytest.mark.parametrize("lost", [1, 5, 12])
def test_a_line_that_was_not_finished_is_forgotten_and_written_over(
    tmp_path: Path, lost: int
) -> None:
    file = tmp_path / "j"
    with Journal(file, ABOUT) as journal:
        journal.add({"image": 1})
        journal.add({"image": 2})
    file.write_bytes(file.read_bytes()[:-lost])
    with Journal(file, ABOUT) as journal:
        assert journal.lines() == [{"image": 1}]
        journal.add({"image": 3})
    with Journal(file, ABOUT) as journal:
        assert journal.lines() == [{"image": 1}, {"image": 3}]


def test_a_file_killed_in_its_first_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "j").write_text('{"kin')
    with Journal(tmp_path / "j", ABOUT) as journal:
        assert journal.lines() == []
    with Journal(tmp_path / "j", ABOUT) as journal:
        assert journal.lines() == []


def test_another_measurement_is_not_mixed_in(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", ABOUT) as journal:
        journal.add({"image": 1})
    before = (tmp_path / "j").read_bytes()
    with pytest.raises(ValueError, match="another measurement, with other seed; give another"):
        Journal(tmp_path / "j", ABOUT | {"seed": 1})
    assert (tmp_path / "j").read_bytes() == before


@pytest.mark.parametrize("content", ["hello\n", "[1]\n", "3\n{}\n"])
def test_a_file_of_something_else_is_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "j").write_text(content)
    with pytest.raises(ValueError, match="is no measurement's file"):
        Journal(tmp_path / "j", ABOUT)
    assert (tmp_path / "j").read_text() == content


def test_anew_deletes_the_earlier_measurement(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", ABOUT) as journal:
        journal.add({"image": 1})
    with Journal(tmp_path / "j", ABOUT | {"seed": 1}, anew=True) as journal:
        assert journal.lines() == []
    (tmp_path / "letter").write_text("hello\n")
    with pytest.raises(ValueError, match="is no measurement's file"):
        Journal(tmp_path / "letter", ABOUT, anew=True)


def test_lines_are_found_by_what_they_hold(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", ABOUT) as journal:
        for image in range(3):
            journal.add({"image": image, "phase": "encode"})
        assert journal.lines(phase="encode", image=2) == [{"image": 2, "phase": "encode"}]
        assert journal.lines(phase="decode") == []
