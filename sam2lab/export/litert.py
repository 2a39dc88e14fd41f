"""Turn a model in torch into a bundle of .tflite files, for phones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnx
from tqdm.auto import tqdm

from sam2lab.export.device.bundles import (
    LEAST_IOU,
    answers_of,
    check_agreement,
    described,
    feeds_of,
    graphs_of,
    images_for,
    made_with,
)
from sam2lab.export.freed import give_back
from sam2lab.export.shared import once
from sam2lab.export.tracing import OPSET
from sam2lab.measure.agreement import agreement
from sam2lab.measure.remembering import Remembering
from sam2lab.quantize.calibration import (
    ImageReader,
    ImageSource,
    calibration_images,
    readable,
    samples,
)
from sam2lab.quantize.tensor_statistics import Feeds
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime import cores
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import GRAPHS, TFLITE, Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.litert import LiteRtEngine
from sam2lab.runtime.engines.protocol import LITERT_PRECISIONS, POINTS
from sam2lab.runtime.requirements import require

# Weights in half precision move a few more pixels.
LEAST_HALF_IOU = 0.99
# Photos that files are asked about where processors take thirty times as long.
ASKED = {"w8a16": 1}
NEEDS = ("ai_edge_litert", "ai_edge_quantizer", "flatbuffers")


def export(
    model: ZooModel,
    folder: str | os.PathLike[str],
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    calibration: ImageSource = None,
    points: int = POINTS,
    accept_difference: bool = False,
) -> Bundle:
    """Write a model as .tflite files, which answer one prompt of `points` slots on one photo.

    `precision` is `"float"`; `"fp16"`, which stores weights in half the bytes and computes in what
    the phone chooses; `"w8a8"`, `"w8a8-full"` or `"w8a16"`: `sam2lab.litert.eight_bits` says what
    these compute in 8 bits. Inputs and outputs stay float32.

    Photos that ship and were not calibrated with are asked about before anything appears.
    `agreement` in bundle.json says how far the float masks agree with the model's, and those in 8
    bits with the float ones. A `Disagreement` is raised where a float or fp16 mask has an IoU below
    0.999 or 0.99, unless `accept_difference`.
    """
    folder = check_export(folder, precision, calibration)
    if input_size is not None:
        model = zoo.resize(model, input_size)
    calibrated, checked = images_for(calibration)
    with ExitStack() as stack, tqdm(total=4, desc=f"export {model.info.name}") as progress:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        unfinished = stack.enter_context(appearing(folder))
        exact, graphs = _float_files(model, scratch, points, half=precision == "fp16")
        progress.update()
        photos = [photo for _, photo in readable(checked)]
        known: dict[Any, Any] = once(model, ("litert answers", points, exact.info.precision), dict)
        # An engine holds half a gigabyte for tiny, so none outlives its use.
        found = agreement(answers_of(model), Remembering(LiteRtEngine(exact), known), photos)
        least = LEAST_HALF_IOU if precision == "fp16" else LEAST_IOU
        check_agreement(found, accept_difference, least)
        give_back()
        progress.update()
        kept: dict[str, Any] = {exact.info.precision: asdict(found)}
        if precision == exact.info.precision:
            files = {name: exact.path(name).read_bytes() for name in GRAPHS}
        else:
            files = _in_eight_bits(model, points, precision, exact, calibration, calibrated)
        bundle = _bundle(model, unfinished, precision, files, graphs)
        progress.update()
        if precision != exact.info.precision:
            reference = Remembering(LiteRtEngine(exact), known)
            asked = photos[: ASKED.get(precision)]
            kept[precision] = asdict(agreement(reference, LiteRtEngine(bundle), asked))
        replace(bundle, agreement=kept).seal()
        progress.update()
    return Bundle.open(folder, verify=False)


def check_export(
    folder: str | os.PathLike[str], precision: str = "float", calibration: ImageSource = None
) -> Path:
    """Refuse what `export` would refuse for any model, before a model is fetched or loaded."""
    if precision not in LITERT_PRECISIONS:
        wanted = ", ".join(map(repr, LITERT_PRECISIONS))
        raise ValueError(f"precision is {precision!r}; wanted one of {wanted}")
    if precision in ("float", "fp16") and calibration is not None:
        raise ValueError(f"calibration is for 8 bits, not {precision!r}; leave it out")
    require("export for LiteRT", NEEDS)
    folder = path("folder", folder)
    check_free(folder)
    calibration_images(calibration, argument="calibration")
    return folder


def _float_files(
    model: ZooModel, folder: Path, points: int, half: bool
) -> tuple[Bundle, dict[str, onnx.ModelProto]]:
    """A bundle of float files in a folder, and the ONNX graphs they were written from."""
    from sam2lab.litert.convert import to_tflite

    graphs = graphs_of(model, points)
    files = {name: to_tflite(graph, half) for name, graph in graphs.items()}
    bundle = _bundle(model, folder, "fp16" if half else "float", files, graphs)
    bundle.seal()
    give_back()
    return bundle, graphs


def _bundle(
    model: ZooModel,
    folder: Path,
    precision: str,
    files: Mapping[str, bytes],
    graphs: Mapping[str, onnx.ModelProto],
) -> Bundle:
    """Write files, and describe them as a bundle, which is not sealed yet."""
    paths = {name: folder / f"{name}.{TFLITE}" for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    info = replace(model.info, precision=precision)
    made = made_with("torch", "onnx", "ai-edge-litert", "ai-edge-quantizer")
    return Bundle(folder, info, OPSET, described(paths, graphs), made)


def _in_eight_bits(
    model: ZooModel,
    points: int,
    precision: str,
    exact: Bundle,
    calibration: ImageSource,
    images: list[ImageReader],
) -> dict[str, bytes]:
    from sam2lab.litert.eight_bits import CALIBRATED, in_eight_bits, ranges_of

    calibrated = {"encoder": feeds_of(images, model.info), "decoder": _prompts(images, exact)}
    files = {}
    for name, feeds in calibrated.items():
        data, ranges = exact.path(name).read_bytes(), None
        if name in CALIBRATED[precision]:
            # The images that ship are the same for every precision.
            key = "litert", name, points, len(images)
            see = partial(ranges_of, data, feeds, threads=cores.usable())
            ranges = once(model, key, see) if calibration is None else see()
        files[name] = in_eight_bits(data, precision, ranges)
        give_back()
    return files


def _prompts(images: list[ImageReader], exact: Bundle) -> Iterator[Feeds]:
    """What the decoder is calibrated with: prompts of each kind, and features of float files."""
    engine = LiteRtEngine(exact)
    for each in samples(images, engine):
        for prompt in each.prompts:
            yield engine.decoder_inputs(each.features, prompt)
