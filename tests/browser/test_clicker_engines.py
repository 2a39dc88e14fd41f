"""Engines are switched and compared in a real JupyterLab."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.clicking import ClickerPage

# A box of random weights means nothing, but the same on every engine.
SWITCHABLE = """
engines = {{
    "onnx": sam2lab.open_segmenter({bundle!r}),
    "torch": sam2lab.open_segmenter("nano", engine="torch", weights="random"),
    "discs": discs,
}}
clicker = sam2lab.Clicker(engines, photo)
"""


@pytest.fixture
def switchable(clicker: ClickerPage, nano_bundle: Path) -> ClickerPage:
    """A clicker with the same nano on two engines, and with a quite different engine."""
    clicker.show(SWITCHABLE.format(bundle=str(nano_bundle)))
    return clicker


def test_engines_are_switched_and_compared(switchable: ClickerPage) -> None:
    clicker = switchable
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
