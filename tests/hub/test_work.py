"""The folder that remembers jobs: what it holds, and what it refuses."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sam2lab.hub.work import Asked, Step, Work

ASKED = Asked("/models/tiny", "abc", "Phone", "chip", "14", "tflite", "float", ("cat.jpg",))


def test_remembers_what_was_noted(tmp_path: Path) -> None:
    work = Work.begin(tmp_path / "new" / "work", ASKED)
    work.note("encoder/compile", Step("j1", "CREATED"))
    work.note("encoder/compile", state="SUCCESS", made="m1")
    found = Work.open(tmp_path / "new" / "work")
    assert (found.asked, found.steps) == (ASKED, {"encoder/compile": Step("j1", "SUCCESS", "m1")})
    assert [path.name for path in work.folder.iterdir()] == ["jobs.json"]


def test_goes_on_with_the_same_and_forgets_what_failed(tmp_path: Path) -> None:
    work = Work.begin(tmp_path, ASKED)
    work.note("a", Step("1"))
    work.note("b", Step("2", "FAILED", reason="no"))
    assert set(Work.begin(tmp_path, ASKED).steps) == {"a"}


def test_an_interrupt_while_it_writes_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = Work.begin(tmp_path, ASKED)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sam2lab.runtime.files.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        work.note("a", Step("1"))
    assert Work.open(tmp_path).steps == {}
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.json"]


def test_refuses_a_folder_about_something_else(tmp_path: Path) -> None:
    Work.begin(tmp_path, ASKED)
    with pytest.raises(ValueError, match="another device 'Phone' and runtime 'tflite'; choose"):
        Work.begin(tmp_path, replace(ASKED, device="Tablet", runtime="onnx"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "which has no jobs.json; wanted one that python -m sam2lab hub submit printed"),
        ("{", "cannot be read"),
        ("[]", "it is no sam2lab-hub"),
        ('{"format": "sam2lab-bundle"}', "it is no sam2lab-hub"),
        ('{"format": "sam2lab-hub", "steps": {"a": {"id": 1}}}', "'id' is 1"),
        ('{"format": "sam2lab-hub", "steps": {}}', "'asked' is missing"),
    ],
)
def test_refuses_a_file_that_it_did_not_write(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "jobs.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(said)):
        Work.open(tmp_path)


def test_refuses_a_place_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file; choose another place"):
        Work.begin(tmp_path / "file", ASKED)
