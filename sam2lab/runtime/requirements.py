"""Says which modules are not installed here, and which extra of this package brings them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence

# The modules that each extra brings: `pip install 'sam2lab[lab]'`.
EXTRAS = {
    "torch": (
        *("torch", "torchvision", "sam2", "hydra", "omegaconf"),
        *("filelock", "requests", "onnx", "onnxslim"),
    ),
    "lab": (
        *(
            "anywidget",
            "ipycanvas",
            "ipyevents",
            "ipykernel",
            "ipywidgets",
            "jupyter_server",
            "jupyterlab",
        ),
        *("matplotlib", "pandas", "psutil", "pycocotools", "tornado", "urllib3"),
    ),
    "openvino": ("openvino",),
    "litert": ("ai_edge_litert", "ai_edge_quantizer", "flatbuffers"),
    "video": ("av",),
    "qnn": ("onnxruntime_qnn",),
}


class MissingExtra(ModuleNotFoundError):
    """Modules are not installed here; the message says what needs them and what to install.

    `otherwise` is another way out. `extra` is the extra of this package that brings them, None
    where none does.

    >>> raise MissingExtra("A figure", ["matplotlib"])
    Traceback (most recent call last):
    sam2lab.runtime.requirements.MissingExtra: A figure needs matplotlib, which is not installed \
here. Install it (pip install 'sam2lab[lab]').
    """

    def __init__(self, what: str, modules: Sequence[str], otherwise: str = "") -> None:
        first, *more = modules
        self.extra = extra_of(first)
        install = f"'sam2lab[{self.extra}]'" if self.extra else " ".join(modules)
        super().__init__(
            f"{what} needs {' and '.join(modules)}, which {'are' if more else 'is'} not installed "
            f"here. Install {'them' if more else 'it'} (pip install {install})"
            f"{otherwise and f', or {otherwise}'}.",
            name=first,
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
    return [name for name in modules if not _is_here(name)]


def _is_here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        # Its package is not installed.
        return False


def require(what: str, modules: Iterable[str], otherwise: str = "") -> None:
    """Raise `MissingExtra` where some of the modules are not installed."""
    absent = missing(modules)
    if absent:
        raise MissingExtra(what, absent, otherwise)
