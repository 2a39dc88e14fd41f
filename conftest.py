"""What surrounds every test and notebook, whichever of them pytest is given."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import side_by_side

REPOSITORY = Path(__file__).resolve().parent
# What a fresh checkout holds of all that a notebook uses.
CHECKOUT = ("pyproject.toml", "sam2lab", "native", "data", "models/README.md", "models/nano")


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Iterator[None]:
    """Give tests a small budget, and a cache and models of their own, which servers inherit."""
    with tempfile.TemporaryDirectory(prefix="sam2lab-tests-") as cache:
        os.environ["SAM2LAB_CACHE"] = cache
        # Bundles that an earlier state of the code exported must not be what is tested.
        os.environ["SAM2LAB_MODELS"] = str(Path(cache) / "models")
        os.environ.setdefault("SAM2LAB_BUDGET", "ci")
        # PyTorch's threads spin while they wait for one another, unless they are told to sleep. On
        # two busy cores 46 steps of training took more than 200 s, and 35 s with sleeping threads.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        # As sam2lab does, before some test imports onnxruntime by itself.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        if side_by_side.is_one_of_several(config):
            side_by_side.keep_to_own_cores(config)
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what measures, and let several processes begin with that and with what takes long."""
    for item in items:
        if item.path.stem in side_by_side.MEASURING:
            item.add_marker("alone")
    if side_by_side.is_one_of_several(config):
        items.sort(key=side_by_side.in_turn)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests among processes as their fixtures ask for."""
    return side_by_side.scheduler(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test wait for its turn where several processes run tests."""
    if not side_by_side.is_one_of_several(item.config):
        return (yield)
    with side_by_side.place(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Run a notebook as on a new user's machine, and keep it with its outputs in build/.

    Its checkout is fresh, its home is empty and no variable of sam2lab is set; `CI` asks for
    the small budget. The notebook in git stays as it is: notebooks/NAME is run as a copy, and
    that copy becomes build/notebooks/NAME, from which the site and the gallery are made.
    """
    if not getattr(item, "nbmake", False):
        return (yield)
    name = item.path.relative_to(REPOSITORY)
    with (
        # A kernel that is about to end may still write into its home.
        tempfile.TemporaryDirectory(prefix="sam2lab-new-user-", ignore_cleanup_errors=True) as new,
        pytest.MonkeyPatch.context() as patch,
    ):
        home, checkout = Path(new, "home"), Path(new, "checkout")
        home.mkdir()
        for each in CHECKOUT:
            _copy(REPOSITORY / each, checkout / each)
        _copy(item.path, checkout / name)
        for variable in [each for each in os.environ if each.startswith(("SAM2LAB_", "XDG_"))]:
            patch.delenv(variable)
        for variable in ("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"):
            patch.setenv(variable, str(home))
        patch.setenv("CI", "true")
        patch.setenv("PYTHONPATH", str(checkout), prepend=os.pathsep)
        # nbmake runs this file, in its folder, and writes the outputs into it.
        item.filename = str(checkout / name)
        item.config.option.overwrite = True
        result = yield
        # Only what passed: the site has no use for half a notebook.
        _copy(checkout / name, REPOSITORY / "build" / name)
        return result


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
