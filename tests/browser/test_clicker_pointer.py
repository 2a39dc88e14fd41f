"""The clicker under mouse, finger and keys, in a real JupyterLab."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import PATIENCE_S, ClickerPage

# A photo whose pixels say where they are: its red is x, its green y. Small ones are sent to
# the browser without loss.
PLACES = """
rows, columns = np.mgrid[:200, :200]
places = np.stack([columns, rows, np.full_like(rows, 90)], -1).astype(np.uint8)
clicker = sam2lab.Clicker(discs, places)
"""

CELLS = "jupyterapp.shell.currentWidget.content.widgets.length"


@pytest.fixture(autouse=True)
def fresh(clicker: ClickerPage) -> None:
    """Every test begins with a clicker of its own; the photo is as large as the canvas."""
    clicker.show()


@pytest.mark.parametrize("how", [{"button": "right"}, {"key": "Shift"}], ids=["right", "shift"])
def test_right_click_and_shift_say_not_this(clicker: ClickerPage, how: dict[str, str]) -> None:
    clicker.click(360, 270)
    clicker.click(420, 300, **how)
    assert clicker.prompts() == [(360, 270, True), (420, 300, False)]
    expect(clicker.page.locator(".lm-Menu")).to_have_count(0)


def test_the_mode_button_turns_left_and_right_round(clicker: ClickerPage) -> None:
    clicker.click(360, 270)
    clicker.tool("Remove").click()
    clicker.click(420, 300)
    clicker.click(300, 200, button="right")
    assert clicker.prompts() == [(360, 270, True), (420, 300, False), (300, 200, True)]
    clicker.lab.screenshot("clicker-points")


def test_a_click_on_a_point_takes_it_away(clicker: ClickerPage) -> None:
    clicker.click(360, 270)
    alone = clicker.pixel(360, 230)
    clicker.click(500, 100, button="right")
    clicker.click(505, 96)
    assert clicker.prompts() == [(360, 270, True)]
    assert clicker.pixel(360, 230) == alone


@pytest.mark.parametrize(
    ("start", "end"), [((200, 150), (500, 400)), ((500, 150), (200, 400)), ((500, 400), (200, 150))]
)
def test_a_drag_in_any_direction_draws_a_box(clicker: ClickerPage, start, end) -> None:
    clicker.drag(start, end)
    assert clicker.prompts() == [(200, 150, 501, 401)]


def test_two_clicks_draw_a_box_as_well(clicker: ClickerPage) -> None:
    clicker.tool("Box").click()
    clicker.click(200, 150)
    assert clicker.prompts() == []
    clicker.click(500, 400)
    ((x0, y0, x1, y1),) = clicker.prompts()
    assert (x0, y0) == (200, 150)
    assert (x1, y1) in [(500, 400), (501, 401)]


def test_what_is_seen_under_the_pointer_is_what_is_clicked(clicker: ClickerPage) -> None:
    clicker.show(PLACES)
    for _ in range(3):  # far enough that pixels are squares
        clicker.press("zoom-in")
    clicker.press("pan-right")
    clicker.press("pan-down")
    seen = []
    for x, y in [(97, 83), (401, 333), (479, 27)]:
        seen.append(clicker.pixel(x, y)[:2])
        clicker.click(x, y)
    clicker.lab.screenshot("clicker-zoomed")
    assert [(x, y) for x, y, _ in clicker.prompts()] == seen
    # Zoomed and moved indeed: else these are far apart from where they are.
    assert len({x for x, _ in seen}) == 3
    assert max(x for x, _ in seen) - min(x for x, _ in seen) < 100


def test_the_wheel_zooms_only_with_a_key_and_only_after_a_click(clicker: ClickerPage) -> None:
    scale = "round(clicker.screen.stage.view.scale, 6)"
    clicker.page.mouse.move(*clicker.on_page(300, 200))
    with clicker.holding("Control"):
        clicker.page.mouse.wheel(0, -300)
    clicker.page.wait_for_timeout(300)
    assert clicker.ask(scale) == 1
    clicker.click(300, 200)
    with clicker.changing(), clicker.holding("Control"):
        clicker.page.mouse.wheel(0, -300)
    assert clicker.ask(scale) > 1.5
    # What lay under the pointer lies there still.
    assert clicker.ask("clicker.screen.stage.view.pixel(300.5, 200.5)") == (300, 200)


def test_the_photo_is_moved_by_a_drag_with_a_key(clicker: ClickerPage) -> None:
    clicker.press("zoom-in")
    under = "clicker.screen.stage.view.pixel({}, {})"
    grasped = clicker.ask(under.format(300.5, 200.5))
    clicker.drag((300, 200), (400, 260), key="Control")
    assert clicker.ask(under.format(400.5, 260.5)) == grasped
    assert clicker.prompts() == []


def test_hover_shows_what_a_click_would_find_and_never_falls_behind(clicker: ClickerPage) -> None:
    plain = clicker.pixel(360, 230)
    # So slow that movements would pile up, if each waited for its preview.
    clicker.ask("setattr(discs.engine, 'pause_s', 0.15)")
    clicker.find("hover").locator("input").check()
    clicker.page.mouse.move(*clicker.on_page(100, 100))
    clicker.page.mouse.move(*clicker.on_page(360, 270), steps=100)
    give_up = time.monotonic() + PATIENCE_S
    while clicker.pixel(360, 230) == plain and time.monotonic() < give_up:
        clicker.page.wait_for_timeout(50)
    assert clicker.pixel(360, 230) != plain
    clicker.wait_for_rest()
    clicker.page.wait_for_timeout(500)
    assert clicker.prompts() == []
    clicker.lab.screenshot("clicker-hover")
    asked = clicker.ask("len(discs.engine.asked)")
    assert 0 < asked < 60, "as many previews as movements"
    clicker.ask("setattr(discs.engine, 'pause_s', 0)")

    with clicker.changing():
        clicker.page.mouse.move(5, 5)
    assert clicker.pixel(360, 230) == plain
    clicker.find("hover").locator("input").uncheck()
    clicker.page.mouse.move(*clicker.on_page(360, 270), steps=10)
    clicker.page.wait_for_timeout(300)
    assert clicker.ask("len(discs.engine.asked)") == asked


def test_a_finger_taps_points_and_boxes(clicker: ClickerPage) -> None:
    clicker.tap(360, 270)
    clicker.tool("Remove").click()
    clicker.tap(420, 300)
    assert clicker.prompts() == [(360, 270, True), (420, 300, False)]
    clicker.tool("Box").click()
    clicker.tap(200, 150)
    clicker.tap(500, 400)
    assert len(clicker.prompts()) == 3


def test_keys_press_buttons_and_the_others_are_jupyterlabs(clicker: ClickerPage) -> None:
    clicker.click(360, 270)
    with clicker.changing():
        clicker.find("undo").focus()
        clicker.page.keyboard.press("Enter")
    assert clicker.prompts() == []
    with clicker.changing():
        clicker.find("redo").focus()
        clicker.page.keyboard.press("Space")
    assert clicker.prompts() == [(360, 270, True)]
    # There is no more to redo; with the focus nowhere, the keys would be JupyterLab's.
    expect(clicker.canvas).to_be_focused()
    with clicker.changing():
        clicker.page.keyboard.press("u")
    assert clicker.prompts() == []
    with clicker.changing():
        clicker.page.keyboard.press("Shift+U")

    clicker.find("clear").focus()
    clicker.page.keyboard.press("Tab")
    expect(clicker.find("zoom-in")).to_be_focused()
    clicker.lab.screenshot("clicker-focus")
    # As with any widget in an output: B makes a cell, twice D takes it away.
    clicker.page.keyboard.press("b")
    clicker.page.wait_for_function(f"{CELLS} === 2")
    clicker.page.keyboard.press("d")
    clicker.page.keyboard.press("d")
    clicker.page.wait_for_function(f"{CELLS} === 1")


def test_a_clicked_photo_takes_keys_until_escape(clicker: ClickerPage) -> None:
    clicker.click(360, 270)
    for key, expected in [("u", 0), ("U", 1), ("u", 0), ("U", 1)]:
        with clicker.changing():
            clicker.page.keyboard.press(key)
        assert len(clicker.prompts()) == expected
    clicker.page.keyboard.press("n")
    expect(clicker.page.locator(".sam2lab-object")).to_have_count(2)
    # Whoever types here means the photo: no cell is made or cut.
    for key in "abx":
        clicker.page.keyboard.press(key)
    assert clicker.page.evaluate(CELLS) == 1
    assert clicker.page.evaluate("document.activeElement.matches('canvas.sam2lab-canvas')")
    clicker.page.keyboard.press("Escape")
    clicker.page.wait_for_function("!document.activeElement.matches('canvas.sam2lab-canvas')")
