"""How long a run may take, and where things lie.

Three environment variables change it: `SAM2LAB_BUDGET`, `SAM2LAB_CACHE` and `SAM2LAB_MODELS`.
Nothing here creates a folder: whoever writes does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, cast, get_args

import platformdirs

Budget = Literal["ci", "full"]

_REPOSITORY = Path(__file__).resolve().parents[1]


def budget() -> Budget:
    """How much time a notebook may take: `ci` is the small version of the same story.

    The environment variable `SAM2LAB_BUDGET` sets it. Without it, the budget is `ci` where `CI`
    is set, as it is on the machines that test projects, and `full` elsewhere.

    >>> budget() in ("ci", "full")
    True
    """
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false", "no", "off")
    value = os.environ.get("SAM2LAB_BUDGET") or ("ci" if in_ci else "full")
    if value not in get_args(Budget):
        raise ValueError(
            f"SAM2LAB_BUDGET is {value!r}, but must be 'ci' or 'full'; unset it to get 'full'"
        )
    return cast(Budget, value)


def cache_folder() -> Path:
    """Where downloads and kept embeddings lie.

    `SAM2LAB_CACHE`, or else the place that the operating system gives to caches.
    """
    return _folder_from("SAM2LAB_CACHE") or platformdirs.user_cache_path("sam2lab", False)


def models_folder() -> Path:
    """Where bundles are exported to and kept.

    `SAM2LAB_MODELS`, or else models/ of the checkout that this package runs from, or else,
    where it was installed without its checkout, models/ in the cache.
    """
    return _folder_from("SAM2LAB_MODELS") or _home() / "models"


def nano_folder() -> Path:
    """Where the trained nano lies: its weights and the bundle made from them.

    nano/ in the models folder where somebody trained one of their own, or else the one that
    ships with this project: in its checkout, or in the package that was built from it.
    """
    own = models_folder() / "nano"
    if own.is_dir():
        return own
    shipped = _REPOSITORY / "models" / "nano"
    return shipped if shipped.is_dir() else Path(__file__).parent / "nano"


def data_folder() -> Path:
    """Where photos and small data sets lie: data/ of the checkout, or else of the cache."""
    return _home() / "data"


def _folder_from(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _home() -> Path:
    return _REPOSITORY if (_REPOSITORY / "pyproject.toml").is_file() else cache_folder()
