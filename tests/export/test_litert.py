"""Models become files for phones, within the memory of a small machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.export import export
from sam2lab.export.device import bundles
from sam2lab.reference import zoo

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

EXPORT_TINY = """
import resource
import sys
from sam2lab.cli import main

main(["export", "tiny", "--weights", "random", "--target", "litert", *sys.argv[1:]])
print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_a_photo_that_cannot_be_read_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundles, "CHECKED", 1)
    sound, broken = tmp_path / "photos" / "sound.png", tmp_path / "photos" / "broken.png"
    sound.parent.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(sound)
    broken.write_bytes(sound.read_bytes()[:100])
    nano = zoo.load("nano", input_size=(64, 64))
    with pytest.warns(UserWarning, match=r"left out of the calibration: image.*broken\.png"):
        export(nano, tmp_path / "made", None, "w8a8", sound.parent, target="litert")


@pytest.mark.slow  # tiny encodes 28 photos of 1024 x 1024
@pytest.mark.skipif(sys.platform != "linux", reason="systems measure memory in ways of their own")
@pytest.mark.parametrize("precision", ["float", "w8a8"])
def test_tiny_is_made_within_3_gb(tmp_path: Path, precision: str) -> None:
    command = [sys.executable, "-c", EXPORT_TINY, "--precision", precision]
    said = subprocess.run(
        [*command, "--out", str(tmp_path / "made")], check=True, stdout=subprocess.PIPE, text=True
    )
    assert int(said.stdout.split()[-1]) < 3e9
