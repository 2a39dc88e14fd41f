"""The clicker, used by a robot that sends what a browser would send."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
import threading
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
from PIL import Image

import sam2lab
from sam2lab.runtime.engines.protocol import Features, Float32
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.canvas.crosshair import CORNER
from sam2lab.widgets.clicker import Clicker
from sam2lab.widgets.panels.toolbar import ACTIONS
from sam2lab.widgets.session.prompts import Box, Point
from sam2lab.widgets.testing import Robot, send
from tests.blocking import run_without
from tests.runtime.fakes import Bolder, FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (50, 30, 3), dtype=np.uint8)


class Gated(FakeEngine):
    """Encodes once its gate is open; fails on demand."""

    def __init__(self, key: str = "gated") -> None:
        super().__init__(key=key)
        self.gate = threading.Event()
        self.broken = False

    def encode(self, pixels: Float32) -> Features:
        self.gate.wait(30)
        if self.broken:
            raise MemoryError("out of memory")
        return super().encode(pixels)


@pytest.fixture
def clicker() -> Clicker:
    engines = {
        "plain": Segmenter(FakeEngine((256, 384))),
        "bold": Segmenter(Bolder((256, 384), key="bold")),
    }
    clicker = Clicker(engines, [PHOTO, OTHER])
    clicker.wait()
    return clicker


@pytest.fixture
def robot(clicker: Clicker) -> Robot:
    return Robot(clicker)


@pytest.fixture
def gated() -> Gated:
    return Gated()


def message(clicker: Clicker) -> str:
    return clicker.screen.message.value


def test_a_click_is_a_point_at_that_pixel_and_a_mask_around_it(robot: Robot) -> None:
    robot.click(40, 25)
    clicker = robot.clicker
    assert clicker.prompts == (Point(40, 25),)
    assert list(clicker.masks) == [1]
    assert clicker.masks[1].shape == (60, 90)
    assert clicker.masks[1][25, 40]
    assert not clicker.masks[1][2, 2]


@pytest.mark.parametrize("how", [{"right": True}, {"shift": True}])
def test_right_click_and_shift_reverse_the_sign(robot: Robot, how: dict[str, bool]) -> None:
    robot.click(40, 25)
    robot.click(10, 10, **how)
    assert robot.clicker.prompts[1] == Point(10, 10, positive=False)
    robot.clicker.screen.toolbar.tool.value = "negative"
    robot.click(70, 40, **how)
    robot.click(5, 40)
    assert [p.positive for p in robot.clicker.prompts] == [True, False, True, False]


@pytest.mark.parametrize(
    ("start", "end"),
    [((20, 10), (50, 40)), ((50, 40), (20, 10)), ((20, 40), (50, 10)), ((50, 10), (20, 40))],
)
def test_a_drag_in_any_direction_is_a_box(
    robot: Robot, start: tuple[int, int], end: tuple[int, int]
) -> None:
    robot.drag(start, end)
    assert robot.clicker.prompts == (Box(20, 10, 51, 41),)


def test_with_the_box_tool_two_clicks_are_its_corners(robot: Robot) -> None:
    robot.clicker.screen.toolbar.tool.value = "box"
    robot.click(50, 40)
    assert robot.clicker.prompts == ()
    robot.click(20, 10)
    ((box,)) = robot.clicker.prompts
    assert (box.x0, box.y0) == (20, 10)
    assert 50 <= box.x1 <= 51


@pytest.mark.parametrize("again", [{}, {"right": True}])
def test_a_click_on_a_point_removes_it(robot: Robot, again: dict[str, bool]) -> None:
    robot.click(40, 25)
    robot.click(70, 50, right=True)
    robot.click(40, 25, **again)
    assert robot.clicker.prompts == (Point(70, 50, positive=False),)


def test_buttons_undo_redo_and_clear(robot: Robot) -> None:
    clicker = robot.clicker
    assert clicker.screen.toolbar.buttons["undo"].disabled
    robot.click(40, 25)
    robot.click(50, 30)
    robot.press("undo")
    assert len(clicker.prompts) == 1
    robot.press("redo")
    assert len(clicker.prompts) == 2
    robot.press("clear")
    assert clicker.prompts == ()
    assert clicker.screen.toolbar.buttons["clear"].disabled


def test_changes_can_be_observed(robot: Robot) -> None:
    seen: list[str] = []
    robot.clicker.observe(lambda change: seen.append(change["name"]), ["prompts", "objects"])
    robot.clicker.observe(lambda change: seen.append(repr(change["new"])), "masks")
    robot.click(40, 25)
    area = robot.clicker.session.area
    assert sorted(seen) == [f"LazyMasks(1: {area:,} px)", "objects", "prompts"]


def test_several_objects_each_with_name_colour_area_and_score(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(20, 20)
    robot.press("next")
    robot.click(70, 40)
    first, second = clicker.screen.objects.rows
    assert first.name.value == "object 1"
    assert first.colour.value != second.colour.value
    assert f"{clicker.session.answer(1).area:,} px" in first.figures.value
    assert "score 0.40" in second.figures.value
    assert list(clicker.masks) == [1, 2]

    first.name.value = "cup"
    second.colour.value = "#123456"
    assert [(o.name, o.colour) for o in clicker.objects][1] == ("object 2", "#123456")
    assert clicker.objects[0].name == "cup"
    send(first.select, {"event": "click"})
    robot.click(25, 30)
    assert len(clicker.objects[0].prompts) == 2
    send(second.hide, {"event": "click"})
    assert clicker.objects[1].hidden
    send(second.delete, {"event": "click"})
    assert [o.name for o in clicker.objects] == ["cup"]
    assert len(clicker.screen.objects.rows) == 1


def test_a_hidden_object_is_not_drawn(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(20, 20)
    robot.press("next")
    robot.click(70, 40)
    assert len(drawn(clicker).others) == 1
    send(clicker.screen.objects.rows[0].hide, {"event": "click"})
    assert drawn(clicker).others == ()
    send(clicker.screen.objects.rows[1].hide, {"event": "click"})
    assert (drawn(clicker).active, drawn(clicker).marks) == ((), ())


def test_a_name_or_message_is_text_not_html(robot: Robot) -> None:
    robot.clicker.screen.photo.path.value = "<b>nowhere</b>.png"
    assert "<b>" not in message(robot.clicker)
    assert "&lt;b&gt;nowhere" in message(robot.clicker)


def test_three_candidates_with_scores_the_best_chosen_until_another_is(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    buttons = clicker.screen.candidates.buttons
    assert [b.description for b in buttons] == ["0.20", "0.30", "✓ 0.40"]
    send(buttons[0], {"event": "click"})
    assert [b.description for b in buttons] == ["✓ 0.20", "0.30", "0.40"]
    assert clicker.masks[1].sum() == clicker.session.candidates[0].sum()
    for image in clicker.screen.candidates._images:
        assert Image.open(io.BytesIO(image.value)).size == (96, 64)
    robot.click(10, 10, right=True)
    assert clicker.screen.candidates._box.layout.display == "none"


def test_another_engine_answers_the_same_prompts(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    robot.press("next")
    robot.click(70, 40)
    before = {key: mask.sum() for key, mask in clicker.masks.items()}
    clicker.screen.engine.engine.value = "bold"
    clicker.wait()
    assert clicker.session.engine == "bold"
    assert all(clicker.masks[key].sum() > area for key, area in before.items())
    assert clicker.screen.status.value.startswith("bold · encode")
    robot.press("undo")
    assert clicker.prompts == (), "undo goes through a change of engine"


def test_the_disagreement_of_two_engines_is_painted_and_put_into_words(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    clicker.screen.engine.other.value = "bold"
    clicker.wait()
    found = clicker.session.disagreement("plain", "bold")
    assert f"IoU {found.iou:.3f}" in clicker.screen.engine.note.value
    assert f"only bold: {found.only_b.sum():,} px" in clicker.screen.engine.note.value
    _, only_plain, only_bold = drawn(clicker).active
    np.testing.assert_array_equal(only_plain[0].unpack(), found.only_a)
    np.testing.assert_array_equal(only_bold[0].unpack(), found.only_b)
    assert only_plain[1].colour != only_bold[1].colour
    clicker.screen.engine.other.value = "nothing"
    assert clicker.screen.engine.note.value == ""
    assert len(drawn(clicker).active) == 1


def test_opacity_and_outline_change_what_is_drawn(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    clicker.screen.display.opacity.value = 0.8
    assert drawn(clicker).active[0][1].opacity == pytest.approx(0.8)
    clicker.screen.display.style.value = "outline"
    assert drawn(clicker).active[0][1].opacity == 0


@pytest.mark.parametrize("size", [(20, 20), (1500, 40), (40, 1500), (1200, 1600)])
def test_zoomed_and_moved_a_click_still_lands_on_its_pixel(size: tuple[int, int]) -> None:
    clicker = Clicker(Segmenter(FakeEngine()), np.zeros((*size, 3), np.uint8))
    robot, whole = Robot(clicker), clicker.screen.stage.view
    for name in ("zoom-in", "zoom-in", "pan-right", "pan-down", "zoom-in", "pan-up", "zoom-out"):
        robot.press(name)
    x0, y0, x1, y1 = clicker.screen.stage.view.visible
    pixel = (x0 + x1) // 2, (y0 + y1) // 2
    robot.click(*pixel)
    assert clicker.prompts == (Point(*pixel),)
    robot.press("fit")
    assert clicker.screen.stage.view == whole


def test_wheel_and_a_key_zoom_at_the_pointer_and_a_drag_with_it_moves(robot: Robot) -> None:
    stage = robot.clicker.screen.stage
    fitted, before = stage.view, stage.view.to_canvas(60.5, 20.5)
    robot.wheel(60, 20, -300, ctrl=True)
    assert stage.view.scale == pytest.approx(2 * fitted.scale)
    assert stage.view.to_canvas(60.5, 20.5) == pytest.approx(before)
    robot.drag((60, 20), (50, 25), alt=True)
    assert robot.clicker.prompts == ()
    assert stage.view.to_canvas(60.5, 20.5) != pytest.approx(before)


def test_a_preview_is_shown_under_the_pointer_when_asked_for(robot: Robot) -> None:
    clicker = robot.clicker
    robot.hover(40, 25)
    assert drawn(clicker).active == ()
    clicker.screen.display.hover.value = True
    robot.hover(40, 25)
    ((packed, _),) = drawn(clicker).active
    np.testing.assert_array_equal(packed.unpack(), clicker.session.preview(40, 25))
    assert clicker.prompts == ()
    robot.leave()
    assert drawn(clicker).active == ()


def test_the_box_tool_has_no_preview_as_its_click_finds_nothing_yet(robot: Robot) -> None:
    robot.clicker.screen.display.hover.value = True
    robot.clicker.screen.toolbar.tool.value = "box"
    robot.hover(40, 25)
    assert drawn(robot.clicker).active == ()


def test_only_the_last_of_many_quick_movements_is_previewed() -> None:
    engine = FakeEngine()

    async def sweep() -> None:
        clicker = Clicker(Segmenter(engine), PHOTO)
        robot = Robot(clicker)
        clicker.wait()
        clicker.screen.display.hover.value = True
        for x in range(80):
            robot.hover(x, 30)
        await asyncio.sleep(0.1)

    asyncio.run(sweep())
    assert len(engine.asked) == 1
    assert engine.asked[0].point_coords[0, 0, 0] == pytest.approx(79.5 * 96 / 90, abs=1.1)


def test_photos_are_chosen_from_the_list_and_keep_their_objects(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    clicker.screen.photo.images.value = 1
    clicker.wait()
    assert clicker.session.image is not None
    assert clicker.session.image.size == (50, 30)
    assert (clicker.prompts, dict(clicker.masks)) == ((), {})
    robot.click(3, 4)
    clicker.screen.photo.images.value = 0
    clicker.wait()
    assert clicker.prompts == (Point(40, 25),)
    assert clicker.masks[1].shape == (60, 90)


def test_a_photo_is_opened_by_path_and_by_upload(robot: Robot, tmp_path: Path) -> None:
    clicker = robot.clicker
    file = tmp_path / "leaf.png"
    Image.fromarray(OTHER).save(file)
    clicker.screen.photo.path.value = str(file)
    clicker.wait()
    assert clicker.session.image is not None
    assert clicker.session.image.name == "leaf.png"
    uploaded = Image.fromarray(PHOTO[:40])
    buffer = io.BytesIO()
    uploaded.save(buffer, "PNG")
    clicker.screen.photo.upload.value = (
        {
            "name": "up.png",
            "type": "image/png",
            "size": 1,
            "content": memoryview(buffer.getvalue()),
            "last_modified": datetime.now(UTC),
        },
    )
    clicker.wait()
    assert (clicker.session.image.name, clicker.session.image.size) == ("up.png", (40, 90))
    names = [name for name, _ in clicker.screen.photo.images.options]
    assert names[-2:] == ["leaf.png", "up.png"]


def test_a_picture_that_cannot_be_read_leaves_the_clicker_usable(
    robot: Robot, tmp_path: Path
) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    clicker.screen.photo.path.value = str(broken)
    assert "Pillow knows no picture" in message(clicker)
    assert clicker.prompts == (Point(40, 25),)
    robot.click(50, 30)
    assert len(clicker.prompts) == 2
    assert "error" not in message(clicker)


def test_an_engine_that_fails_at_a_click_is_reported_and_changes_nothing(robot: Robot) -> None:
    clicker = robot.clicker
    clicker.screen.engine.engine.value = "bold"
    clicker.wait()
    bold = clicker.session._engines.segmenters["bold"].engine
    bold.broken = True
    robot.click(40, 25)
    assert "the line is dead" in message(clicker)
    assert clicker.prompts == ()
    bold.broken = False
    robot.click(40, 25)
    assert len(clicker.prompts) == 1


def test_an_engine_that_fails_while_a_session_loads_is_reported(tmp_path: Path) -> None:
    engine = Bolder()
    clicker = Clicker({"bold": Segmenter(engine)}, PHOTO)
    Robot(clicker).click(40, 25)
    clicker.session.save(tmp_path / "work.json", with_images=True)
    engine.broken = True
    other = Clicker({"bold": Segmenter(engine)})
    other.session.load(tmp_path / "work.json")
    other.wait()
    assert "the line is dead" in message(other)
    assert (other.prompts, dict(other.masks)) == ((Point(40, 25),), {})
    engine.broken = False
    other.refresh()
    assert list(other.masks) == [1]


def test_clicks_while_the_photo_is_encoded_are_shown_and_answered_in_order(gated: Gated) -> None:
    clicker = Clicker(Segmenter(gated), PHOTO)
    robot = Robot(clicker)
    clicker.wait = lambda: None  # the robot must not wait for this engine
    assert clicker.screen.progress.widget.layout.display == "flex"
    robot.click(40, 25)
    robot.click(70, 50, right=True)
    assert clicker.prompts == ()
    assert [mark.kind for mark in drawn(clicker).marks] == ["positive", "negative"]
    assert all(mark.is_pending for mark in drawn(clicker).marks)
    assert "2 prompts" in clicker.screen.progress.bar.value
    gated.gate.set()
    Clicker.wait(clicker)
    assert clicker.prompts == (Point(40, 25), Point(70, 50, positive=False))
    assert not any(mark.is_pending for mark in drawn(clicker).marks)
    assert clicker.screen.progress.widget.layout.display == "none"


def test_the_kernel_stays_free_while_a_photo_is_encoded(
    gated: Gated,
) -> None:
    async def work() -> None:
        clicker = Clicker(Segmenter(gated), PHOTO)
        robot = Robot(clicker)
        clicker.wait = lambda: None
        robot.click(40, 25)
        await asyncio.sleep(0.05)
        assert clicker.prompts == ()
        gated.gate.set()
        for _ in range(200):
            await asyncio.sleep(0.01)
            if clicker.prompts:
                break
        assert clicker.masks[1].any(), "the event loop finished it without wait"

    asyncio.run(work())


def test_waiting_can_be_stopped_and_a_click_tries_again(gated: Gated) -> None:
    clicker = Clicker(Segmenter(gated), PHOTO)
    robot = Robot(clicker)
    clicker.wait = lambda: None
    robot.click(40, 25)
    clicker.screen.progress.stop.click()
    assert clicker.screen.progress.widget.layout.display == "none"
    assert drawn(clicker).marks == ()
    gated.gate.set()
    robot.click(50, 30)
    Clicker.wait(clicker)
    assert clicker.prompts == (Point(50, 30),)


def test_an_engine_that_cannot_encode_is_reported_and_the_next_click_tries_again(
    gated: Gated,
) -> None:
    gated.broken = True
    gated.gate.set()
    clicker = Clicker(Segmenter(gated), PHOTO)
    robot = Robot(clicker)
    clicker.wait()
    assert "out of memory" in message(clicker)
    gated.broken = False
    robot.click(40, 25)
    assert len(clicker.prompts) == 1


def test_an_engine_that_cannot_encode_leaves_the_one_before_in_use(gated: Gated) -> None:
    gated.broken = True
    gated.gate.set()
    clicker = Clicker({"plain": Segmenter(FakeEngine()), "bad": Segmenter(gated)}, PHOTO)
    robot = Robot(clicker)
    clicker.screen.engine.engine.value = "bad"
    clicker.wait()
    assert "out of memory" in message(clicker)
    assert (clicker.session.engine, clicker.screen.engine.engine.value) == ("plain", "plain")
    robot.click(40, 25)
    assert len(clicker.prompts) == 1


def test_without_a_photo_it_asks_for_one() -> None:
    clicker = Clicker(Segmenter(FakeEngine()))
    send(clicker.screen.toolbar.buttons["undo"], {"event": "click"})
    assert "no photo yet" in message(clicker)
    clicker.session.open_image(PHOTO)
    clicker.wait()
    Robot(clicker).click(4, 5)
    assert clicker.prompts == (Point(4, 5),)


def test_a_first_photo_that_cannot_be_read_leaves_the_others_usable() -> None:
    clicker = Clicker(Segmenter(FakeEngine()), ["nowhere.jpg", PHOTO])
    assert "nowhere.jpg" in message(clicker)
    assert clicker.screen.toolbar.buttons["undo"].disabled
    assert clicker.screen.progress.widget.layout.display == "none"
    clicker.screen.photo.images.value = 1
    clicker.wait()
    Robot(clicker).click(4, 5)
    assert clicker.prompts == (Point(4, 5),)


def test_actions_by_call_are_shown_and_a_saved_session_comes_back(
    robot: Robot, tmp_path: Path
) -> None:
    clicker = robot.clicker
    clicker.session.add_point(40, 25)
    assert clicker.prompts == (Point(40, 25),)
    assert len(drawn(clicker).active) == 1
    clicker.session.save(tmp_path / "work.json", with_images=True)
    robot.press("clear")
    other = Clicker({"plain": Segmenter(FakeEngine())})
    Robot(other)
    other.session.load(tmp_path / "work.json")
    other.wait()
    assert other.prompts == (Point(40, 25),)
    assert len(drawn(other).active) == 1
    assert drawn(other).photo.shape == PHOTO.shape


def test_a_take_away_file_is_offered_as_a_link_until_the_objects_change(robot: Robot) -> None:
    clicker = robot.clicker
    send(clicker.screen.take_away.make, {"event": "click"})
    assert "no object" in message(clicker)
    robot.click(40, 25)
    clicker.screen.take_away.format.value = "coco_rle"
    send(clicker.screen.take_away.make, {"event": "click"})
    link = clicker.screen.take_away.link.value
    content = json.loads(base64.b64decode(link.split("base64,")[1].split('"')[0]))
    assert content["annotations"][0]["area"] == clicker.masks[1].sum()
    assert 'download="' in link
    robot.click(50, 30)
    assert clicker.screen.take_away.link.value == ""


def test_several_files_come_as_one_archive(robot: Robot) -> None:
    robot.click(40, 25)
    robot.press("next")
    robot.click(70, 40)
    clicker = robot.clicker
    send(clicker.screen.take_away.make, {"event": "click"})
    link = clicker.screen.take_away.link.value
    content = base64.b64decode(link.split("base64,")[1].split('"')[0])
    assert len(zipfile.ZipFile(io.BytesIO(content)).namelist()) == 2


def test_keys_do_what_their_buttons_do(robot: Robot) -> None:
    clicker = robot.clicker
    robot.click(40, 25)
    robot.key("u")
    assert clicker.prompts == ()
    robot.key("U", shift=True)
    assert len(clicker.prompts) == 1
    robot.key("n")
    assert len(clicker.objects) == 2
    whole = clicker.screen.stage.view
    robot.key("+")
    assert clicker.screen.stage.view != whole
    robot.key("w")
    assert clicker.screen.stage.view == whole
    robot.key("x")
    assert len(clicker.objects) == 2


def test_tab_leaves_the_photo_which_otherwise_keeps_every_key(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    focused: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "focus", lambda self: focused.append(self))
    robot.key("Tab")
    robot.key("Tab", shift=True)
    clicker = robot.clicker
    select, buttons = clicker.screen.objects.rows[0].select, clicker.screen.toolbar.buttons
    assert focused == [select, buttons["pan-down"]], "there is nothing to go on from yet"
    robot.click(40, 25)
    focused.clear()
    robot.key("Tab", shift=True)
    robot.key("Tab")
    assert focused == [buttons["next"], clicker.screen.candidates.buttons[0]]


def test_without_a_photo_tab_goes_on_to_the_upload(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clicker = Clicker(Segmenter(FakeEngine()))
    assert clicker.screen.candidates._box.layout.display == "none"
    focused: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "focus", lambda self: focused.append(self))
    Robot(clicker).key("Tab")
    assert focused == [clicker.screen.photo.upload]


def test_the_focus_goes_to_the_last_row_when_a_row_goes(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = three_objects(robot)
    focused: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "focus", lambda self: focused.append(self))
    send(rows[1].delete, {"event": "click"})
    assert focused == [], "the next object has moved up into that row"
    send(rows[1].delete, {"event": "click"})
    assert focused == [rows[0].select]


def test_the_focus_goes_to_the_last_row_when_an_empty_object_is_dropped(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = three_objects(robot)
    robot.press("clear")
    focused: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "focus", lambda self: focused.append(self))
    send(rows[2].select, {"event": "click"})
    assert [item.id for item in robot.clicker.objects] == [2, 3]
    assert focused == [rows[1].select]


def test_the_focus_goes_to_the_photo_when_a_button_is_disabled(
    robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.click(40, 25)
    robot.click(50, 30)
    focused: list[Any] = []
    monkeypatch.setattr(ipywidgets.DOMWidget, "focus", lambda self: focused.append(self))
    robot.press("undo")
    assert focused == [], "there is more to undo"
    robot.press("redo")
    assert focused == [robot.clicker.screen.stage.layers.canvas]


def test_jupyterlab_uses_none_of_our_keys_in_a_notebook() -> None:
    schemas = Path(sys.prefix, "share", "jupyter", "lab", "schemas").rglob("*.json")
    taken = set()
    for schema in schemas:
        for shortcut in json.loads(schema.read_text()).get("jupyter.lab.shortcuts", ()):
            if "commandMode" in shortcut["selector"] or shortcut["selector"] == "body":
                taken |= {(shortcut.get("keys") or [""])[0]}
    assert {"A", "Z", "Shift Z", "X"} <= taken, "the schemas were found"
    ours = {CORNER, *(key for action in ACTIONS for key in action.keys)}
    as_they_say = {f"Shift {key}" if key.isupper() else key.upper() for key in ours}
    assert not as_they_say & taken


def test_every_control_has_words_for_screen_readers(clicker: Clicker) -> None:
    def controls(widget: Any) -> Any:
        yield widget
        for child in getattr(widget, "children", ()):
            yield from controls(child)

    Robot(clicker).click(40, 25)
    speechless = [
        widget
        for widget in controls(clicker)
        if isinstance(widget, (ipywidgets.Button, ipywidgets.ValueWidget))
        and not isinstance(widget, (ipywidgets.HTML, ipywidgets.Image))
        and not (widget.tooltip or getattr(widget, "tooltips", ()))
    ]
    assert speechless == []


def test_two_hundred_clicks_leave_no_more_widgets_than_two(robot: Robot) -> None:
    def clicks(count: int) -> int:
        for i in range(count):
            robot.click(5 + i % 70, 5 + i % 40)
            if i % 5 == 4:
                robot.press("clear")
        return len(ipywidgets.widgets.widget._instances)

    assert clicks(10) == clicks(200)


@pytest.mark.parametrize("size", [(10, 700), 200, (200,), (200, 300, 3), "ab", None])
def test_a_wrong_size_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=r"size is.*height, width"):
        Clicker(Segmenter(FakeEngine()), PHOTO, size=size)


WITHOUT_WIDGETS = """
import sam2lab
sam2lab.Segmenter
try:
    sam2lab.Clicker
except ModuleNotFoundError as error:
    print(error)
"""


def test_without_widgets_the_rest_of_the_package_works_and_the_clicker_says_what_is_missing() -> (
    None
):
    done = run_without(["ipywidgets", "ipycanvas", "ipyevents"], WITHOUT_WIDGETS)
    assert "sam2lab[lab]" in done.stdout, done.stderr
    assert sam2lab.Clicker is Clicker


def three_objects(robot: Robot) -> Any:
    """Click three objects, make the first active, and return their rows."""
    for x in (20, 40, 60):
        robot.click(x, 30)
        robot.press("next")
    rows = robot.clicker.screen.objects.rows
    send(rows[0].select, {"event": "click"})
    return rows


def drawn(clicker: Clicker) -> Any:
    """Return the last drawing of the stage."""
    return clicker.screen.stage._drawing
