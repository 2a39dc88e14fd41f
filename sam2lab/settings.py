"""How much work a notebook does, and where files are.

Three environment variables change it: `SAM2LAB_BUDGET`, `SAM2LAB_CACHE` and `SAM2LAB_MODELS`.
Nothing here creates a folder.
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
    """Where downloads and kept results lie.

    `SAM2LAB_CACHE`, or else the operating system's folder for caches.
    """
    return _folder_from("SAM2LAB_CACHE") or platformdirs.user_cache_path("sam2lab", False)


def models_folder() -> Path:
    """Where bundles are exported to and kept.

    `SAM2LAB_MODELS`, or else models/ of the checkout that this package runs from, or else models/
    in the cache.
    """
    default = _REPOSITORY if _is_checkout() else cache_folder()
    return _folder_from("SAM2LAB_MODELS") or default / "models"


def nano_folder() -> Path:
    """Where the trained nano lies: its weights and the bundle made from them.

    nano/ in the models folder if there is one, or else the one that ships.
    """
    own = models_folder() / "nano"
    return own if own.is_dir() else _shipped("models/nano")


def data_folder() -> Path:
    """Where the photos, the small data set and the published figures that ship lie."""
    return _shipped("data")


def _shipped(folder: str) -> Path:
    """A folder of the checkout, which a built package has beside this file."""
    return _REPOSITORY / folder if _is_checkout() else Path(__file__).with_name(Path(folder).name)


def _folder_from(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None


def _is_checkout() -> bool:
    return (_REPOSITORY / "pyproject.toml").is_file()
