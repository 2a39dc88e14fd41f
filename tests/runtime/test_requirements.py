"""A missing module is named together with the extra that brings it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from sam2lab.runtime.requirements import EXTRAS, MissingExtra, missing, require


def test_what_is_installed_is_not_missed() -> None:
    require("A test", ["numpy", "pytest"])
    assert missing(["numpy", "nowhere", "nowhere.below"]) == ["nowhere", "nowhere.below"]


def test_the_message_names_the_extra_and_another_way_out() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        raise MissingExtra("A study", ["pandas", "psutil"], "read the table elsewhere")
    assert str(caught.value) == (
        "A study needs pandas and psutil, which are not installed here. Install them "
        "(pip install 'sam2lab[lab]'), or read the table elsewhere."
    )
    assert (caught.value.name, caught.value.extra) == ("pandas", "lab")


def test_a_module_of_no_extra_is_installed_by_its_own_name() -> None:
    error = MissingExtra("An engine", ["toynn"])
    assert "(pip install toynn)" in str(error)
    assert error.extra is None


def test_every_extra_is_one_of_the_package(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(project["optional-dependencies"])
