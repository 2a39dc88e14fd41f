"""A session file brings all work back, and a wrong one is refused."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import Session, SessionFileError, storage
from tests.runtime.fakes import FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (50, 30, 3), dtype=np.uint8)


# A box that no drawing gives.
BACKWARDS = {"x0": 5, "y0": 5, "x1": 1, "y1": 9}


def fresh(image: Any = None) -> Session:
    engines = {"a": Segmenter(FakeEngine()), "b": Segmenter(FakeEngine(key="b"))}
    return Session(engines, image)


def worked(image: Any) -> Session:
    """A session with an undone future and a choice, on engine b."""
    session = fresh(image)
    session.add_point(10.25, 20)
    session.choose(1)
    session.add_point(1 / 3, 20, positive=False)
    session.commit("cat \N{CAT FACE}")
    session.add_box(5, 5, 30, 30)
    session.hide(1)
    session.recolour(2, "#123456")
    session.undo()
    session.undo()
    session.use_engine("b")
    session.mode = "negative"
    return session


def histories(session: Session) -> dict[str, Any]:
    return {key: page.history for key, page in session._pages.items()}


def check_same(loaded: Session, saved: Session) -> None:
    assert histories(loaded) == histories(saved)
    assert (loaded.engine, loaded.mode) == (saved.engine, saved.mode)
    assert loaded.masks.keys() == saved.masks.keys()
    for number, mask in saved.masks.items():
        assert np.array_equal(loaded.masks[number], mask)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(PHOTO).save(path)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "work.json"


def test_a_new_session_loads_everything_from_the_file(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    check_same(loaded, session)
    assert not loaded.is_encoded("a")
    loaded.redo()
    session.redo()
    check_same(loaded, session)
    while session.can_undo:
        session.undo()
        loaded.undo()
        assert loaded.state == session.state


def test_all_photos_with_work_on_them_come_back(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.open_image(OTHER, name="other")
    session.add_point(20, 30)
    session.open_image(np.zeros((5, 5), np.uint8))
    session.open_image(photo)
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    assert [picture.name for picture in loaded.images] == ["photo.png", "other"]
    assert loaded.image is not None
    assert loaded.image.path == str(photo)
    assert histories(session) | histories(loaded) == histories(session)
    loaded.open_image(loaded.images[1])
    session.open_image(OTHER)
    assert np.array_equal(loaded.photo, OTHER)
    assert np.array_equal(loaded.mask, session.mask)


def test_an_uploaded_photo_is_stored_as_its_file(photo: Path, file: Path) -> None:
    session = worked(photo.read_bytes())
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    check_same(loaded, session)
    assert loaded.image is not None
    assert loaded.image.source == photo.read_bytes()


def test_a_photo_without_a_file_is_stored_inside(file: Path) -> None:
    session = worked(PHOTO)
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    check_same(loaded, session)
    assert np.array_equal(loaded.photo, PHOTO)


def test_a_photo_with_a_file_is_stored_inside_on_request(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.save(file, with_images=True)
    photo.unlink()
    loaded = fresh()
    loaded.load(file)
    check_same(loaded, session)


def test_a_folder_with_photo_and_session_may_move(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.save(file)
    moved = file.parent.with_name("moved")
    os.rename(file.parent, moved)
    loaded = fresh()
    loaded.load(moved / "work.json")
    check_same(loaded, session)


def test_the_working_directory_may_change(
    photo: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    session = worked("photo.png")
    monkeypatch.chdir(tmp_path.parent)
    session.open_image(OTHER)
    session.open_image(session.images[0])
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    assert loaded.state == session.state


def test_a_photo_that_has_moved_is_opened_first(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.save(file)
    elsewhere = photo.rename(file.parent / "elsewhere.png")
    with pytest.raises(ValueError, match=r"no file .*photo\.png"):
        fresh().load(file)
    loaded = fresh(elsewhere)
    loaded.load(file)
    check_same(loaded, session)
    assert loaded.image is not None
    assert loaded.image.path == str(elsewhere)


def test_a_photo_that_has_changed_is_refused(photo: Path, file: Path) -> None:
    worked(photo).save(file)
    Image.fromarray(PHOTO[:, ::-1].copy()).save(photo)
    with pytest.raises(ValueError, match=r"'photo\.png' is not what it was"):
        fresh().load(file)


def test_a_session_about_another_photo_is_refused(photo: Path, file: Path) -> None:
    worked(photo).save(file)
    session = fresh(OTHER)
    session.add_point(3, 3)
    before = session.state
    with pytest.raises(SessionFileError, match=r"about 'photo\.png', not about 'image 30x50'"):
        session.load(file)
    assert session.state is before
    assert session.engine == "a"


def test_a_missing_engine_is_reported(photo: Path, file: Path) -> None:
    session = worked(photo)
    session.save(file)
    loaded = Session({"a": Segmenter(FakeEngine())})
    with pytest.warns(UserWarning, match="answered by 'b'"):
        loaded.load(file)
    assert loaded.state == session.state
    assert loaded.engine == "a"


def test_a_photo_of_more_than_8_bits_without_a_file_is_refused(file: Path) -> None:
    session = fresh(PHOTO.astype(np.float32) / 255)
    with pytest.raises(ValueError, match="more than 8 bits"):
        session.save(file)
    assert not file.exists()


def test_a_file_is_replaced_whole_or_not_at_all(
    photo: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = worked(photo)
    session.save(file)
    before = file.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(storage.os, "replace", full)
    session.redo()
    with pytest.raises(SessionFileError, match="no space"):
        session.save(file)
    assert file.read_bytes() == before
    assert {path.name for path in file.parent.iterdir()} == {"photos", file.name}


def test_the_folder_of_the_file_is_made(photo: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "work.json"
    session = worked(photo)
    session.save(file)
    loaded = fresh()
    loaded.load(file)
    assert histories(loaded) == histories(session)


def test_a_place_that_cannot_be_written_is_named_as_given(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SessionFileError) as caught:
        worked(photo).save("file/x.json")
    said = str(caught.value)
    assert said.startswith("path: 'file/x.json' cannot be written: ")
    assert ".x.json" not in said, "the file beside its place"


def test_a_long_session_makes_a_small_file(file: Path) -> None:
    session = fresh(PHOTO)
    for number in range(300):
        session.add_point(number % 60, number % 40)
        if number % 5 == 4:
            session.commit()
    session.save(file)
    # 360 states of up to 61 objects; without sharing this would be over 5 MB.
    assert file.stat().st_size < 500_000


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(version=2),
        lambda c: c.update(format="labelme"),
        lambda c: c.pop("images"),
        lambda c: c.update(image="0" * 64),
        lambda c: c.update(mode="maybe"),
        lambda c: c.update(engine=3),
        lambda c: c["images"][0].update(present=99),
        lambda c: c["images"][0].update(present=-1),
        lambda c: c["images"][0].update(states=[]),
        lambda c: c["images"][0].update(path=7),
        lambda c: c["images"][0].update(size=[40]),
        lambda c: c["images"][0].update(size=[40, 10]),
        lambda c: c["images"][0]["states"][0].update(active=5),
        lambda c: c["images"][0]["states"][3].update(next_id=1),
        lambda c: c["images"][0]["states"][0].update(objects=[]),
        lambda c: c["images"][0]["states"][0].update(objects=[0, 0]),
        lambda c: c["images"][0]["states"][0].update(objects=[999]),
        lambda c: c["images"][0]["states"][0].update(objects=[-1]),
        lambda c: c["images"][0]["objects"][4].update(prompts=[]),
        lambda c: c["images"][0]["objects"][1].update(id=True),
        lambda c: c["images"][0]["objects"][1].update(name=" "),
        lambda c: c["images"][0]["objects"][1].update(colour="red; }"),
        lambda c: c["images"][0]["objects"][1].update(hidden=0),
        lambda c: c["images"][0]["objects"][1].update(choice=3),
        lambda c: c["images"][0]["objects"][1]["prompts"][0].update(x=float("nan")),
        lambda c: c["images"][0]["objects"][1]["prompts"][0].update(x=61),
        lambda c: c["images"][0]["objects"][1]["prompts"][0].update(x="1"),
        lambda c: c["images"][0]["objects"][1]["prompts"][0].update(z=1),
        lambda c: c["images"][0]["objects"][1].update(prompts=[BACKWARDS]),
        lambda c: c["images"][0].update(objects=None),
    ],
)
def test_a_file_that_was_not_written_by_a_session_is_refused(
    photo: Path, file: Path, change: Callable[[dict], Any]
) -> None:
    worked(photo).save(file)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    session = fresh(photo)
    before = session.state
    with pytest.raises(SessionFileError, match=r"work\.json.* cannot be loaded"):
        session.load(file)
    assert session.state is before


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xfe", b"null", b'{"format": 1}', b"[" * 10**5]
)
def test_other_json_and_other_bytes_are_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(SessionFileError, match="cannot be loaded"):
        fresh().load(file)


def test_a_missing_file_is_named_in_the_error(file: Path) -> None:
    with pytest.raises(SessionFileError, match=r"no file .*work\.json"):
        fresh().load(file)
