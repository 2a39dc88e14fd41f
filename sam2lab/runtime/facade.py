"""Makes a package import the names that it offers when they are first used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lazy_loader

from sam2lab.runtime.requirements import MissingExtra, extra_of


def facade(
    package: str, init_file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`__getattr__`, `__dir__` and `__all__` of a package that offers what its `.pyi` file imports.

    Where the import of a name needs what an extra brings, it raises `MissingExtra`.

    ```python
    __getattr__, __dir__, __all__ = facade(__name__, __file__)
    ```
    """
    import_name, list_names, names = lazy_loader.attach_stub(package, init_file)

    def get(name: str) -> Any:
        try:
            return import_name(name)
        except ModuleNotFoundError as error:
            if error.name is None or extra_of(error.name) is None:
                raise
            raise MissingExtra(f"{package}.{name}", [error.name.partition(".")[0]]) from error

    return get, list_names, names
