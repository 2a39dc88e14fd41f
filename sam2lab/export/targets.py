"""`export` turns a model in torch into a bundle, for whatever is to run it."""

from __future__ import annotations

import os
from pathlib import Path

from sam2lab.export import litert, onnx, qnn
from sam2lab.export.device.graphs import check_points
from sam2lab.quantize.calibration import ImageSource
from sam2lab.quantize.recipe import Recipe
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import POINTS, TARGETS


def export(
    model: ZooModel,
    folder: str | os.PathLike[str],
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
    *,
    target: str = "onnx",
    points: int = POINTS,
    accept_difference: bool = False,
    chip: str | None = None,
    allow_cpu: bool = False,
) -> Bundle:
    """Write a model as a bundle into a folder that does not hold one yet.

    `target="onnx"` is for computers: any number of objects and points, and videos; see
    `export.onnx.export`. `target="litert"` is for phones: .tflite files for photos, which take one
    prompt of `points` slots at a time; see `export.litert.export`. `target="qnn"` is for the NPUs
    of Qualcomm's chips: .dlc files, or .bin files for one `chip`; see `export.qnn.export`.

    `input_size` is (height, width) in pixels, multiples of 16 from 64 on; None is the model's own.
    `precision` is one of the target's, `"float"`, `"fp16"`, `"w8a8"` …; 8 bits are calibrated with
    the images `calibration`, by default those that ship. `recipe` is for 8 bits of ONNX.

    Files for devices are compared with the model before they appear, and bundle.json keeps the
    `agreement`. Float files whose masks differ are refused, unless `accept_difference` is true.

    >>> import tempfile
    >>> from sam2lab.reference import zoo
    >>> nano = zoo.load("nano", weights="random")
    >>> with tempfile.TemporaryDirectory() as models:
    ...     bundle = export(nano, f"{models}/wide-nano", input_size=(64, 96))
    >>> bundle.folder.name, bundle.graphs["encoder"].inputs[0].shape
    ('wide-nano', ('B', 3, 64, 96))
    """
    onnx.check_model(model)
    folder = check_export(folder, precision, calibration, recipe, target, points, chip, allow_cpu)
    if target == "qnn":
        return qnn.export(
            model,
            folder,
            input_size,
            precision,
            calibration,
            points,
            chip,
            accept_difference,
            allow_cpu,
        )
    if target == "litert":
        return litert.export(
            model, folder, input_size, precision, calibration, points, accept_difference
        )
    return onnx.export(
        model,
        folder,
        input_size=input_size,
        precision=precision,
        calibration=calibration,
        recipe=recipe,
    )


def check_export(
    folder: str | os.PathLike[str],
    precision: str = "float",
    calibration: ImageSource = None,
    recipe: Recipe | None = None,
    target: str = "onnx",
    points: int = POINTS,
    chip: str | None = None,
    allow_cpu: bool = False,
) -> Path:
    """Refuse what `export` would refuse for any model, before a model is fetched or loaded."""
    if target not in TARGETS:
        wanted = " or ".join(map(repr, TARGETS))
        raise ValueError(f"target is {target!r}; wanted {wanted}")
    check_points(points)
    if target != "qnn":
        for name, value in (("chip", chip), ("allow_cpu", allow_cpu)):
            if value:
                raise ValueError(f"{name} is for target='qnn', not {target!r}; leave it out")
    if target == "onnx":
        if points != POINTS:
            raise ValueError(
                f"points is {points}, but files for ONNX Runtime take any number of points; leave "
                "it out, or export for a device: target='litert' or 'qnn'"
            )
        return onnx.check_export(folder, precision, calibration, recipe)
    if recipe is not None:
        raise ValueError("recipe is for target='onnx'; wanted None: a precision says it all")
    if target == "qnn":
        return qnn.check_export(folder, precision, calibration, chip)[0]
    return litert.check_export(folder, precision, calibration)
