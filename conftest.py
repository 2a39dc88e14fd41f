"""What is set before any test or notebook is collected, whichever of them pytest is given."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """A small budget, a cache and models of the run's own: notebooks and servers inherit them."""
    with tempfile.TemporaryDirectory(prefix="sam2lab-tests-") as cache:
        os.environ["SAM2LAB_CACHE"] = cache
        # Bundles that an earlier state of the code exported must not be what is tested.
        os.environ["SAM2LAB_MODELS"] = str(Path(cache) / "models")
        os.environ.setdefault("SAM2LAB_BUDGET", "ci")
        # As sam2lab does, before some test imports onnxruntime by itself.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        return (yield)
