"""`quantize` turns a float bundle into one that computes in 8 bits where a recipe says so.

The quantisation is static, in QDQ form: every quantised tensor passes a QuantizeLinear and a
DequantizeLinear whose range calibration found, and the runtime joins what stands between them to
integer operators. Weights are signed and have a range for each output channel.

The type of the activations' 8 bits decides the speed. onnxruntime's processor kernels multiply
unsigned by signed bytes: 96 to 384 channels of 65536 tokens take 0.3 to 0.4 of float32's time with
AVX-512 VNNI. Signed by signed bytes take more than twice float32's time, and unsigned by unsigned
take all of it. So the first factor of a product is unsigned, and the second is signed and
symmetric: weights, and in attention the keys and the values.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from tqdm.auto import tqdm

from sam2lab._version import __version__
from sam2lab.graphs.compress import halve_constants
from sam2lab.graphs.writing import write_graph
from sam2lab.quantize.calibration import (
    IMAGE_COUNT,
    ImageReader,
    ImageSource,
    calibration_images,
    decoder_feeds,
    encoder_feeds,
)
from sam2lab.quantize.calibration_clips import FRAMES, memory_feeds
from sam2lab.quantize.calibration_ranges import Spread
from sam2lab.quantize.integer_kernels import for_integer_kernels
from sam2lab.quantize.model_parts import (
    MEMORY,
    OPERATORS,
    Quantisable,
    load_graphs,
    parts_in,
    quantisable,
)
from sam2lab.quantize.recipe import Recipe, checked
from sam2lab.quantize.smoothing import smoothed
from sam2lab.quantize.tensor_statistics import Feeds, observe
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.onnx import OnnxEngine


def quantize(
    bundle: Bundle | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    recipe: Recipe | None = None,
    images: ImageSource = None,
    count: int = IMAGE_COUNT,
) -> Bundle:
    """Write a float bundle in 8 bits into a folder that does not hold a bundle yet.

    The memory encoder stays in float32: it is small, and what it makes is looked at in many frames.

    `images` and `count` say what it is calibrated with, see `calibration_images`. bundle.json
    keeps the recipe.

    ```python
    quantize("models/nano", "models/nano-w8a8", Recipe(calibration="mse"), "my/photos")
    ```
    """
    if not isinstance(bundle, Bundle):
        bundle = Bundle.open(path("bundle", bundle, "a Bundle, or the folder of one"))
    if bundle.info.precision != "float":
        raise ValueError(
            f"bundle {str(bundle.folder)!r} is {bundle.info.precision}; wanted a float one, as "
            "`sam2lab export` writes without --precision"
        )
    folder, recipe = path("folder", folder), checked(recipe)
    check_free(folder)
    return calibrate(bundle, recipe, images, count).write(recipe, folder)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A float bundle, its graphs in the form that is quantised, and the values of their tensors.

    `graphs` has all that can be quantised, by name, and `spreads` has the tensors of each; it is
    empty for a graph that was not to be quantised. One calibration serves all recipes that have
    its smoothing and quantise no more than it did.
    """

    exact: Bundle
    smoothing: float | None
    graphs: Mapping[str, onnx.ModelProto]
    spreads: Mapping[str, Mapping[str, Spread]]

    def write(self, recipe: Recipe, folder: str | os.PathLike[str]) -> Bundle:
        """Write a bundle into a folder that does not hold one yet."""
        folder, recipe = path("folder", folder), checked(recipe)
        check_free(folder)
        if recipe.smoothing != self.smoothing:
            raise ValueError(
                f"recipe has smoothing {recipe.smoothing}, but was calibrated with "
                f"{self.smoothing}; calibrate with this recipe"
            )
        recipe.check_parts(parts_in(self.graphs))
        nodes = {name: self._calibrated_nodes(name, recipe) for name in self.graphs}
        made_with = {"onnxruntime": onnxruntime.__version__, "sam2lab": __version__}
        with appearing(folder) as unfinished:
            graphs = {}
            for name, model in self.graphs.items():
                if nodes[name]:
                    model = _to_qdq(model, nodes[name], self.spreads[name], recipe.calibration)
                graphs[name] = write_graph(halve_constants(model), unfinished / f"{name}.onnx")
            for name, graph in self.exact.graphs.items():
                if name not in graphs:
                    shutil.copyfile(self.exact.path(name), unfinished / graph.file)
                    graphs[name] = graph
            replace(
                self.exact,
                folder=unfinished,
                info=replace(self.exact.info, precision="w8a8"),
                graphs=graphs,
                recipe=recipe.to_json(),
                made_with={**self.exact.made_with, **made_with},
            ).seal()
        return Bundle.open(folder, verify=False)

    def _calibrated_nodes(self, name: str, recipe: Recipe) -> list[Quantisable]:
        """The nodes of a graph that the recipe quantises, all of which must be calibrated."""
        nodes = _quantised(self.graphs[name], name, recipe)
        unseen = {node.part for node in nodes if not self.spreads[name].keys() >= set(node.tensors)}
        if unseen:
            raise ValueError(
                f"recipe quantises {', '.join(sorted(unseen))}, which was not calibrated; "
                "calibrate with a recipe that quantises at least as much"
            )
        return nodes


def calibrate(
    bundle: Bundle, recipe: Recipe, images: ImageSource = None, count: int = IMAGE_COUNT
) -> Calibrated:
    """Run a float bundle on images and observe the tensors that the recipe quantises."""
    recipe = checked(recipe)
    readers = calibration_images(images, count)
    graphs = load_graphs(bundle)
    recipe.check_parts(parts_in(graphs))
    spreads: dict[str, Mapping[str, Spread]] = {}
    for name, exact in graphs.items():
        spreads[name] = {}
        # All the scores of a memory at once are half a gigabyte: they stay in bands.
        model = exact if name == MEMORY else for_integer_kernels(exact)
        nodes = _quantised(model, name, recipe)
        if not nodes:
            continue
        if recipe.smoothing is not None:
            feeds = _feeds("look at channels of", name, readers, bundle)
            model = smoothed(model, feeds, recipe.smoothing)
        tensors = list(dict.fromkeys(tensor for node in nodes for tensor in node.tensors))
        feeds = _feeds("calibrate", name, readers, bundle)
        graphs[name], spreads[name] = model, observe(model, tensors, feeds)
    return Calibrated(bundle, recipe.smoothing, graphs, spreads)


def _quantised(model: onnx.ModelProto, graph: str, recipe: Recipe) -> list[Quantisable]:
    return [node for node in quantisable(model, graph) if recipe.quantises(node.part)]


def _feeds(task: str, graph: str, readers: list[ImageReader], bundle: Bundle) -> Iterator[Feeds]:
    # So many clips have as many frames to encode as there are images.
    chosen = readers[::FRAMES] if graph == MEMORY else readers
    shown = tqdm(chosen, desc=f"{task} {graph}", leave=False)
    if graph == "encoder":
        return encoder_feeds(shown, bundle.info)
    if graph == MEMORY:
        return memory_feeds(shown, bundle)
    return decoder_feeds(shown, OnnxEngine(bundle))


def _to_qdq(
    model: onnx.ModelProto,
    nodes: Sequence[Quantisable],
    spreads: Mapping[str, Spread],
    method: str,
) -> onnx.ModelProto:
    signed = {tensor for node in nodes for tensor in node.signed}
    ranges = {
        tensor: spreads[tensor].range(method, symmetric=tensor in signed)
        for node in nodes
        for tensor in node.tensors
    }
    quantizer = QDQQuantizer(
        copy.deepcopy(model),
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(
            CalibrationMethod.MinMax,
            {name: tuple(np.float32(end) for end in ends) for name, ends in ranges.items()},
        ),
        nodes_to_quantize=[node.name for node in nodes],
        nodes_to_exclude=[],
        op_types_to_quantize=list(OPERATORS),
        extra_options={
            "OpTypesToExcludeOutputQuantization": ["Gemm", "MatMul"],
            "TensorQuantOverrides": {
                tensor: [{"quant_type": QuantType.QInt8, "symmetric": True}] for tensor in signed
            },
            "WeightSymmetric": True,
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    return quantizer.model.model
