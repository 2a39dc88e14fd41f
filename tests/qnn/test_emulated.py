"""What compiling gave is a table, and the masks' agreement is that of the half that encodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sam2lab.measure.agreement import agreement
from sam2lab.qnn import emulated
from sam2lab.qnn.emulated import Halves, compiled
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.scenes import synthetic

REPORT = {"on_qnn": 295, "on_cpu": {"Det": 2, "Erf": 1}, "seconds": 4.2, "peak_mb": 430}


@pytest.fixture(scope="module")
def engines() -> list[TorchEngine]:
    """The same size with two kinds of weights."""
    return [
        TorchEngine(zoo.load("nano", weights, input_size=(64, 64)))
        for weights in ("auto", "random")
    ]


def bundle(precision: str) -> Any:
    """What a bundle for an NPU says of itself."""
    recipe = {"compiled": {"encoder": {**REPORT, "bytes": 7_100_000}}}
    return SimpleNamespace(info=SimpleNamespace(precision=precision), recipe=recipe)


def test_compiling_is_told_for_each_bundle(engines: list[TorchEngine]) -> None:
    found = compiled(engines[0], map(bundle, ("float", "w8a8")))
    assert found.to_dict("list") == {
        "precision": ["float", "w8a8"],
        "on_qnn": [295, 295],
        "on_cpu": [3, 3],
        "megabytes": [7.1, 7.1],
        "seconds": [4.2, 4.2],
        "peak_mb": [430, 430],
    }


def test_only_the_encoder_is_the_emulators(
    engines: list[TorchEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, others = engines
    photo = synthetic.draw(np.random.default_rng(3), (60, 80)).image

    class Emulator:
        """Encodes as another model does, and decodes as nothing should."""

        info, key, encode = others.info, "emulator", others.encode

        def __init__(self, bundle: Any) -> None: ...
        def __enter__(self) -> Emulator:
            return self

        def __exit__(self, *error: object) -> None: ...

        def decode(self, *asked: Any) -> Any:
            raise AssertionError("the emulator decodes")

    monkeypatch.setattr(emulated, "QnnEmulator", Emulator)
    row = compiled(ours, [bundle("float")], [photo]).iloc[0]
    wanted = agreement(ours, Halves(others, ours), [photo])
    assert (row["masks"], row["mean_iou"]) == (6, wanted.mean_iou)
    assert row["mean_iou"] < 1
