"""The clicker as a user meets it: in a real JupyterLab, with a real mouse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage
from tests.browser.conftest import wait_for_lab


def test_a_click_gives_a_mask_and_a_drag_a_box(clicker: ClickerPage, repository: Path) -> None:
    # A photo of 600 x 400, shown with 1.2 canvas pixels for each of its own.
    photo = repository / "data" / "photos" / "coffee.jpg"
    clicker.show(f"clicker = sam2lab.Clicker(discs, {str(photo)!r})")
    assert clicker.size() == (720, 480)
    # The wood is brown, the cup's rim nearly white.
    red, green, blue = clicker.pixel(40, 400)
    assert red > green > blue
    assert min(clicker.pixel(230, 130)) > 170
    expect(clicker.message).to_contain_text("Click on something")
    clicker.lab.screenshot("clicker-first")

    before = clicker.pixel(340, 300)
    clicker.click(360, 300)
    assert clicker.prompts() == [(300, 250, True)]
    assert clicker.ask("int(clicker.masks[1].sum())") > 0
    # The mask's orange over the photo.
    assert clicker.pixel(340, 300) == pytest.approx(
        [(a + b) / 2 for a, b in zip(before, (230, 159, 0), strict=True)], abs=2
    )
    assert clicker.pixel(360, 300) == (255, 255, 255), "the plus of the point"
    clicker.lab.screenshot("clicker-left")
    clicker.press("undo")
    assert clicker.prompts() == []
    assert clicker.pixel(340, 300) == before

    page = clicker.page
    with clicker.changing():
        page.mouse.move(*clicker.on_page(180, 60))
        page.mouse.down()
        page.wait_for_timeout(150)
        page.mouse.move(*clicker.on_page(480, 360), steps=8)
    assert clicker.prompts() == [], "a box is asked about at its end"
    with clicker.changing():
        page.mouse.up()
    # The pixels of the photo that the box touches belong to it.
    assert clicker.prompts() == [(150, 50, 401, 301)]
    clicker.lab.screenshot("clicker-box")


def test_one_click_has_three_candidates_to_choose_from(clicker: ClickerPage) -> None:
    clicker.show()
    # The discs of the second, third and fourth token: radii 45, 67.5 and 90 pixels across.
    clicker.click(360, 270)
    expect(clicker.page.locator(".sam2lab-candidate img")).to_have_count(3)
    scores = [clicker.find(f"candidate-{i}").inner_text() for i in range(3)]
    assert scores == ["0.20", "0.30", "✓ 0.40"]
    areas = clicker.ask("[int(mask.sum()) for mask in clicker.session.candidates]")
    assert clicker.ask("int(clicker.masks[1].sum())") == areas[2] > areas[1] > areas[0]

    clicker.press("candidate-0")
    assert clicker.ask("int(clicker.masks[1].sum())") == areas[0]
    expect(clicker.find("candidate-0")).to_have_text("✓ 0.20")
    clicker.lab.screenshot("clicker-candidates")

    clicker.click(380, 280)
    expect(clicker.find("candidate-0")).to_be_hidden()


def test_objects_are_named_hidden_reopened_and_deleted(clicker: ClickerPage) -> None:
    clicker.show()
    rows = clicker.page.locator(".sam2lab-object")
    empty = clicker.pixel(150, 150)
    clicker.click(150, 130)
    with clicker.changing():
        clicker.find("next").click()
    expect(rows).to_have_count(2)
    clicker.click(500, 400)

    name = rows.nth(0).locator(".sam2lab-object-name input")
    name.fill("the left one")
    name.press("Enter")
    wait_until(clicker, "clicker.objects[0].name == 'the left one'")
    colours = {clicker.pixel(150, 150), clicker.pixel(500, 420), empty}
    assert len(colours) == 3, "two objects look the same"
    clicker.lab.screenshot("clicker-objects")

    with clicker.changing():
        rows.nth(0).locator(".sam2lab-object-hide").click()
    assert clicker.pixel(150, 150) == empty
    with clicker.changing():
        rows.nth(0).locator(".sam2lab-object-hide").click()
    assert clicker.pixel(150, 150) != empty

    with clicker.changing():
        rows.nth(0).locator(".sam2lab-object-select").click()
    clicker.click(160, 140, button="right")
    assert clicker.prompts() == [(150, 130, True), (160, 140, False)]

    with clicker.changing():
        rows.nth(1).locator(".sam2lab-object-delete").click()
    expect(rows).to_have_count(1)
    assert clicker.ask("[item.name for item in clicker.objects]") == ["the left one"]
    clicker.press("undo")
    expect(rows).to_have_count(2)

    # By keyboard: the focus stays in the list when its last row goes.
    rows.nth(1).locator(".sam2lab-object-delete").focus()
    with clicker.changing():
        clicker.page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows.nth(0).locator(".sam2lab-object-select")).to_be_focused()


def test_screen_readers_have_a_name_for_what_shows_no_words(clicker: ClickerPage) -> None:
    clicker.show()
    for role, name in [
        ("button", "See more to the left"),
        ("button", "Go on clicking on object 1"),
        ("button", "Hide object 1"),
        ("button", "Delete object 1"),
        ("textbox", "Name of object 1"),
        ("button", "Upload a picture; files chosen: (0)"),
    ]:
        expect(clicker.page.get_by_role(role, name=name)).to_have_count(1)
    expect(clicker.canvas).to_have_accessible_name(re.compile("Photo to segment"))


def test_a_click_moves_nothing_beside_a_tall_photo(clicker: ClickerPage) -> None:
    clicker.show("clicker = sam2lab.Clicker(discs, photo.swapaxes(0, 1))")
    before = clicker.find("objects").bounding_box()
    clicker.click(100, 100)
    expect(clicker.find("candidate-0")).to_be_visible()
    assert clicker.find("objects").bounding_box() == before


def test_many_objects_scroll_in_their_list_which_comes_before_other_photos(
    clicker: ClickerPage,
) -> None:
    clicker.show()
    clicker.ask(
        "[clicker.session.add_point(30 + 70 * i, 100) or clicker.session.commit() "
        "for i in range(9)] and None"
    )
    rows = clicker.page.locator(".sam2lab-object")
    expect(rows).to_have_count(10)
    seen, row = clicker.find("objects").bounding_box(), rows.nth(9).bounding_box()
    assert seen["y"] < row["y"], "the active row is in sight"
    assert row["y"] + row["height"] <= seen["y"] + seen["height"] + 1, "except for a border"

    clicker.page.set_viewport_size({"width": 800, "height": 1250})
    tops = [clicker.find(name).bounding_box()["y"] for name in ("view", "objects", "below")]
    clicker.lab.screenshot("clicker-narrow")
    clicker.page.set_viewport_size({"width": 1500, "height": 1250})
    assert tops == sorted(tops)


def test_engines_are_switched_and_compared(clicker: ClickerPage, nano_bundle: Path) -> None:
    clicker.show(SWITCHABLE.format(bundle=str(nano_bundle)))
    engine = clicker.find("engine").locator("select")
    other = clicker.find("compare").locator("select")
    clicker.drag((200, 120), (560, 430))
    expect(clicker.status).to_contain_text("onnx · encode")
    onnx = clicker.ask("int(clicker.masks[1].sum())")

    engine.select_option("torch")
    expect(clicker.status).to_contain_text("torch · encode")
    assert clicker.prompts() == [(200, 120, 561, 431)]
    # The same weights: engines differ by rounding, which moves an edge by a pixel here or there.
    assert abs(clicker.ask("int(clicker.masks[1].sum())") - onnx) <= 0.001 * 540 * 720

    other.select_option("onnx")
    expect(clicker.find("disagreement")).to_contain_text("IoU")
    assert float(clicker.find("disagreement").inner_text().split()[1].rstrip(":.")) > 0.99
    clicker.lab.screenshot("clicker-agreement")

    with clicker.changing():
        other.select_option("discs")
    expect(clicker.find("disagreement")).to_contain_text("only discs")
    iou = clicker.ask("clicker.session.disagreement('torch', 'discs').iou")
    assert iou < 0.9
    assert f"{iou:.3f}" in clicker.find("disagreement").inner_text()
    clicker.lab.screenshot("clicker-disagreement")
    blue_or_orange = clicker.ask(
        "[[int(v) for v in np.argwhere(m)[m.sum() // 2][::-1]] for m in "
        "(lambda d: (d.only_a, d.only_b))(clicker.session.disagreement('torch', 'discs')) "
        "if m.any()]"
    )
    assert len({clicker.pixel(x, y) for x, y in blue_or_orange}) == len(blue_or_orange)

    with clicker.changing():
        other.select_option("nothing")
    expect(clicker.find("disagreement")).to_have_text("")
    clicker.press("undo")
    assert clicker.prompts() == []


def test_a_reload_of_the_page_keeps_the_view_even_while_the_kernel_draws(
    clicker: ClickerPage,
) -> None:
    # A page fetches every widget that the kernel has, those of earlier tests as well.
    clicker.lab.restart_kernel()
    clicker.show(DRAWING)
    clicker.click(360, 270)
    clicker.press("zoom-in")
    before = clicker.pixels_at(PROBES)
    assert len(set(before)) > 2
    clicker.page.evaluate("jupyterapp.commands.execute('docmanager:save')")
    clicker.ask("asyncio.ensure_future(draw(clicker.screen.stage)) and None")
    clicker.page.reload()
    wait_for_lab(clicker.page)
    clicker.wait_for_photo()
    clicker.canvas.scroll_into_view_if_needed()
    # A busy kernel takes a while to draw, and the canvas is empty until then.
    clicker.wait_for_pixels(PROBES, before)
    clicker.lab.screenshot("clicker-reloaded")
    clicker.click(420, 300)
    assert len(clicker.prompts()) == 2


def test_a_broken_picture_and_a_broken_engine_leave_words_and_a_clicker_that_works(
    clicker: ClickerPage, tmp_path: Path
) -> None:
    clicker.show(BREAKABLE)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    path = clicker.find("path").locator("input")
    path.fill(str(broken))
    path.press("Enter")
    expect(clicker.message).to_contain_text("broken.png")
    clicker.lab.screenshot("clicker-broken-picture")

    clicker.ask("vars(engine).update(broken=True)")
    clicker.page.mouse.click(*clicker.on_page(360, 270))
    expect(clicker.message).to_contain_text("the cable is out")
    expect(clicker.message).not_to_contain_text("broken.png")
    assert clicker.prompts() == []
    clicker.lab.screenshot("clicker-broken-engine")
    clicker.ask("vars(engine).update(broken=False)")
    clicker.click(360, 270)
    assert clicker.prompts() == [(360, 270, True)]
    expect(clicker.message).not_to_contain_text("the cable is out")


def wait_until(clicker: ClickerPage, condition: str) -> None:
    """Wait until a condition is true in the kernel."""
    for _ in range(100):
        if clicker.ask(condition):
            return
        clicker.page.wait_for_timeout(100)
    raise AssertionError(f"{condition}: not in ten seconds")


# In the disc, on its edge, beside it; none on a mark, whose edge is smooth.
PROBES = [(360, 300), (300, 200), (10, 10), (700, 500)]

# On one layer of the canvas, again and again, out of sight.
DRAWING = """
import asyncio

async def draw(stage):
    for i in range(400):
        stage._guides.corner = (-1000.0 - i, 0.0)
        stage._show()
        await asyncio.sleep(0.05)

clicker = sam2lab.Clicker(discs, photo)
"""

BREAKABLE = """
class Breakable(FakeEngine):
    broken = False
    def decode(self, features, prompts):
        if self.broken:
            raise OSError("the cable is out")
        return super().decode(features, prompts)

engine = Breakable((512, 512), key="breakable")
clicker = sam2lab.Clicker(sam2lab.Segmenter(engine), photo)
"""

# Nano twice, with the same random weights, and a quite different engine. The answer to a box
# means nothing, but it is the same on every engine.
SWITCHABLE = """
engines = {{
    "onnx": sam2lab.open_segmenter({bundle!r}),
    "torch": sam2lab.open_segmenter("nano", engine="torch", weights="random"),
    "discs": discs,
}}
clicker = sam2lab.Clicker(engines, photo)
"""
