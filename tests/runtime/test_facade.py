"""Packages offer their names, and load nothing before it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = [
    *("export", "measure", "peers", "plots", "quantize", "remote", "scenes", "train"),
    "widgets.session",
]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_there_and_no_function_has_the_name_of_a_module(package: str) -> None:
    """Importing the module would put it in the place of the function."""
    offering = importlib.import_module(f"sam2lab.{package}")
    modules = {path.stem for path in Path(offering.__path__[0]).glob("*.py")}
    assert offering.__all__
    for name in offering.__all__:
        assert hasattr(getattr(offering, name), "__file__") or name not in modules
        assert name in dir(offering)


def test_measure_alone_loads_no_pandas() -> None:
    code = "import sys, sam2lab.measure; assert 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
