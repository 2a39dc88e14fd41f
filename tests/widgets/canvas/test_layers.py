"""Layers send the browser each change once, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ipycanvas.canvas import _CANVAS_MANAGER, _CMD_LIST

from sam2lab.widgets.canvas.layers import Drawing, Layers, held
from sam2lab.widgets.canvas.marks import Mark
from sam2lab.widgets.canvas.painting import Paint
from sam2lab.widgets.canvas.viewport import Viewport
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.testing import send

RGB = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
MASK = np.zeros((300, 400), bool)
MASK[100:200, 100:300] = True
ONE = PackedMask.of(MASK), Paint("#e69f00", 0.5)
TWO = PackedMask.of(~MASK), Paint("#0072b2", 0.5)
DRAWING = Drawing(Viewport.fitted((300, 400), (300, 400)), "photo", RGB)


class Wire:
    """Everything that the canvas manager sent: commands by name, and how many bytes."""

    def __init__(self) -> None:
        self.messages: list[tuple[list[str], int]] = []

    def take(self, content: Any, buffers: Any = None) -> None:
        commands = json.loads(bytes(buffers[0]))
        listed = commands if isinstance(commands[0], list) else [commands]
        names = [_CMD_LIST[command[0]] for command in listed]
        self.messages.append((names, sum(memoryview(b).nbytes for b in buffers[1:])))

    @property
    def pictures(self) -> int:
        return sum(names.count("putImageData") for names, _ in self.messages)

    @property
    def pixels(self) -> int:
        return sum(count for _, count in self.messages)


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()
    monkeypatch.setattr(_CANVAS_MANAGER, "send", wire.take)
    return wire


@pytest.fixture
def layers(wire: Wire) -> Iterator[Layers]:
    layers = Layers((300, 400), lambda: None)
    yield layers
    layers.canvas.close()


def show_up(layers: Layers) -> None:
    """A browser says that it is there."""
    send(layers.canvas, {"event": "client_ready"})


def test_nothing_is_sent_before_there_is_a_browser(layers: Layers, wire: Wire) -> None:
    layers.draw(DRAWING)
    assert wire.messages == []
    show_up(layers)
    layers.draw(DRAWING)
    assert wire.pictures == 1


def test_nothing_unchanged_is_sent_again(layers: Layers, wire: Wire) -> None:
    show_up(layers)
    full = replace(DRAWING, others=(ONE,), active=(TWO,), marks=(Mark("positive", 5, 5),))
    layers.draw(full)
    assert (len(wire.messages), wire.pictures) == (1, 3)
    wire.messages.clear()
    layers.draw(replace(full))
    assert wire.messages == []


def test_a_click_sends_the_active_mask_and_the_marks_alone(layers: Layers, wire: Wire) -> None:
    show_up(layers)
    layers.draw(replace(DRAWING, others=(ONE,)))
    wire.messages.clear()
    layers.draw(replace(DRAWING, others=(ONE,), active=(TWO,), marks=(Mark("negative", 9, 9),)))
    ((names, size),) = wire.messages
    assert names.count("putImageData") == 1
    assert names.count("clear") == 2
    assert "drawImage" not in names, "the photo stays"
    assert size < 5000


def test_zooming_and_moving_send_no_pixels_of_a_small_photo(layers: Layers, wire: Wire) -> None:
    show_up(layers)
    layers.draw(DRAWING)
    wire.messages.clear()
    fitted = DRAWING.view
    close = fitted.zoomed(3, 50, 50)
    for view in (close, close.panned(-30, 7), fitted):
        layers.draw(replace(DRAWING, view=view))
    assert len(wire.messages) == 3
    assert wire.pixels == 0


def test_a_large_photo_is_sent_reduced_and_sharp_where_it_is_enlarged(
    layers: Layers, wire: Wire
) -> None:
    large = Drawing(
        Viewport.fitted((3000, 4000), (300, 400)), "large", np.repeat(np.repeat(RGB, 10, 0), 10, 1)
    )
    show_up(layers)
    layers.draw(large)
    fitted = wire.pixels
    close = replace(large, view=large.view.zoomed(4, 200, 150))
    wire.messages.clear()
    layers.draw(replace(close, is_moving=True))
    assert wire.pixels == 0, "while it moves, what is there has to do"
    layers.draw(close)
    assert 0 < wire.pixels < 3 * fitted, "one canvas of pixels, not the photo's twelve million"
    wire.messages.clear()
    layers.draw(large)
    assert wire.pixels == 0, "the whole photo is still there"


def test_a_client_that_comes_late_gets_everything(layers: Layers, wire: Wire) -> None:
    show_up(layers)
    full = replace(DRAWING, others=(ONE,), active=(TWO,))
    layers.draw(full)
    wire.messages.clear()
    show_up(layers)
    layers.draw(full)
    ((names, _),) = wire.messages
    assert names.count("putImageData") == 3


def test_every_message_names_its_canvas(layers: Layers, wire: Wire) -> None:
    # A page hears the kernel before the kernel hears that it is there.
    show_up(layers)
    for x in range(3):
        layers.draw(replace(DRAWING, marks=(Mark("positive", x, 5),)))
    assert [names[0] for names, _ in wire.messages] == ["switchCanvas"] * 3


def test_an_exception_while_drawing_does_not_hold_back_what_is_drawn_later(
    layers: Layers, wire: Wire
) -> None:
    with pytest.raises(ZeroDivisionError), held(layers.canvas):
        raise ZeroDivisionError
    layers.canvas[0].fill_rect(0, 0, 1, 1)
    assert wire.messages
