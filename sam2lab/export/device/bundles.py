"""What bundles of files for devices have in common, whatever the files are."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx

from sam2lab._version import __version__
from sam2lab.export.device.graphs import device_graphs
from sam2lab.export.freed import give_back
from sam2lab.export.shared import once
from sam2lab.graphs.writing import tensors_of
from sam2lab.measure.agreement import Agreement
from sam2lab.measure.remembering import Remembering
from sam2lab.quantize.calibration import (
    ImageReader,
    ImageSource,
    calibration_images,
    encoder_feeds,
)
from sam2lab.quantize.tensor_statistics import Feeds
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.bundle import Graph
from sam2lab.runtime.digests import sha256_of
from sam2lab.runtime.engines.protocol import ModelInfo

CALIBRATED, CHECKED = 16, 4
# Float files round otherwise than torch, by one pixel in ten thousand of a mask's edge.
LEAST_IOU = 0.999


class Disagreement(ValueError):
    """The files that were made do not give the model's masks; nothing was written."""


def images_for(
    calibration: ImageSource, checked: int | None = None
) -> tuple[list[ImageReader], list[ImageReader]]:
    """Images to calibrate with, and others to check with, 20 at most, by default `CHECKED`."""
    checked = CHECKED if checked is None else checked
    # All 28 that ship, and scenes: every other one is for each purpose.
    shipped = calibration_images(None, 40)
    if calibration is not None:
        return calibration_images(calibration, CALIBRATED, "calibration"), shipped[:checked]
    return shipped[::2][:CALIBRATED], shipped[1::2][:checked]


def feeds_of(images: list[ImageReader], info: ModelInfo) -> Iterator[Feeds]:
    """What a device's encoder is calibrated with: images that can be read, channels last."""
    for feed in encoder_feeds(images, info):
        yield {"image": feed["image"].transpose(0, 2, 3, 1)}


def graphs_of(model: ZooModel, points: int) -> dict[str, onnx.ModelProto]:
    """The model's device graphs, traced once for all targets and precisions; not to be changed."""

    def make() -> dict[str, onnx.ModelProto]:
        graphs = dict(device_graphs(model, points))
        give_back()
        return graphs

    return once(model, ("device", points), make)


def answers_of(model: ZooModel) -> Remembering:
    """The model in torch, which is asked each question once for all targets and precisions."""
    return Remembering(TorchEngine(model), once(model, "answers", dict))


def check_agreement(
    found: Agreement, accept_difference: bool, least_iou: float = LEAST_IOU
) -> None:
    """Refuse files whose masks are not the model's."""
    if found.least_iou < least_iou and not accept_difference:
        raise Disagreement(
            f"the masks of the files differ from the model's: IoU is {found.least_iou} at least, "
            f"wanted {least_iou}, of {found.masks} masks on {found.photos} photos. Nothing was "
            "written. Check the model's weights; accept_difference=True, --accept-difference on "
            "the command line, writes the files nevertheless"
        )


def described(files: Mapping[str, Path], graphs: Mapping[str, onnx.ModelProto]) -> dict[str, Graph]:
    """The files of a bundle, with the inputs and outputs of the graphs they were made of."""
    return {
        name: Graph(
            file.name,
            sha256_of(file),
            file.stat().st_size,
            tensors_of(graphs[name].graph.input),
            tensors_of(graphs[name].graph.output),
        )
        for name, file in files.items()
    }


def made_with(*packages: str) -> dict[str, str]:
    """The versions of packages, and of this one."""
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {**versions, "sam2lab": __version__}
