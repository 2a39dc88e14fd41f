"""What every test stands on: small budgets, and a cache that is not the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """Set before anything is collected: notebooks and servers inherit the environment."""
    with tempfile.TemporaryDirectory(prefix="sam2lab-tests-") as cache:
        os.environ["SAM2LAB_CACHE"] = cache
        os.environ.setdefault("SAM2LAB_BUDGET", "ci")
        return (yield)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout that is being tested."""
    return Path(__file__).resolve().parents[1]
