"""The clicker used by keys alone, without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage

# White on the left, black on the right, and grey, which is hardest, below.
CONTRASTS = """
shades = np.full_like(photo, 128)
shades[:300, :360], shades[:300, 360:] = 255, 0
clicker = sam2lab.Clicker(discs, shades)
"""
CELLS = """(() => {
    const {widgets, activeCellIndex} = jupyterapp.shell.currentWidget.content;
    return [widgets.length, activeCellIndex];
})()"""


@pytest.fixture(autouse=True)
def reached(clicker: ClickerPage) -> None:
    """Reach the photo, which is as large as its canvas, by Tab from the buttons above it."""
    clicker.page.mouse.move(5, 5)
    clicker.show(CONTRASTS)
    clicker.find("pan-down").focus()
    clicker.page.keyboard.press("Tab")
    expect(clicker.canvas).to_be_focused()


def press(clicker: ClickerPage, *keys: str) -> None:
    """Press keys that each change what the canvas shows."""
    for key in keys:
        with clicker.changing():
            clicker.page.keyboard.press(key)


def test_points_and_a_box_are_made_by_keys_alone(clicker: ClickerPage) -> None:
    cells = clicker.page.evaluate(CELLS)
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
    assert clicker.page.evaluate(CELLS) == cells
    expect(clicker.canvas).to_be_focused()


def test_the_crosshair_is_visible_on_any_photo_until_the_mouse_moves(clicker: ClickerPage) -> None:
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


def test_escape_gives_up_a_box_and_keeps_the_crosshair(clicker: ClickerPage) -> None:
    press(clicker, "ArrowUp", "e", "Shift+ArrowLeft", "Shift+ArrowUp", "Escape")
    assert clicker.prompts() == []
    press(clicker, "Enter")
    assert clicker.prompts() == [(320, 230, True)]
    clicker.page.keyboard.press("Escape")
    clicker.page.wait_for_function("!document.activeElement.matches('canvas.sam2lab-canvas')")


def test_zoomed_in_a_narrow_window_the_crosshair_stays_in_sight(clicker: ClickerPage) -> None:
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
