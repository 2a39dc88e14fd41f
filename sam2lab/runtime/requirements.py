"""What is not installed here, and the extra of this package that brings it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

# The modules that each extra brings: `pip install 'sam2lab[lab]'`.
EXTRAS = {
    "torch": ("torch", "torchvision", "sam2", "filelock", "requests", "onnx", "onnxslim"),
    "lab": (
        *("ipycanvas", "ipyevents", "ipykernel", "ipywidgets", "jupyter_server", "jupyterlab"),
        *("matplotlib", "pandas", "psutil", "pycocotools"),
    ),
    "openvino": ("openvino",),
}


class MissingExtra(ModuleNotFoundError):
    """Modules are not installed here; `extra` is what to install, as the message says.

    `what` needs them, `otherwise` is another way out.

    >>> raise MissingExtra("A figure", ["matplotlib"])
    Traceback (most recent call last):
    sam2lab.runtime.requirements.MissingExtra: A figure needs matplotlib, which is not installed \
here. Install it (pip install 'sam2lab[lab]').
    """

    def __init__(
        self, what: str, modules: Iterable[str], otherwise: str = "", extra: str | None = None
    ) -> None:
        missing = list(modules)
        self.extra = extra or extra_of(missing[0])
        names = f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'}"
        pip = f"pip install {repr(f'sam2lab[{self.extra}]') if self.extra else missing[0]}"
        way_out = f", or {otherwise}" if otherwise else ""
        super().__init__(
            f"{what} needs {names} not installed here. Install it ({pip}){way_out}.",
            name=missing[0],
        )


def extra_of(module: str | None) -> str | None:
    """The extra that brings a module, or None.

    >>> extra_of("torch.nn"), extra_of("nowhere")
    ('torch', None)
    """
    top = (module or "").partition(".")[0]
    return next((extra for extra, modules in EXTRAS.items() if top in modules), None)


def missing(modules: Iterable[str]) -> list[str]:
    """Those of some modules that cannot be imported here.

    >>> missing(["numpy", "nowhere"])
    ['nowhere']
    """
    return [name for name in modules if importlib.util.find_spec(name) is None]


def require(what: str, modules: Iterable[str], otherwise: str = "") -> None:
    """Raise `MissingExtra` where some of the modules are not installed."""
    absent = missing(modules)
    if absent:
        raise MissingExtra(what, absent, otherwise)
