"""Quantising needs the files of a bundle, and no torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sam2lab import settings

WITHOUT_TORCH = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "torchvision", "sam2"}:
            raise ModuleNotFoundError(f"{name} is blocked here")

sys.meta_path.insert(0, Blocked())

import sam2lab
from sam2lab.quantize import *

bundle, folder = sys.argv[1:]
written = quantize(bundle, folder, count=1)
assert written.info.precision == "w8a8"
judge = Judge(sam2lab.OnnxEngine(bundle), count=1)
print(judge.damage(sam2lab.OnnxEngine(folder)).iou)
"""


def test_nano_is_quantised_and_judged_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, settings.nano_folder(), tmp_path / "nano"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # Usually 0.99 of the masks stay; one image is enough to find ranges that make sense.
    assert float(done.stdout) > 0.9
