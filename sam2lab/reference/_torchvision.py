"""The one way to sam2, with its two imports that need care.

torchvision's Linux wheels are CUDA builds. Beside a CPU torch their compiled operators
cannot load, and `import torchvision` then fails for want of two schemas. They are declared
here, where they are missing, and `nms`, which sam2's mask generator calls, is replaced by our
own; a proper pair of torch and torchvision is not touched.

`import sam2` sets up Hydra's global state, which belongs to the user. Here the package is
entered without running its `__init__`, which does nothing else; that runs when someone
imports `sam2.build_sam`, the only module that needs it. So Hydra is left as it was found,
and sam2's own `build_sam2` works before and after. Where sam2 was imported first, nothing
is done at all.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import torch

from sam2lab.runtime.boxes import nms

_library = None


class _UnrunPackage(ModuleType):
    """The package sam2 before its `__init__` has run; importing `build_sam` runs it."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "build_sam":
            self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]


def _enter_sam2() -> None:
    if "sam2" in sys.modules:
        return
    spec = importlib.util.find_spec("sam2")
    if spec is None:
        raise ModuleNotFoundError(
            "sam2lab.reference runs Meta's own code, which is not installed; "
            'install it with: pip install "sam2lab[torch]"',
            name="sam2",
        )
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _UnrunPackage
    sys.modules["sam2"] = package


def _mend_torchvision() -> None:
    global _library
    if "torchvision" in sys.modules or not _is_mismatched():
        return
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        # The declarations live as long as the library object does.
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            _library.define(
                f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import torchvision

        torchvision.ops.boxes.nms = _nms


def _nms(boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float) -> torch.Tensor:
    return torch.from_numpy(nms(boxes.numpy(), scores.numpy(), iou_threshold))


def _is_mismatched() -> bool:
    """A CUDA-built torchvision beside a torch without CUDA, told without the slow import."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or torch.version.cuda is not None:
        return False
    version = Path(spec.origin).with_name("version.py")
    return version.is_file() and "+cu" in version.read_text(encoding="utf-8")


_mend_torchvision()
_enter_sam2()
