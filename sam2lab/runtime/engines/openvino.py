"""`OpenVinoEngine` runs a bundle with OpenVINO, whose encoder may compute in bfloat16."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import Any, Literal

from sam2lab.runtime.bundle import GRAPHS, Bundle
from sam2lab.runtime.engines.bundle_engine import BundleEngine, Inputs, check_threads
from sam2lab.runtime.engines.onnx import ProviderReport
from sam2lab.runtime.engines.openvino_attention import join_bands
from sam2lab.runtime.engines.protocol import Float32
from sam2lab.runtime.engines.table import ENGINES
from sam2lab.runtime.requirements import MissingExtra

DEVICE = "CPU"
# The graphs whose products may be rounded: the decoder decides about a mask's edge. With the memory
# encoder rounded, nano follows the first 20 frames of the shipped clip as well (J 0.711 from given
# masks; by ONNX Runtime 0.712).
ROUNDING = ("encoder", "memory_attention", "memory_encoder")


class OpenVinoEngine(BundleEngine):
    """Run the graphs of a bundle, for photos and videos, on the CPU, by OpenVINO.

    `encoder_precision` is the number format of the products of the encoder and of both graphs of
    the memory: `"preferred"` is OpenVINO's choice for this processor, bfloat16 (8 significant bits)
    where that is fastest, and `"f32"` is float32; the attribute of that name holds the format in
    use. The decoder, which decides about a mask's edge, always computes in float32. `threads` are
    those of one operator, by default OpenVINO's choice. `report` counts the nodes of each number
    format.

    Attention is computed in one piece, for which OpenVINO has a kernel; see `openvino_attention`.
    In bfloat16 an encode of tiny takes half of OnnxEngine's time, in float32 nine tenths; a decode
    takes a quarter longer. The number of points may change freely. The first answer takes a third
    of a second longer, and the first for another number of objects a third longer.

    Bundles in float and in fp16 are served; fp16 rounds only the weights. Bundles in 8 bits are
    refused, because OpenVINO computes some of our graphs wrong, without any error.

    One engine may be used from several threads at once; they are answered in turn.

    ```python
    engine = OpenVinoEngine("models/nano")
    print(engine.report)
    ```
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        encoder_precision: Literal["preferred", "f32"] = "preferred",
        threads: int | None = None,
    ) -> None:
        check_options(threads, encoder_precision)
        if openvino is None:
            raise MissingExtra("OpenVinoEngine", ["openvino"], "use OnnxEngine, engine='onnx'")
        super().__init__(bundle, threads)
        if self.info.precision not in ENGINES["openvino"].precisions:
            raise ValueError(
                f"{self.bundle.folder} is {self.info.precision}, which OpenVINO does not compute "
                "right; wanted a bundle in float or fp16. Serve this one by OnnxEngine, "
                "engine='onnx', or open the float one: in bfloat16 that is as fast"
            )
        self._core, self._operators = core(), openvino.opset13
        shared = {} if threads is None else {"INFERENCE_NUM_THREADS": threads}
        self._exact = shared | {"INFERENCE_PRECISION_HINT": "f32"}
        self._rounding = self._exact if encoder_precision == "f32" else shared
        self.open_graphs(GRAPHS)
        chosen = self._opened["encoder"].get_property("INFERENCE_PRECISION_HINT")
        self.encoder_precision: str = chosen.get_type_name()
        self.report = ProviderReport(
            asked=(f"{DEVICE} {self.encoder_precision}",),
            available=tuple(self._core.available_devices),
            nodes={graph: _formats(compiled) for graph, compiled in self._opened.items()},
        )

    @property
    def key(self) -> str:
        """The graphs' bytes and what the encoder multiplies in."""
        return f"openvino:{self.encoder_precision}:{self.bundle.key}"

    def _open(self, graph: str) -> Any:
        options = self._rounding if graph in ROUNDING else self._exact
        model = self._core.read_model(self.bundle.path(graph))
        joined = join_bands(model, self._operators)
        compiled = self._core.compile_model(model, DEVICE, options)
        if joined and "Softmax" in _kinds(compiled):
            # Here OpenVINO has no kernel for attention, and would store all of its scores at once.
            return self._core.compile_model(self.bundle.path(graph), DEVICE, options)
        return compiled

    def _compute(self, opened: Any, outputs: Sequence[str], inputs: Inputs) -> list[Float32]:
        # A new request for each call costs microseconds, and its arrays are not used again.
        request = opened.create_infer_request()
        answer = request.infer(inputs, share_inputs=True, share_outputs=True)
        return [answer[name] for name in outputs]


open_engine = OpenVinoEngine


def check_options(threads: int | None = None, encoder_precision: str = "preferred") -> None:
    """Refuse options that `open_engine` would refuse for any bundle."""
    if encoder_precision not in ("preferred", "f32"):
        raise ValueError(f"encoder_precision is {encoder_precision!r}; wanted 'preferred' or 'f32'")
    check_threads(threads)


@cache
def core() -> Any:
    """OpenVINO's core, one for the process, which keeps it to its end.

    Each core gives its thread a stack for signals, and takes it away when it goes. Where the
    first of two went before the second, the thread was left with a stack that was gone, and the
    next Ctrl-C ended the process (OpenVINO 2026.4 on Linux).
    """
    assert openvino is not None, "OpenVinoEngine refuses to be made without it"
    return openvino.Core()


def _kinds(compiled: Any) -> set[str]:
    """The kinds of nodes that OpenVINO made of a graph."""
    nodes = compiled.get_runtime_model().get_ops()
    return {node.get_rt_info()["layerType"].astype(str) for node in nodes}


def _formats(compiled: Any) -> dict[str, int]:
    """How many nodes compute in each number format, without constants, inputs and outputs."""
    taken: Counter[str] = Counter()
    for node in compiled.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) not in ("Const", "Input", "Output"):
            taken[f"{DEVICE} {facts['runtimePrecision'].astype(str)}"] += 1
    return dict(taken)


def _without_telemetry() -> ModuleType | None:
    """OpenVINO, or None where it is not installed.

    Its import reports to a server of its makers and writes an identity into the user's home, but
    does neither where `openvino_telemetry` is missing. So that is hidden during the import.
    """
    name = "openvino_telemetry"
    before = sys.modules.get(name)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    except ModuleNotFoundError:
        return None
    finally:
        del sys.modules[name]
        if before is not None:
            sys.modules[name] = before


openvino = _without_telemetry()
