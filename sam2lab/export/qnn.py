"""Turn a model in torch into a bundle for the NPU of a chip of Qualcomm's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path

import onnx
from tqdm.auto import tqdm

from sam2lab.export.device.bundles import (
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
from sam2lab.qnn.chips import Chip
from sam2lab.qnn.chips import chip as chip_of
from sam2lab.qnn.compiling import Report, to_context, to_dlc
from sam2lab.qnn.eight_bits import Ranges, in_eight_bits, ranges_of
from sam2lab.qnn.engines import ProcessorEngine
from sam2lab.qnn.half_precision import for_half_precision
from sam2lab.quantize.calibration import ImageSource, calibration_images, readable
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.protocol import POINTS, QNN_PRECISIONS
from sam2lab.runtime.requirements import require


def export(
    model: ZooModel,
    folder: str | os.PathLike[str],
    input_size: tuple[int, int] | None = None,
    precision: str = "float",
    calibration: ImageSource = None,
    points: int = POINTS,
    chip: str | None = None,
    accept_difference: bool = False,
    allow_cpu: bool = False,
) -> Bundle:
    """Write a model as .bin files for one chip, or without `chip` as .dlc files for any.

    The graphs answer one prompt of `points` slots on one photo. `precision` is `"float"`, which
    the NPU computes in half precision, or `"w8a8"` or `"w8a16"`, with weights of the encoder in 8
    bits and its activations in 8 or 16. The decoder stays float. Inputs and outputs are float32.

    Photos that ship and were not calibrated with are asked about before anything appears, on this
    machine's processor; `agreement` in bundle.json says how far float agrees with the model, and 8
    bits with float. `recipe` says which chip it is for, and what compiling took. A node that would
    run on the phone's processor is an error, unless `allow_cpu`.
    """
    folder, wanted = check_export(folder, precision, calibration, chip)
    if input_size is not None:
        model = zoo.resize(model, input_size)
    images, checked = images_for(calibration)
    with ExitStack() as stack, tqdm(total=4, desc=f"export {model.info.name}") as progress:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        unfinished = stack.enter_context(appearing(folder))
        graphs = dict(graphs_of(model, points))
        if precision == "float":
            graphs["encoder"] = for_half_precision(graphs["encoder"])
        exact = Remembering(
            ProcessorEngine.of(model.info, graphs, scratch),
            once(model, ("qnn answers", points, precision == "float"), dict),
        )
        photos = [photo for _, photo in readable(checked)]
        found = {"float": agreement(answers_of(model), exact, photos)}
        check_agreement(found["float"], accept_difference)
        progress.update()
        if precision != "float":

            def see() -> Ranges:
                return ranges_of(graphs["encoder"], feeds_of(images, model.info))

            # The images that ship are the same for every precision.
            ranges = once(model, ("qnn ranges", len(images)), see) if calibration is None else see()
            graphs["encoder"] = in_eight_bits(graphs["encoder"], precision, ranges)
            eight = scratch / "eight"
            eight.mkdir()
            info = replace(model.info, precision=precision)
            found[precision] = agreement(exact, ProcessorEngine.of(info, graphs, eight), photos)
        give_back()
        progress.update()
        reports = {}
        for name, graph in graphs.items():
            file = unfinished / f"{name}.{'bin' if wanted else 'dlc'}"
            if wanted:
                reports[name] = to_context(graph, wanted, file, allow_cpu)
            else:
                reports[name] = to_dlc(graph, file, allow_cpu)
            progress.update()
        bundle = _bundle(model, unfinished, precision, graphs, wanted, reports)
        replace(bundle, agreement={name: asdict(each) for name, each in found.items()}).seal()
    return Bundle.open(folder, verify=False)


def check_export(
    folder: str | os.PathLike[str],
    precision: str = "float",
    calibration: ImageSource = None,
    chip: str | None = None,
) -> tuple[Path, Chip | None]:
    """Refuse what `export` would refuse for any model, before a model is fetched or loaded."""
    if precision not in QNN_PRECISIONS:
        wanted = ", ".join(map(repr, QNN_PRECISIONS))
        raise ValueError(f"precision is {precision!r}; wanted one of {wanted}")
    if precision == "float" and calibration is not None:
        raise ValueError("calibration is for 'w8a8' and 'w8a16', not 'float'; leave it out")
    found = None if chip is None else chip_of(chip)
    if found and not found.has_float:
        raise ValueError(
            f"chip is {chip!r}, whose NPU does not compute in float, as the decoder is; wanted a "
            "newer one, or a file for its processor: target='litert'"
        )
    require("export for QNN", ["onnxruntime_qnn"])
    folder = path("folder", folder)
    check_free(folder)
    calibration_images(calibration, argument="calibration")
    return folder, found


def _bundle(
    model: ZooModel,
    folder: Path,
    precision: str,
    graphs: Mapping[str, onnx.ModelProto],
    chip: Chip | None,
    reports: Mapping[str, Report],
) -> Bundle:
    """Describe the files in a folder as a bundle, which is not sealed yet."""
    paths = {
        name: file
        for name in graphs
        for file in folder.glob(f"{name}.*")
        if file.suffix in (".bin", ".dlc")
    }
    recipe = {
        **({"chip": chip.name, "soc": chip.soc, "arch": chip.arch} if chip else {}),
        "encoder": precision,
        "decoder": "float",
        "compiled": {name: asdict(report) for name, report in reports.items()},
    }
    info = replace(model.info, precision=precision)
    made = made_with("torch", "onnx", "onnxruntime", "onnxruntime-qnn")
    return Bundle(folder, info, OPSET, described(paths, graphs), made, recipe)
