"""DataFrames to figures. Knows tables and arrays only: no engine, no model.

Every function returns a matplotlib `Figure` of its own, made without pyplot: nothing global is
touched, no backend is needed, and a notebook shows it once, as the value of its cell. Colours
are those of Okabe and Ito, which people of any colour vision can tell apart.
"""

from typing import Any

import lazy_loader

_import, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    try:
        return _import(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"sam2lab.plots needs {error.name}, which is not installed here; install what "
            "notebooks need: pip install 'sam2lab[lab]'",
            name=error.name,
        ) from error
