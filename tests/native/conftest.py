"""The program, built once, and the models that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import sam2lab
from sam2lab.measure import native
from sam2lab.runtime.segmenter import Segmenter
from tests.conftest import REPOSITORY
from tests.native.program import Program

NANO = REPOSITORY / "models" / "nano"


@pytest.fixture(scope="session")
def library() -> Path:
    """The shared library in onnxruntime's wheel."""
    return native.onnxruntime_library()


def built(library: Path, folder: str, *options: str) -> Program:
    """The program as CMake builds it with these options; skips where that cannot be."""
    try:
        return Program(native.build(REPOSITORY / "build" / folder, *options), library)
    except native.CannotBuild as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def program(library: Path) -> Program:
    """The program as `make native` builds it."""
    return built(library, "native")


@pytest.fixture(scope="session")
def checked_program(library: Path) -> Program:
    """The program, which ends with an error where it misuses memory or numbers."""
    return built(library, "native-checked", "-DSANITIZE=ON", "-DCMAKE_BUILD_TYPE=Plain")


@pytest.fixture(scope="session")
def segmenter() -> Segmenter:
    """nano in Python, by the same library."""
    return sam2lab.open_segmenter(NANO)
