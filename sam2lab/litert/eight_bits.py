"""Make a .tflite file smaller by storing weights in 8 bits and computing in 8 or 16.

Weights get a range for each output channel. Three ways:

- `"w8a8"` is for processors. Linear layers and convolutions compute in 8 bits with ranges that are
  found anew for each row of tokens while the file runs; all else, attention too, stays float. It
  needs no calibration. Fixed ranges for the same layers lost twice as much: of nano's masks at
  256x256, 36 prompts on 6 photos, 0.982 was left with the encoder so and 0.963 with the decoder so
  (mean IoU with the float files), where 0.994 and 0.990 are left. They are little faster: an encode
  of tiny at 512x512 took 0.47 of the float file's time with them, and 0.51 without (processor
  seconds of one thread of a busy machine). nano, whose layers are narrow, gains no time either way.
- `"w8a8-full"` is for accelerators that know 8 bits only. All operators compute in 8 bits with
  fixed ranges, but softmax, which 8 bits ruin.
- `"w8a16"` has activations in 16 bits with fixed ranges, for accelerators that know them.
  Processors take thirty times as long.

What turns coordinates into sines stays float in all, because that needs every digit. Fixed ranges
are the true extremes of the calibration images; the quantizer's own choice cuts some off.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from sam2lab.quantize.tensor_statistics import Feeds

CALIBRATED = ("w8a8-full", "w8a16")
_POINTS = r".*/points/.*"


def in_eight_bits(data: bytes, precision: str, feeds: Sequence[Feeds] = ()) -> bytes:
    """The bytes of a float .tflite file, in 8 bits; inputs and outputs stay float32.

    `feeds` are inputs by name, for the precisions of `CALIBRATED`.
    """
    from ai_edge_quantizer import algorithm_manager, qtyping, quantizer

    kinds = qtyping.TFLOperationName
    made = quantizer.Quantizer(data)
    if precision == "w8a8":
        for kind in (kinds.FULLY_CONNECTED, kinds.CONV_2D):
            made.add_dynamic_config(regex=".*", operation_name=kind, num_bits=8)
    else:
        bits = 16 if precision == "w8a16" else 8
        made.add_static_config(
            regex=".*",
            operation_name=kinds.ALL_SUPPORTED,
            activation_num_bits=bits,
            weight_num_bits=8,
        )
    keeps = [(_POINTS, kinds.ALL_SUPPORTED)]
    if precision in CALIBRATED:
        keeps += [(".*", kinds.INPUT), (".*", kinds.OUTPUT)]
    if precision == "w8a8-full":
        keeps.append((".*", kinds.SOFTMAX))
    for regex, kind in keeps:
        made.update_quantization_recipe(
            regex=regex,
            operation_name=kind,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    # The quantizer draws several bars of progress for less than a second, and opens files in a way
    # that LiteRT warns of.
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        ranges = _ranges(data, made, feeds) if precision in CALIBRATED else None
        quantized = made.quantize(ranges, enable_progress_report=False).quantized_model
    return bytes(quantized)


def _ranges(data: bytes, made: Any, feeds: Sequence[Feeds]) -> Any:
    """The extremes of every tensor."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import calibrator
    from ai_edge_quantizer.utils import qsv_utils

    if not feeds:
        raise ValueError("feeds is empty; wanted inputs to calibrate with")
    seen = calibrator.Calibrator(
        data,
        num_threads=1,
        # Of the two ways this takes a third of the time and a quarter of the memory.
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    # It reads a generator once too often, and then calibrates nothing without a word.
    seen.calibrate({"serving_default": list(feeds)}, made._recipe_manager)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    ranks = {each["name"]: len(each["shape"]) for each in interpreter.get_tensor_details()}
    # The quantizer wants extremes with as many dimensions as their tensor, where it joins constants
    # to it, and this way of calibrating gives one.
    return {
        name: {end: np.reshape(value, (1,) * ranks.get(name, 1)) for end, value in ends.items()}
        for name, ends in seen.get_model_qsvs().items()
    }
