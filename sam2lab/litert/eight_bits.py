"""Make a .tflite file smaller by storing weights in 8 bits and computing in 8 or 16.

Weights get a range for each output channel. Three ways:

- `"w8a8"` is for processors. Linear layers compute in 8 bits; all else, convolutions, attention and
  norms too, stays float, and so do linear layers of the encoder that are too narrow to gain. The
  encoder's ranges are fixed, which takes less time than ranges that are found anew for each row of
  tokens while the file runs. What moves numbers between its linear layers and attention moves them
  in 8 bits, a quarter of the bytes. The decoder's ranges are found while it runs, because fixed
  ones cost its masks most.
- `"w8a8-full"` is for accelerators that know 8 bits only. All operators compute in 8 bits with
  fixed ranges, but softmax, which 8 bits ruin.
- `"w8a16"` has activations in 16 bits with fixed ranges, for accelerators that know them.
  Processors take thirty times as long.

`tests/litert/test_sweep.py` prints what the choices for `"w8a8"` were made by.

What turns coordinates into sines stays float in all, because that needs every digit. Fixed ranges
are the true extremes of the calibration images; the quantizer's own choice cuts some off.
"""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from sam2lab.quantize.tensor_statistics import Feeds

Ranges = Mapping[str, Mapping[str, npt.NDArray[np.float32]]]

# What has fixed ranges, graph by graph.
CALIBRATED = {
    "w8a8": ("encoder",),
    "w8a8-full": ("encoder", "decoder"),
    "w8a16": ("encoder", "decoder"),
}
LAYERS = ("FULLY_CONNECTED",)
# What moves numbers next to linear layers: between them and attention, or what they are added to.
MOVES = ("RESHAPE", "TRANSPOSE", "MAX_POOL_2D", "PAD", "SLICE")
_BLOCKS = r".*/blocks\.\d+/.*"
_POINTS = r".*/points/.*"
# A layer of 32 numbers for each of 16384 tokens takes 0.47 ms in float, 0.89 in 8 bits with both
# its ends converted; one of 128 for each of 1024 takes 0.24 and 0.10.
_NARROW = 32


def in_eight_bits(
    data: bytes, precision: str, ranges: Ranges | None = None, layers: Sequence[str] = LAYERS
) -> bytes:
    """The bytes of a float .tflite file, in 8 bits; inputs and outputs stay float32.

    `ranges` are those of `ranges_of`, for what has fixed ones; without them, `"w8a8"` finds ranges
    while the file runs. `layers` are the operators that `"w8a8"` computes in 8 bits.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    kinds = qtyping.TFLOperationName
    made = quantizer.Quantizer(data)
    if precision == "w8a8" and ranges is None:
        for name in layers:
            made.add_dynamic_config(regex=".*", operation_name=kinds[name], num_bits=8)
    else:
        chosen = dict.fromkeys(layers, ".*") | dict.fromkeys(MOVES, _BLOCKS)
        for name, regex in (chosen if precision == "w8a8" else {"ALL_SUPPORTED": ".*"}).items():
            made.add_static_config(
                regex=regex,
                operation_name=kinds[name],
                activation_num_bits=16 if precision == "w8a16" else 8,
                weight_num_bits=8,
            )
    keeps = [(_POINTS, kinds.ALL_SUPPORTED)]
    if precision == "w8a8" and ranges is not None:
        keeps += [(f"^{re.escape(name)}(;|$)", kinds.ALL_SUPPORTED) for name in narrow(data)]
    if made.need_calibration:
        keeps += [(".*", kinds.INPUT), (".*", kinds.OUTPUT)]
    if precision == "w8a8-full":
        keeps.append((".*", kinds.SOFTMAX))
    for regex, kind in keeps:
        made.update_quantization_recipe(
            regex=regex,
            operation_name=kind,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    with _quietly():
        quantized = made.quantize(ranges, enable_progress_report=False).quantized_model
    return bytes(quantized)


def narrow(data: bytes) -> list[str]:
    """The outputs of linear layers that 8 bits make no faster, and of the moves that follow.

    A product of few numbers takes as long in 8 bits as in float, and its ends must be converted.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    graph = model.subgraphs[0]
    kinds = [code.builtinCode for code in model.operatorCodes]
    layer = schema.BuiltinOperator.FULLY_CONNECTED
    moves = {getattr(schema.BuiltinOperator, name) for name in MOVES}
    found: dict[int, None] = {}
    for each in graph.operators:
        kind, first, output = kinds[each.opcodeIndex], each.inputs[0], each.outputs[0]
        outputs, inputs = graph.tensors[each.inputs[1]].shape if kind == layer else (0, 0)
        if 0 < outputs <= inputs <= _NARROW or (kind in moves and first in found):
            found[output] = None
    return [graph.tensors[tensor].name.decode() for tensor in found]


def ranges_of(data: bytes, feeds: Iterable[Feeds], threads: int = 1) -> Ranges:
    """The extremes of every tensor of a float file, for inputs by name. They serve all precisions.

    `threads` are those of one operator. LiteRT's quantizer takes them as dictionaries of its own.
    """
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    details = Interpreter(model_content=data).get_tensor_details()
    ranks = {each["name"]: len(each["shape"]) for each in details}
    with _quietly():
        seen = calibrator.Calibrator(
            data,
            num_threads=threads,
            # Of the two ways this takes a third of the time and a quarter of the memory.
            mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=qsv_utils.min_max_update,
        )
    for feed in feeds:
        with _quietly():
            # One by one, because it makes a list of all. What is to be quantised changes nothing
            # in this mode.
            seen.calibrate({"serving_default": [feed]}, recipe_manager.RecipeManager())
    found = seen.get_model_qsvs()
    if not found:
        raise ValueError("feeds is empty; wanted inputs to calibrate with")
    # The quantizer wants extremes with as many dimensions as their tensor, where it joins constants
    # to it, and this way of calibrating gives one.
    return {
        name: {end: np.reshape(value, (1,) * ranks.get(name, 1)) for end, value in ends.items()}
        for name, ends in found.items()
    }


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The quantizer draws bars of progress, and opens files in a way that LiteRT warns of."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        yield
