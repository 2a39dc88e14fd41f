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

# White on the left, black on the right, and grey, which is hardest, below.
CONTRASTS = """
shades = np.full_like(photo, 128)
shades[:300, :360], shades[:300, 360:] = 255, 0
clicker = sam2lab.Clicker(discs, shades)
"""
ACTIVE_CELL = """(() => {
    const {widgets, activeCellIndex} = jupyterapp.shell.currentWidget.content;
    return [widgets.length, activeCellIndex];
})()"""


def test_buttons_shift_and_tools_decide_what_a_click_means(clicker: ClickerPage) -> None:
    clicker.show()
    clicker.click(360, 270)
    clicker.click(420, 300, key="Shift")
    clicker.click(300, 200, button="right")
    expect(clicker.page.locator(".lm-Menu")).to_have_count(0)
    clicker.tool("Remove").click()
    clicker.click(200, 350)
    clicker.click(500, 150, button="right")
    expected = [
        *((360, 270, True), (420, 300, False), (300, 200, False)),
        *((200, 350, False), (500, 150, True)),
    ]
    assert clicker.prompts() == expected
    clicker.lab.screenshot("clicker-points")
    clicker.click(425, 296)
    assert clicker.prompts() == [point for point in expected if point[:2] != (420, 300)]


def test_a_drag_or_two_clicks_draw_a_box(clicker: ClickerPage) -> None:
    clicker.show()
    clicker.drag((500, 400), (200, 150))
    assert clicker.prompts() == [(200, 150, 501, 401)]
    clicker.tool("Box").click()
    clicker.click(250, 160)
    assert clicker.prompts() == [(200, 150, 501, 401)]
    clicker.click(450, 380)
    ((x0, y0, x1, y1),) = clicker.prompts()
    assert (x0, y0) == (250, 160)
    assert (x1, y1) in [(450, 380), (451, 381)]


def test_a_click_hits_the_pixel_that_is_visible_under_the_pointer(clicker: ClickerPage) -> None:
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


def test_the_wheel_zooms_after_a_click_and_a_drag_moves_both_with_a_key(
    clicker: ClickerPage,
) -> None:
    clicker.show()
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
    under = "clicker.screen.stage.view.pixel({}, {})"
    grasped = clicker.ask(under.format(300.5, 200.5))
    assert grasped == (300, 200), "the wheel zooms around the pointer"
    clicker.drag((300, 200), (400, 260), key="Control")
    assert clicker.ask(under.format(400.5, 260.5)) == grasped
    assert clicker.prompts() == [(300, 200, True)]


def test_hover_shows_what_a_click_would_find_and_never_falls_behind(clicker: ClickerPage) -> None:
    clicker.show()
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
    clicker.show()
    clicker.tap(360, 270)
    clicker.tool("Remove").click()
    clicker.tap(420, 300)
    assert clicker.prompts() == [(360, 270, True), (420, 300, False)]
    clicker.tool("Box").click()
    clicker.tap(200, 150)
    clicker.tap(500, 400)
    assert len(clicker.prompts()) == 3


def test_keys_press_buttons_and_other_keys_go_to_jupyterlab(clicker: ClickerPage) -> None:
    clicker.show()
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
    clicker.show()
    clicker.click(360, 270)
    for key, expected in [("u", 0), ("U", 1), ("u", 0), ("U", 1)]:
        with clicker.changing():
            clicker.page.keyboard.press(key)
        assert len(clicker.prompts()) == expected
    clicker.page.keyboard.press("n")
    expect(clicker.page.locator(".sam2lab-object")).to_have_count(2)
    # These keys are for the photo: no cell is made or cut.
    for key in "abx":
        clicker.page.keyboard.press(key)
    assert clicker.page.evaluate(CELLS) == 1
    assert clicker.page.evaluate("document.activeElement.matches('canvas.sam2lab-canvas')")
    clicker.page.keyboard.press("Escape")
    clicker.page.wait_for_function("!document.activeElement.matches('canvas.sam2lab-canvas')")


@pytest.fixture
def by_keys(clicker: ClickerPage) -> ClickerPage:
    """Reach the photo, which is as large as its canvas, by Tab from the buttons above it."""
    clicker.page.mouse.move(5, 5)
    clicker.show(CONTRASTS)
    clicker.find("pan-down").focus()
    clicker.page.keyboard.press("Tab")
    expect(clicker.canvas).to_be_focused()
    return clicker


def press(clicker: ClickerPage, *keys: str) -> None:
    """Press keys that each change what the canvas shows."""
    for key in keys:
        with clicker.changing():
            clicker.page.keyboard.press(key)


def test_points_and_a_box_are_made_by_keys_alone(by_keys: ClickerPage) -> None:
    clicker = by_keys
    cells = clicker.page.evaluate(ACTIVE_CELL)
    press(clicker, "ArrowLeft", "ArrowLeft", "Shift+ArrowUp", "Enter")
    assert clicker.prompts() == [(356, 230, True)]
    assert clicker.ask("bool(clicker.masks[1][230, 356])")
    press(clicker, "Shift+ArrowRight", "Shift+Enter")
    press(clicker, "Shift+ArrowDown", "Shift+Space")
    assert clicker.prompts()[1:] == [(396, 230, False), (396, 270, False)]

    clicker.page.keyboard.press("n")
    expect(clicker.page.locator(".sam2lab-object")).to_have_count(2)
    press(clicker, "Shift+ArrowUp", "Shift+ArrowUp", "Shift+ArrowLeft", "e")
    expect(clicker.message).to_contain_text("one corner")
    press(clicker, *["Shift+ArrowLeft"] * 3, *["Shift+ArrowDown"] * 4)
    clicker.lab.screenshot("clicker-keys-box")
    press(clicker, "e")
    assert clicker.prompts() == [(236, 190, 357, 351)]
    assert clicker.ask("len(clicker.masks)") == 2
    clicker.lab.screenshot("clicker-keys")
    # None of them was one for JupyterLab, which runs a cell at Shift+Enter.
    assert clicker.page.evaluate(ACTIVE_CELL) == cells
    expect(clicker.canvas).to_be_focused()


def test_the_crosshair_is_visible_on_any_photo_until_the_mouse_moves(by_keys: ClickerPage) -> None:
    clicker = by_keys
    for shade, (x, y) in {"light": (200, 150), "dark": (520, 150), "grey": (360, 470)}.items():
        clicker.page.mouse.click(*clicker.on_page(x, y))
        clicker.wait_for_rest()
        press(clicker, "u")
        around = [(x + dx, y + dy) for dx in range(-5, 6) for dy in (-15, 15)]
        plain = clicker.pixels_at(around)
        press(clicker, "ArrowUp")
        line = [sum(colour) / 3 for colour in clicker.pixels_at(around)]
        assert max(line) - min(line) > 200, f"black and white side by side, on {shade}"
        assert clicker.ask("clicker.screen.stage.crosshair") == (x, y), "where the mouse clicked"
        clicker.lab.screenshot(f"clicker-crosshair-{shade}")
        with clicker.changing():
            clicker.page.mouse.move(*clicker.on_page(x + 50, y + 20))
        assert clicker.pixels_at(around) == plain


def test_escape_gives_up_a_box_and_keeps_the_crosshair(by_keys: ClickerPage) -> None:
    clicker = by_keys
    press(clicker, "ArrowUp", "e", "Shift+ArrowLeft", "Shift+ArrowUp", "Escape")
    assert clicker.prompts() == []
    press(clicker, "Enter")
    assert clicker.prompts() == [(320, 230, True)]
    clicker.page.keyboard.press("Escape")
    clicker.page.wait_for_function("!document.activeElement.matches('canvas.sam2lab-canvas')")


def test_zoomed_in_a_narrow_window_the_crosshair_stays_in_sight(by_keys: ClickerPage) -> None:
    clicker = by_keys
    clicker.page.set_viewport_size({"width": 800, "height": 1250})
    press(clicker, "ArrowUp", "+", "+", "+")
    left = clicker.ask("clicker.screen.stage.view.visible[0]")
    press(clicker, *["Shift+ArrowRight"] * 12)
    x, y = clicker.ask("clicker.screen.stage.view.to_canvas(*clicker.screen.stage.crosshair)")
    clicker.lab.screenshot("clicker-crosshair-narrow")
    clicker.page.set_viewport_size({"width": 1500, "height": 1250})
    width, height = clicker.size()
    assert 0 <= x < width
    assert 0 <= y < height
    assert clicker.ask("clicker.screen.stage.view.visible[0]") > left, "the photo has moved along"
