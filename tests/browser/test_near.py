"""The clicker that answers in the browser, while its kernel is far away or silent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.clicking import ClickerPage
from tests.browser.conftest import new_context, one_cell, open_in_lab
from tests.browser.slow_line import SlowLine
from tests.browser.test_clicker import wait_until
from tests.conftest import JupyterServer

# Each way, so that no measurement of the round trip is shorter than twice this.
DELAY_S = 0.075

NANO = """
nano = sam2lab.open_segmenter("nano")
clicker = sam2lab.Clicker(nano, {photo!r})
"""
# The pictures stay in the page: to bring one out takes seconds.
KEEP = """
(canvas, name) => {
    const {width, height} = canvas;
    const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
    window.pictures = {...window.pictures, [name]: data};
}
"""
DIFFERING = """
([a, b]) => {
    const [one, other] = [window.pictures[a], window.pictures[b]];
    let count = 0;
    for (let i = 0; i < one.length; i += 4) {
        count += [0, 1, 2].some(j => Math.abs(one[i + j] - other[i + j]) > 2);
    }
    return count;
}
"""


@pytest.fixture(scope="module")
def line(jupyter: JupyterServer) -> Iterator[SlowLine]:
    line = SlowLine(jupyter.port)
    yield line
    line.close()


@pytest.fixture(scope="module")
def page(browser: Browser, jupyter: JupyterServer, line: SlowLine) -> Iterator[ClickerPage]:
    """A page whose server is at the other end of the line."""
    one_cell(jupyter.root / "far.ipynb")
    context = new_context(browser)
    lab = open_in_lab(context.new_page(), replace(jupyter, port=line.port), "far.ipynb")
    line.delay_s = DELAY_S
    yield ClickerPage(lab)
    context.close()


@pytest.fixture
def far(page: ClickerPage, line: SlowLine, repository: Path) -> Iterator[ClickerPage]:
    """A clicker with nano and a photo of coffee, whose canvas has 720 x 480 pixels."""
    page.show(NANO.format(photo=str(repository / "data" / "photos" / "coffee.jpg")))
    yield page
    line.release()


# What a pixel of the canvas shows, without repetitions, until `seen` is taken.
WATCH = """
(canvas, [x, y]) => {
    window.seen = [];
    const look = () => {
        const shown = canvas.getContext("2d").getImageData(x, y, 1, 1).data.join();
        if (shown !== window.seen.at(-1)) window.seen.push(shown);
        if (window.isWatching) requestAnimationFrame(look);
    };
    window.isWatching = true;
    look();
}
"""


def keep(clicker: ClickerPage, name: str) -> None:
    """Keep what the canvas shows now under a name."""
    clicker.canvas.evaluate(KEEP, name)


def differing(clicker: ClickerPage, a: str, b: str) -> int:
    """How many pixels differ between two kept pictures, by more than rounding."""
    return clicker.page.evaluate(DIFFERING, [a, b])


def has_heard(clicker: ClickerPage) -> bool:
    """Whether the kernel's answer has reached the page."""
    return "px" in clicker.find("object-figures").inner_text()


def test_the_mask_is_there_before_the_kernels_answer_and_stays_the_same(
    far: ClickerPage, line: SlowLine
) -> None:
    expect(far.status).to_contain_text("answers in the browser")
    keep(far, "empty")
    line.hold()
    far.click(200, 300)
    keep(far, "ours")
    assert not has_heard(far)
    assert differing(far, "empty", "ours") > 5_000
    far.lab.screenshot("near-browser")
    line.release()
    expect(far.find("object-figures")).to_contain_text("px")
    far.wait_for_rest()
    far.lab.screenshot("near-kernel")
    # The features have travelled at half precision: pixels along an edge may differ.
    keep(far, "kernel's")
    assert differing(far, "ours", "kernel's") < 100
    assert far.prompts() == [(167, 250, True)]
    assert far.ask(
        "bool((nano.segment_images(clicker.session.photo, point_coordinates=[[167, 250]], "
        "point_labels=[1])[0].best == clicker.masks[1]).all())"
    )


def test_several_clicks_are_answered_while_the_kernel_is_silent(
    far: ClickerPage, line: SlowLine
) -> None:
    expect(far.status).to_contain_text("answers in the browser")
    line.hold()
    far.click(360, 300)
    far.click(420, 330, button="right")
    far.click(250, 200, key="Shift")
    with far.changing():
        far.page.mouse.click(*far.on_page(421, 331))
    far.drag((120, 20), (590, 460))
    keep(far, "ours")
    far.lab.screenshot("near-several")
    assert not has_heard(far)
    line.release()
    expect(far.find("object-figures")).to_contain_text("px")
    far.wait_for_rest()
    assert far.prompts() == [(300, 250, True), (208, 167, False), (100, 17, 493, 384)]
    far.lab.screenshot("near-several-kernel")
    # Refining carries rounding on, and a dash of the box may begin elsewhere.
    keep(far, "kernel's")
    assert differing(far, "ours", "kernel's") < 500

    # What the kernel takes back goes.
    for _ in range(5):
        far.press("undo")
    assert far.prompts() == []


def test_no_mask_comes_and_goes_while_clicks_follow_each_other(far: ClickerPage) -> None:
    expect(far.status).to_contain_text("answers in the browser")
    far.canvas.evaluate(WATCH, [360, 360])
    for x, y in [(360, 300), (340, 400), (420, 350)]:
        far.page.mouse.click(*far.on_page(x, y))
        # The answer to the last click comes while that to the one before is on its way.
        far.page.wait_for_timeout(1000 * DELAY_S)
    expect(far.find("object-figures")).to_contain_text("px")
    wait_until(far, "len(clicker.prompts) == 3")
    far.wait_for_rest()
    far.lab.screenshot("near-quick")
    empty, mask = far.page.evaluate("() => { window.isWatching = false; return window.seen; }")
    assert empty != mask


def test_two_clicks_draw_a_box_in_the_browser_and_the_kernel_alone_draws_nothing(
    far: ClickerPage, line: SlowLine
) -> None:
    expect(far.status).to_contain_text("answers in the browser")
    # The program and the decoder were fetched for the first test.
    assert far.page.evaluate("caches.open('sam2lab').then(s => s.keys()).then(k => k.length)") == 2
    far.tool("Box").click()
    far.wait_for_rest()
    line.hold()
    far.page.mouse.click(*far.on_page(120, 20))
    far.click(590, 460)
    assert not has_heard(far)
    line.release()
    expect(far.find("object-figures")).to_contain_text("px")
    far.press("undo")

    far.find("answers").locator("select").select_option("in the kernel")
    expect(far.status).not_to_contain_text("in the browser")
    far.tool("Add").click()
    far.wait_for_rest()
    line.hold()
    keep(far, "before")
    far.page.mouse.click(*far.on_page(360, 300))
    far.page.wait_for_timeout(500)
    keep(far, "after")
    assert differing(far, "before", "after") == 0
    line.release()
    expect(far.find("object-figures")).to_contain_text("px")


def test_where_the_browser_refuses_the_kernel_answers(page: ClickerPage, far: ClickerPage) -> None:
    page.page.evaluate(
        "() => { window.Worker = function () { throw new Error('workers are forbidden'); }; }"
    )
    page.show("clicker = sam2lab.Clicker(nano, clicker.session.photo)")
    expect(page.status).to_contain_text("the browser cannot: workers are forbidden")
    page.click(360, 300)
    assert len(page.prompts()) == 1
    page.lab.screenshot("near-refused")
