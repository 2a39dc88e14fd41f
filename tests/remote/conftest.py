"""A server of a fake engine, and a photo to ask about."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from sam2lab.remote import RemoteEngine, Server, serve
from tests.runtime.fakes import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def server(engine: FakeEngine) -> Iterator[Server]:
    with serve(engine) as running:
        yield running


@pytest.fixture
def remote(server: Server) -> Iterator[RemoteEngine]:
    with RemoteEngine(server.url, server.token) as opened:
        yield opened


@pytest.fixture(scope="session")
def photo() -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def photo_file(photo: npt.NDArray[np.uint8]) -> bytes:
    """The photo without loss."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, "PNG")
    return file.getvalue()
