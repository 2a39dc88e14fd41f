"""A registered format is offered by the clicker's panel and made by call."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.clicker import Clicker
from sam2lab.widgets.formats import FORMATS, AnnotatedPhoto, Files, Format, register
from sam2lab.widgets.session import Session
from sam2lab.widgets.testing import Robot, send
from tests.runtime.fakes import FakeEngine

PHOTO = np.random.default_rng(0).integers(1, 256, (37, 53, 3), dtype=np.uint8)


def areas(annotated: AnnotatedPhoto) -> Files:
    """A toy format: the area of each object."""
    lines = [f"{each.name},{each.mask.sum()}\n" for each in annotated.objects]
    return {f"{annotated.stem}_areas.csv": "".join(lines).encode()}


@pytest.fixture
def toy() -> Iterator[None]:
    register(Format("areas", "Areas as CSV", areas))
    yield
    del FORMATS["areas"]


@pytest.mark.usefixtures("toy")
def test_a_registered_format_is_made_by_call_and_by_the_panel() -> None:
    clicker = Clicker(Segmenter(FakeEngine()), PHOTO)
    Robot(clicker).click(20, 20)
    expected = f"object 1,{clicker.masks[1].sum()}\n".encode()
    assert clicker.session.export("areas") == {"image_53x37_areas.csv": expected}

    panel = clicker.screen.take_away
    assert ("Areas as CSV", "areas") in panel.format.options
    panel.format.value = "areas"
    send(panel.make, {"event": "click"})
    assert 'download="image_53x37_areas.csv"' in panel.link.value
    assert base64.b64decode(panel.link.value.split("base64,")[1].split('"')[0]) == expected


def test_a_session_exports_every_object_with_a_mask_in_every_format() -> None:
    session = Session(Segmenter(FakeEngine()), PHOTO)
    with pytest.raises(ValueError, match="no object"):
        session.export("masks")
    session.add_point(20, 20)
    session.commit("cat")
    session.add_point(5, 5, positive=False)
    session.hide(1)
    (content,) = session.export("masks").values()
    read = np.array(Image.open(io.BytesIO(content))) > 0
    assert np.array_equal(read, session.masks[1])
    for name in FORMATS:
        assert all(isinstance(data, bytes) for data in session.export(name).values())
    with pytest.raises(ValueError, match="coco_rle"):
        session.export("svg")
