"""Makes torchvision and sam2 importable, and leaves Hydra alone.

torchvision's Linux wheels are CUDA builds. Beside a CPU torch their compiled operators cannot
load, and `import torchvision` fails because two schemas are missing. Where they are missing, they
are declared when torchvision is imported, and `nms`, which sam2's mask generator calls, is
replaced by ours. A matching pair of torch and torchvision is not touched.

`import sam2` sets up Hydra's global state, which belongs to the user. So sam2 is entered here
without running its `__init__`, which does nothing else. It runs when `sam2.build_sam` is imported,
the only module that needs it, so sam2's own `build_sam2` works before and after. Where sam2 was
imported before this package, nothing is done.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import torch

from sam2lab.runtime.masks import nms
from sam2lab.runtime.requirements import require

_library = None


class _UnrunPackage(ModuleType):
    """The package sam2 without its `__init__`, which runs when `build_sam` is imported."""

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
    """Loads torchvision with its own loader, and declares what is missing, when it is imported.

    Not earlier, because importing torchvision takes a second.
    """

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        # This only finds torchvision, so that looking for it does not import it.
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
        except RuntimeError:
            if hasattr(torch.ops.torchvision, "nms"):
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
    """Whether a CUDA-built torchvision stands beside a torch without CUDA, without importing it."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or torch.version.cuda is not None:
        return False
    version = Path(spec.origin).with_name("version.py")
    return version.is_file() and "+cu" in version.read_text(encoding="utf-8")


_mend_torchvision()
_enter_sam2()
