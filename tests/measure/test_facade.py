"""`sam2lab.measure` offers its names, and loads nothing before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sam2lab import measure

MODULES = {path.stem for path in Path(measure.__path__[0]).glob("*.py")}


@pytest.mark.parametrize("name", measure.__all__)
def test_every_name_is_there_and_no_function_hides_a_module(name: str) -> None:
    found = getattr(measure, name)
    assert hasattr(found, "__file__") or name not in MODULES
    assert name in dir(measure)


def test_the_package_alone_loads_no_pandas() -> None:
    code = "import sys, sam2lab.measure; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
