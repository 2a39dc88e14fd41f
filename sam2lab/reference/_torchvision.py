"""The one way to sam2, with its two imports that need care.

torchvision's Linux wheels are CUDA builds. Beside a CPU torch their compiled operators
cannot load, and `import torchvision` then fails for want of two schemas. Whenever it is
imported they are declared, where they are missing, and `nms`, which sam2's mask generator calls,
is replaced by our own; a proper pair of torch and torchvision is not touched.

`import sam2` sets up Hydra's global state, which belongs to the user. Here the package is
entered without running its `__init__`, which does nothing else; that runs when someone
imports `sam2.build_sam`, the only module that needs it. So Hydra is left as it was found,
and sam2's own `build_sam2` works before and after. Where sam2 was imported first, nothing
is done at all.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import torch

from sam2lab.runtime.boxes import nms
from sam2lab.runtime.requirements import require

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
    require("sam2lab.reference", ["sam2"])
    spec = importlib.util.find_spec("sam2")
    assert spec is not None
    package = importlib.util.module_from_spec(spec)
    package.__class__ = _UnrunPackage
    sys.modules["sam2"] = package


class _Mending(MetaPathFinder, Loader):
    """Stands before torchvision's own loader until that is used: importing it takes a second."""

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        # Who looks for it need not import it.
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None:
            self._real, spec.loader = spec.loader, self
        return spec

    def exec_module(self, module: ModuleType) -> None:
        global _library
        assert self._real is not None
        assert module.__spec__ is not None
        sys.meta_path.remove(self)
        module.__spec__.loader = module.__loader__ = self._real
        try:
            self._real.exec_module(module)
        except RuntimeError as error:
            if "torchvision::nms does not exist" not in str(error):
                raise
            # The declarations live as long as the library object does.
            _library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in ("nms", "qnms"):
                _library.define(
                    f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
                )
            self._real.exec_module(module)
            module.ops.boxes.nms = _nms


def _mend_torchvision() -> None:
    if "torchvision" not in sys.modules and _is_mismatched():
        sys.meta_path.insert(0, _Mending())


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
