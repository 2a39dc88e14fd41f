"""The sweep that `w8a8` was chosen by: what masks lose, and how long an encode takes, half by half.

    python -m pytest -s -m slow tests/litert/test_sweep.py

prints a table. It takes minutes, most of them for the masks.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sam2lab.export import litert
from sam2lab.export.device.bundles import images_for
from sam2lab.measure import latency_ratios, time_engines
from sam2lab.measure.agreement import Agreement, agreement
from sam2lab.quantize.calibration import readable, samples
from sam2lab.reference import zoo

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

from sam2lab.litert.eight_bits import in_eight_bits, ranges_of
from sam2lab.runtime.engines.litert import LiteRtEngine

PHOTOS = 4
LINEAR, CONVOLUTIONS = ("FULLY_CONNECTED",), ("FULLY_CONNECTED", "CONV_2D")
# half and name: what is in 8 bits, whether ranges are fixed
VARIANTS: dict[tuple[str, str], tuple[tuple[str, ...], bool]] = {
    ("encoder", "ranges found as it runs"): (LINEAR, False),
    ("encoder", "fixed ranges"): (LINEAR, True),
    ("encoder", "fixed ranges, and convolutions"): (CONVOLUTIONS, True),
    ("decoder", "ranges found as it runs"): (LINEAR, False),
    ("decoder", "fixed ranges"): (LINEAR, True),
}
CHOSEN = [("encoder", "fixed ranges"), ("decoder", "ranges found as it runs")]


@pytest.mark.slow
def test_each_half_as_chosen_keeps_98_of_100_parts_of_the_masks(tmp_path: Path) -> None:
    model = zoo.load("nano")
    place = tmp_path / "float"
    place.mkdir()
    bundle, graphs = litert._float_files(model, place, 8, half=False)
    exact = LiteRtEngine(bundle)
    files = {name: bundle.path(name).read_bytes() for name in graphs}
    calibrated, judged = images_for(None, PHOTOS)
    photos = [photo for _, photo in readable(judged)]
    feeds: dict[str, list[Any]] = {"encoder": [], "decoder": []}
    for sample in samples(calibrated, exact):
        feeds["encoder"].append({"image": sample.pixels.transpose(0, 2, 3, 1)})
        feeds["decoder"] += [exact.decoder_inputs(sample.features, p) for p in sample.prompts]

    engines: dict[str, Any] = {"float": LiteRtEngine(place, threads=1)}
    found: dict[tuple[str, str], Agreement] = {}
    for (half, name), (layers, is_fixed) in VARIANTS.items():
        ranges = ranges_of(files[half], feeds[half]) if is_fixed else None
        made = in_eight_bits(files[half], "w8a8", ranges, layers)
        folder = tmp_path / f"{half} {name}"
        folder.mkdir()
        litert._bundle(model, folder, "w8a8", {**files, half: made}, graphs).seal()
        engine = LiteRtEngine(folder, threads=1)
        found[half, name] = agreement(exact, engine, photos)
        if half == "encoder":
            engines[name] = engine
        print(f"{half}, {name}: {found[half, name]}, {len(made) / 1e6:.2f} MB")
    ratios = latency_ratios(time_engines(engines, photos[0], runs=15), "float", "encode_ms")
    print(ratios.to_string())

    assert all(found[chosen].mean_iou >= 0.98 for chosen in CHOSEN)
    decoder = {name: each for (half, name), each in found.items() if half == "decoder"}
    assert decoder["ranges found as it runs"].mean_iou > decoder["fixed ranges"].mean_iou
