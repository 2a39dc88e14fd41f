"""`quantize`: a float bundle → one that computes in 8 bits, as far as a recipe says.

Static and QDQ: every quantised tensor passes a QuantizeLinear and a DequantizeLinear whose range
was found by calibration, and the runtime joins what stands between them to integer operators.
Weights are signed and have a range for each output channel.

Which 8 bits activations get decides about speed. onnxruntime's processor kernels multiply unsigned
by signed bytes: 96 to 384 channels of 65536 tokens take 0.3 to 0.4 of float32's time with AVX-512
VNNI, but signed by signed bytes more than twice as long as float32, and unsigned by unsigned as
long as it. So what comes first in a product is unsigned, and what comes second is signed and
symmetric: weights, and in attention the keys and the values.
"""

from __future__ import annotations

import os
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
from sam2lab.graphs.compress import shrink
from sam2lab.graphs.writing import write_graph
from sam2lab.quantize import calibration
from sam2lab.quantize.calibration import PICTURES, Feeds, Source
from sam2lab.quantize.calibration_ranges import Spread
from sam2lab.quantize.recipe import Recipe, checked, part_of, within
from sam2lab.quantize.rewire import rewire
from sam2lab.quantize.smoothing import smooth, smoothable
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import GRAPHS, Bundle
from sam2lab.runtime.bundle_folder import appearing, check_free
from sam2lab.runtime.engines.onnx import OnnxEngine

# Operators with integer kernels on processors.
_OPERATORS = ("Gemm", "MatMul", "Conv")


def quantize(
    bundle: Bundle | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    recipe: Recipe | None = None,
    images: Source = None,
    count: int = PICTURES,
) -> Bundle:
    """Write a float bundle anew, in 8 bits, into a folder that does not hold a bundle yet.

    `images` and `count` say what it is calibrated with, see `calibration.pictures`. The recipe is
    kept in bundle.json.

    ```python
    quantize("models/nano", "models/nano-w8a8", Recipe(calibration="mse"), "my/photos")
    ```
    """
    if not isinstance(bundle, Bundle):
        bundle = Bundle.open(path("bundle", bundle, "a Bundle, or the folder of one"))
    if bundle.info.precision != "float":
        raise ValueError(
            f"bundle: {bundle.folder} is {bundle.info.precision}; wanted a float one to begin with"
        )
    folder, recipe = path("folder", folder), checked(recipe)
    check_free(folder)
    return calibrate(bundle, recipe, images, count).write(recipe, folder)


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A float bundle, its graphs made ready for 8 bits, and the values that their tensors take.

    `graphs` are by name, encoder and decoder, and so are `spreads`, by tensor in each. Of a graph
    that was not to be quantised there are no spreads. From one calibration bundles can be written
    by many recipes, all with its smoothing.
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
                f"recipe has smoothing {recipe.smoothing}, but was calibrated with {self.smoothing}"
            )
        _check_parts(self.graphs, recipe)
        for name in GRAPHS:
            self._chosen(name, recipe)
        made_with = {"onnxruntime": onnxruntime.__version__, "sam2lab": __version__}
        with appearing(folder) as unfinished:
            replace(
                self.exact,
                folder=unfinished,
                info=replace(self.exact.info, precision="w8a8"),
                graphs={
                    name: write_graph(self.quantized(name, recipe), unfinished / f"{name}.onnx")
                    for name in GRAPHS
                },
                recipe=recipe.to_json(),
                made_with={**self.exact.made_with, **made_with},
            ).seal()
        return Bundle.open(folder, verify=False)

    def quantized(self, name: str, recipe: Recipe) -> onnx.ModelProto:
        """One of the graphs in 8 bits, as far as the recipe says."""
        model, nodes = self.graphs[name], self._chosen(name, recipe)
        if nodes:
            model = _to_qdq(model, nodes, self.spreads[name], recipe.calibration)
        return shrink(model)

    def _chosen(self, name: str, recipe: Recipe) -> list[Quantisable]:
        """What the recipe quantises of a graph, all of which must have been calibrated."""
        nodes = _chosen(self.graphs[name], name, recipe)
        unseen = {node.part for node in nodes if not self.spreads[name].keys() >= set(node.tensors)}
        if unseen:
            raise ValueError(
                f"recipe quantises {', '.join(sorted(unseen))}, which was not calibrated; "
                "calibrate with a recipe that quantises at least as much"
            )
        return nodes


@dataclass(frozen=True)
class Quantisable:
    """A node that has an integer kernel: its part of the model and the tensors to quantise.

    `unsigned` are those that come first in the product, or leave it; `signed` comes second, in
    attention, where it is no weight.
    """

    name: str
    part: str
    unsigned: tuple[str, ...]
    signed: tuple[str, ...]

    @property
    def tensors(self) -> tuple[str, ...]:
        """All tensors that need a range."""
        return self.unsigned + self.signed


def quantisable(model: onnx.ModelProto, graph: str) -> list[Quantisable]:
    """The nodes of a graph, encoder or decoder, that can be quantised."""
    weights = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        part = part_of(graph, node.name)
        if part is None or node.op_type not in _OPERATORS:
            continue
        # A stack of matrices cannot have a range for each channel.
        if node.op_type == "MatMul" and weights.get(node.input[1], 2) > 2:
            continue
        # Convolutions have an integer kernel only where what leaves them is quantised too.
        leaving = (node.output[0],) if node.op_type == "Conv" else ()
        second = () if node.input[1] in weights else (node.input[1],)
        found.append(Quantisable(node.name, part, (node.input[0], *leaving), second))
    return found


def parts(bundle: Bundle) -> list[str]:
    """The parts of a float bundle that a recipe can speak of, in the order they are computed."""
    return _parts(_load(bundle))


def _load(bundle: Bundle) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(bundle.path(name)) for name in GRAPHS}


def _parts(graphs: Mapping[str, onnx.ModelProto]) -> list[str]:
    nodes = [node for name, model in graphs.items() for node in quantisable(model, name)]
    return list(dict.fromkeys(node.part for node in nodes))


def _chosen(model: onnx.ModelProto, graph: str, recipe: Recipe) -> list[Quantisable]:
    return [node for node in quantisable(model, graph) if recipe.quantises(node.part)]


def _check_parts(graphs: Mapping[str, onnx.ModelProto], recipe: Recipe) -> None:
    there = _parts(graphs)
    unknown = [kept for kept in recipe.keep_float if not any(within(p, kept) for p in there)]
    if unknown:
        raise ValueError(
            f"recipe keeps {', '.join(unknown)} in float, which is no part of this model; "
            f"its parts are {', '.join(there)}"
        )


def calibrate(
    bundle: Bundle, recipe: Recipe, images: Source = None, count: int = PICTURES
) -> Calibrated:
    """Run a float bundle on pictures and see what values pass where the recipe quantises."""
    recipe = checked(recipe)
    chosen = calibration.pictures(images, count)
    graphs = _load(bundle)
    _check_parts(graphs, recipe)
    engine = OnnxEngine(bundle)
    spreads: dict[str, Mapping[str, Spread]] = {}
    for name in GRAPHS:
        spreads[name] = {}
        model = rewire(graphs[name])
        nodes = _chosen(model, name, recipe)
        if not nodes:
            continue

        def feeds(task: str, name: str = name) -> Iterator[Feeds]:
            shown = tqdm(chosen, desc=f"{task} {name}", leave=False)
            if name == "encoder":
                return calibration.encoder_feeds(shown, bundle.info)
            return calibration.decoder_feeds(shown, engine)

        if recipe.smoothing is not None:
            outputs = list(smoothable(model))
            peaks = calibration.channel_peaks(model, outputs, feeds("look at channels of"))
            model = smooth(model, peaks, recipe.smoothing)
        tensors = list(dict.fromkeys(tensor for node in nodes for tensor in node.tensors))
        graphs[name], spreads[name] = model, calibration.observe(model, tensors, feeds("calibrate"))
    return Calibrated(bundle, recipe.smoothing, graphs, spreads)


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
        _copy(model),
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
        op_types_to_quantize=list(_OPERATORS),
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


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied
