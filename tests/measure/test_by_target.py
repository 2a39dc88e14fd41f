"""compare_targets: a row for each bundle, computed here or kept from its making."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam2lab.export import export
from sam2lab.export.device import bundles
from sam2lab.measure import compare_targets
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.bundle import TARGET

pytest.importorskip("ai_edge_litert", reason="pip install 'sam2lab[litert]'")

PHOTOS = [np.random.default_rng(seed).integers(0, 256, (50, 60, 3), np.uint8) for seed in (0, 1)]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Any:
    model = zoo.load("nano", weights="random", input_size=(64, 80))
    folder = tmp_path_factory.mktemp("targets") / "float"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundles, "CHECKED", 1)
        made = export(model, folder, target="litert")
    return compare_targets(TorchEngine(model), [made, elsewhere()], PHOTOS, runs=3)


def elsewhere() -> Any:
    """A bundle that nothing runs here."""
    kept = {"photos": 4, "masks": 24, "mean_iou": 0.98, "least_iou": 0.9}
    graphs = {name: SimpleNamespace(bytes=1_500_000) for name in ("encoder", "decoder")}
    info = SimpleNamespace(precision="w8a8")
    return SimpleNamespace(
        kind="dlc",
        target=TARGET["dlc"],
        info=info,
        graphs=graphs,
        agreement={"float": {}, "w8a8": kept},
    )


def test_files_that_run_here_are_asked(table: Any) -> None:
    row = table.iloc[0]
    assert (row["target"], row["precision"]) == ("litert", "float")
    assert (row["photos"], row["masks"]) == (2, 12)
    # Rounding moves a pixel in ten thousand.
    assert row["least_iou"] > 0.99
    assert row["ratio"] == 1
    assert row["encode_ms"] > 0


def test_files_that_do_not_have_what_their_making_found(table: Any) -> None:
    row = table.iloc[1]
    assert (row["target"], row["precision"], row["megabytes"]) == ("qnn", "w8a8", 3.0)
    assert (row["photos"], row["mean_iou"], row["least_iou"]) == (4, 0.98, 0.9)
    assert np.isnan(row["ratio"])


def test_files_of_which_none_runs_here_have_no_time() -> None:
    model = zoo.load("nano", weights="random", input_size=(64, 80))
    row = compare_targets(TorchEngine(model), [elsewhere()], PHOTOS).iloc[0]
    assert row["mean_iou"] == 0.98
    assert np.isnan(row["ratio"])
    assert np.isnan(row["encode_ms"])


def test_published_times_of_the_same_kind_of_file_stand_beside(table: Any) -> None:
    row = table.iloc[1]
    # Of the rows of the published table: SAM2Encoder, QNN_DLC, w8a8.
    assert row["published_low_ms"] <= row["published_ms"] <= row["published_high_ms"]
    assert row["chipsets"] > 0


def test_every_kind_of_file_has_a_target(tmp_path: Path) -> None:
    assert set(TARGET.values()) == {"onnx", "litert", "qnn"}
