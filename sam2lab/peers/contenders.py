"""Who is compared, what each needs, and whether that is here."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

OURS = "sam2lab"
ORIGINAL = "PyTorch"

# Whoever exports, or runs the original, needs these.
TORCH = ("torch", "torchvision", "sam2")


@dataclass(frozen=True)
class Contender:
    """One way to run SAM 2.

    `files` names the exporter whose files it runs (see `making`), `engine` what runs them (see
    `running`). `needs` are modules, `get` says how to get them, `distributions` whose versions
    count. `is_exact` is false where numbers are rounded on purpose.
    """

    name: str
    files: str
    engine: str
    needs: tuple[str, ...]
    get: str
    distributions: tuple[str, ...]
    is_exact: bool = True
    python: tuple[int, int] = (3, 11)

    def missing(self) -> str | None:
        """Why it cannot take part here and what to do about it, or None."""
        absent = [name for name in self.needs if importlib.util.find_spec(name) is None]
        if not absent:
            return None
        reason = f"{', '.join(absent)} not installed"
        if sys.version_info < self.python:
            # What its files say; where it was made to work all the same, it takes part.
            reason += f", needs Python {'.'.join(map(str, self.python))}"
        return f"{reason}; {self.get}"

    def versions(self) -> dict[str, str]:
        """What is installed of it, by distribution."""
        found = {}
        for name in self.distributions:
            # A module without a distribution, put there by hand, has no version.
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(name)
        return found


_TORCH = "pip install -e '.[torch]'"
_EXPORTED = ("onnxruntime", "torch", "onnx", "onnxslim", "rf-sam-2")

CONTENDERS = (
    Contender(OURS, "sam2lab", "onnx", TORCH, _TORCH, _EXPORTED),
    Contender("sam2lab w8a8", "sam2lab w8a8", "onnx", TORCH, _TORCH, _EXPORTED, is_exact=False),
    Contender(
        "samexporter",
        "samexporter",
        "samexporter",
        (*TORCH, "samexporter", "cv2"),
        "pip install -e '.[torch,peers]', then pip install --no-deps samexporter (which pins an "
        "old torch that it can do without)",
        ("samexporter", "onnxruntime", "torch", "onnx", "rf-sam-2"),
    ),
    Contender(
        "onnxruntime's exporter",
        "onnxruntime",
        "onnxruntime",
        TORCH,
        _TORCH,
        ("onnxruntime", "torch", "onnx", "rf-sam-2"),
    ),
    Contender(
        "onnxruntime's --optimize",
        "onnxruntime --optimize",
        "onnxruntime",
        TORCH,
        _TORCH,
        ("onnxruntime", "torch", "onnx", "rf-sam-2"),
    ),
    Contender(
        "sam2-onnx",
        "sam2-onnx",
        "sam2-onnx",
        (*TORCH, "sam2_onnx"),
        "pip install -e '.[torch,peers]' there",
        ("sam2-onnx", "onnxruntime", "torch", "onnx", "rf-sam-2"),
        python=(3, 12),
    ),
    Contender(ORIGINAL, "checkpoint", "torch", TORCH, _TORCH, ("torch", "rf-sam-2")),
    Contender("torch.compile", "checkpoint", "compiled", TORCH, _TORCH, ("torch", "rf-sam-2")),
    Contender(
        "OpenVINO f32",
        "sam2lab",
        "openvino f32",
        (*TORCH, "openvino"),
        "pip install -e '.[openvino]'",
        ("openvino", *_EXPORTED),
    ),
    Contender(
        "OpenVINO bf16",
        "sam2lab",
        "openvino",
        (*TORCH, "openvino"),
        "pip install -e '.[openvino]'",
        ("openvino", *_EXPORTED),
        is_exact=False,
    ),
)
NAMES = tuple(contender.name for contender in CONTENDERS)


def chosen(names: Sequence[str] | None) -> list[Contender]:
    """The contenders of these names, in the table's order, and ours, which all is measured by.

    >>> [contender.name for contender in chosen(["PyTorch"])]
    ['sam2lab', 'PyTorch']
    """
    wanted = list(NAMES if names is None else names)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown:
        raise ValueError(f"contenders has {unknown[0]!r}; wanted some of: {', '.join(NAMES)}")
    return [each for each in CONTENDERS if each.name in (OURS, *wanted)]
