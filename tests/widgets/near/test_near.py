"""What the kernel tells and sends to a browser that answers clicks."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import sam2lab
from sam2lab.runtime.engines.protocol import FEATURES
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.clicker import Clicker
from sam2lab.widgets.near.question import bundle_of
from sam2lab.widgets.near.widget import Near, Where
from sam2lab.widgets.testing import Robot, send
from tests.runtime.fakes import FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
NOTHING = {"want": "nothing"}


@pytest.fixture(scope="module")
def nano() -> Segmenter:
    return sam2lab.open_segmenter("nano")


@pytest.fixture
def clicker(nano: Segmenter) -> Clicker:
    clicker = Clicker({"nano": nano, "fake": Segmenter(FakeEngine())}, PHOTO)
    clicker.wait()
    return clicker


class Browser:
    """Asks as near.js does."""

    def __init__(self, clicker: Clicker) -> None:
        self.near: Near = clicker._controller.near
        self._replies: list[Any] = []
        self.near.widget.send = lambda *reply: self._replies.append(reply)
        self.questions: list[dict[str, Any]] = []
        self.near.widget.observe(lambda change: self.questions.append(change["new"]), "question")

    @property
    def question(self) -> dict[str, Any]:
        return dict(self.near.widget.question)

    def ask(self, **content: Any) -> tuple[dict[str, Any], list[bytes]]:
        send(self.near.widget, {"ask": 7, **content})
        content, buffers = self._replies.pop()
        assert content.pop("reply") == 7
        return content, buffers

    def fetch(self, file: dict[str, Any]) -> bytes:
        parts = [
            self.ask(want="part", name=file["name"], number=number)[1][0]
            for number in range(file["parts"])
        ]
        return b"".join(parts)


@pytest.fixture
def browser(clicker: Clicker) -> Browser:
    return Browser(clicker)


def test_the_model_arrives_in_parts_under_its_digests(browser: Browser, nano: Segmenter) -> None:
    reply, _ = browser.ask(want="model")
    files = {file["name"]: file for file in reply["files"]}
    assert set(files) == {"page.js", "worker.js", "wasm", "decoder"}
    assert reply["info"] == {"input_size": (512, 512), "stride": 16}
    for name, unpacked in {"wasm": gzip.decompress, "decoder": bytes}.items():
        content = unpacked(browser.fetch(files[name]))
        assert hashlib.sha256(content).hexdigest() == files[name]["digest"]
    assert b"export const { Answering }" in browser.fetch(files["page.js"])


def test_features_arrive_at_half_precision(browser: Browser, clicker: Clicker) -> None:
    reply, _ = browser.ask(want="features", key=browser.question["key"])
    (file,) = reply["files"]
    content = np.frombuffer(browser.fetch(file), "<f2")
    for name in FEATURES:
        wanted = getattr(clicker.session.embedding.features, name)
        assert reply["layout"][name] == list(wanted.shape)
        found, content = content[: wanted.size], content[wanted.size :]
        # Half precision rounds to eleven bits, and the smallest numbers to multiples of 2 ** -24.
        np.testing.assert_allclose(found, wanted.ravel(), rtol=2**-11, atol=2**-25)
    assert content.size == 0


def test_features_of_another_photo_are_not_sent(browser: Browser) -> None:
    assert browser.ask(want="features", key="earlier")[0]["files"] == []


def test_while_the_kernel_answers_clicks_tell_the_browser_nothing(
    browser: Browser, clicker: Clicker, nano: Segmenter
) -> None:
    Robot(clicker).click(40, 25)
    assert browser.questions == []
    assert browser.question == {
        "key": clicker.session.embedding.key,
        "model": nano.engine.bundle.graphs["decoder"].sha256,
    }


def test_while_the_browser_answers_it_is_told_what_the_next_click_depends_on(
    browser: Browser, clicker: Clicker
) -> None:
    browser.ask(**NOTHING, state="browser", ms=153.2)
    robot = Robot(clicker)
    robot.click(40, 25)
    question = browser.question
    assert question["prompts"] == [{"x": 40, "y": 25, "positive": True}]
    assert question["heard"] == clicker.screen.stage.pointer.heard > 0
    assert question["view"]["photo"] == (60, 90)
    assert "answers in the browser, the kernel is 153 ms away" in clicker.screen.status.value
    count = len(browser.questions)
    robot.drag((10, 10), (50, 40))
    assert browser.question["prompts"][-1] == {"x0": 10, "y0": 10, "x1": 51, "y1": 41}
    clicker.screen.toolbar.tool.value = "box"
    robot.click(20, 20)
    assert browser.question["box"]
    assert browser.question["corner"] == pytest.approx((20.5, 20.5))
    robot.press("zoom-in")
    assert browser.question["view"]["scale"] > question["view"]["scale"]
    assert len(browser.questions) > count


def test_a_click_that_fails_is_heard_too(
    browser: Browser, clicker: Clicker, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.ask(**NOTHING, state="browser")
    robot = Robot(clicker)
    robot.click(40, 25)
    robot.press("undo")
    before = browser.question["heard"]

    def fail(*_: object) -> None:
        raise OSError("the cable is out")

    monkeypatch.setattr(clicker.session._engines.answers, "get", fail)
    robot.click(50, 25)
    assert "the cable is out" in clicker.screen.message.value
    assert clicker.prompts == ()
    assert browser.question["heard"] > before
    assert browser.question["prompts"] == []


def test_the_kernel_alone_answers_where_other_engines_take_part(
    browser: Browser, clicker: Clicker
) -> None:
    browser.ask(**NOTHING, state="browser")
    clicker.screen.engine.other.value = "fake"
    clicker.wait()
    assert browser.question == {}
    clicker.screen.engine.other.value = "nothing"
    assert browser.question["key"]
    clicker.screen.engine.engine.value = "fake"
    clicker.wait()
    assert browser.question == {}


def test_the_choice_is_offered_where_there_is_one(clicker: Clicker) -> None:
    assert clicker.screen.near.places.layout.display == ""
    clicker.screen.near.places.value = "browser"
    assert clicker._controller.near.widget.mode == "browser"
    other = Clicker(Segmenter(FakeEngine()), PHOTO)
    assert other.screen.near.places.layout.display == "none"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (Where(), ""),
        (Where("kernel", 3.0), ""),
        (Where("browser"), "answers in the browser"),
        (Where("loading", 153.0), "the browser fetches the decoder"),
        (
            Where("refused", why="no worker"),
            "the kernel answers, because the browser cannot: no worker",
        ),
    ],
)
def test_who_answers_is_said_in_words(where: Where, words: str) -> None:
    assert str(where) == words


@pytest.mark.parametrize("other", [{"size": "tiny"}, {"precision": "w8a8"}])
def test_other_models_are_not_for_browsers(other: dict[str, str]) -> None:
    segmenter = sam2lab.open_segmenter("nano")
    bundle = bundle_of(segmenter)
    assert bundle is not None
    segmenter.engine.bundle = replace(bundle, info=replace(bundle.info, **other))
    assert bundle_of(segmenter) is None
