"""Quantising needs the files of a bundle, and no torch."""

from __future__ import annotations

from pathlib import Path

from sam2lab import settings
from tests.blocking import TORCH, run_without

WITHOUT_TORCH = """
import sam2lab
from sam2lab.quantize import *

bundle, folder = sys.argv[1:]
written = quantize(bundle, folder, count=1)
assert written.info.precision == "w8a8"
judge = Judge(sam2lab.OnnxEngine(bundle), count=1)
print(judge.damage(sam2lab.OnnxEngine(folder)).iou)
"""


def test_nano_is_quantised_and_judged_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    done = run_without(TORCH, WITHOUT_TORCH, settings.nano_folder(), tmp_path / "nano")
    assert done.returncode == 0, done.stderr
    # Usually 0.99 of the masks stay; one image is enough to find ranges that make sense.
    assert float(done.stdout) > 0.9
