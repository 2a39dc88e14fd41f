"""Settings come from the environment, with a place for everything without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sam2lab import settings


@pytest.mark.parametrize(("value", "expected"), [("ci", "ci"), ("full", "full"), ("", "full")])
def test_budget_is_what_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("SAM2LAB_BUDGET", value)
    monkeypatch.delenv("CI", raising=False)
    assert settings.budget() == expected


@pytest.mark.parametrize(
    ("ci", "expected"),
    [("true", "ci"), ("1", "ci"), ("false", "full"), ("0", "full"), ("", "full")],
)
def test_without_it_the_budget_is_small_in_ci_only(
    monkeypatch: pytest.MonkeyPatch, ci: str, expected: str
) -> None:
    monkeypatch.delenv("SAM2LAB_BUDGET")
    monkeypatch.setenv("CI", ci)
    assert settings.budget() == expected


def test_budget_is_full_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAM2LAB_BUDGET")
    monkeypatch.delenv("CI", raising=False)
    assert settings.budget() == "full"


def test_a_budget_that_is_set_goes_before_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2LAB_BUDGET", "full")
    monkeypatch.setenv("CI", "true")
    assert settings.budget() == "full"


def test_a_bad_budget_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAM2LAB_BUDGET", "CI")
    with pytest.raises(ValueError, match="SAM2LAB_BUDGET is 'CI', but must be 'ci' or 'full'"):
        settings.budget()


@pytest.mark.parametrize(
    ("variable", "folder"),
    [("SAM2LAB_CACHE", settings.cache_folder), ("SAM2LAB_MODELS", settings.models_folder)],
)
class TestAMovedFolder:
    def test_is_where_the_variable_says(self, variable, folder, monkeypatch, tmp_path) -> None:
        monkeypatch.setenv(variable, str(tmp_path / "moved"))
        assert folder() == tmp_path / "moved"
        assert not folder().exists()

    def test_may_begin_with_a_tilde(self, variable, folder, monkeypatch) -> None:
        monkeypatch.setenv(variable, "~/moved")
        assert folder() == Path.home() / "moved"

    def test_is_absolute(self, variable, folder, monkeypatch, tmp_path) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv(variable, "moved")
        assert folder() == tmp_path / "moved"


def test_the_cache_is_in_the_users_folder_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAM2LAB_CACHE")
    assert settings.cache_folder().is_relative_to(Path.home())
    assert "sam2lab" in settings.cache_folder().parts


def test_a_checkout_keeps_models_and_data_beside_the_package(
    monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.delenv("SAM2LAB_MODELS", raising=False)
    assert settings.models_folder() == repository / "models"
    assert settings.data_folder() == repository / "data"


def test_the_nano_that_ships_is_found_wherever_bundles_go(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path
) -> None:
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
    assert settings.nano_folder() == repository / "models" / "nano"


def test_a_nano_in_the_models_folder_is_preferred_to_the_one_that_ships(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
    (tmp_path / "nano").mkdir()
    assert settings.nano_folder() == tmp_path / "nano"


def test_without_a_checkout_models_lie_in_the_cache_and_data_in_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SAM2LAB_MODELS", raising=False)
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(settings, "_REPOSITORY", tmp_path / "site-packages")
    assert settings.models_folder() == tmp_path / "cache" / "models"
    package = Path(settings.__file__).parent
    assert (settings.data_folder(), settings.nano_folder()) == (package / "data", package / "nano")


def test_importing_makes_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path / "models"))
    ask = "from sam2lab.settings import *; cache_folder(), models_folder(), data_folder()"
    subprocess.run([sys.executable, "-c", ask], check=True)
    assert list(tmp_path.iterdir()) == []
