"""`OpenVinoEngine`: a bundle served by OpenVINO, whose encoder may work in bfloat16."""

from __future__ import annotations

import importlib
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.bundle_engine import BundleEngine
from sam2lab.runtime.engine import Float32


@dataclass(frozen=True)
class PrecisionReport:
    """Which processor works, and how many nodes of each graph compute in which number format."""

    device: str
    precisions: Mapping[str, str]
    nodes: Mapping[str, Mapping[str, int]]

    def __str__(self) -> str:
        lines = [f"device: {self.device}"]
        for graph, taken in self.nodes.items():
            shares = ", ".join(f"{count} of its nodes on {name}" for name, count in taken.items())
            lines.append(f"{graph}: {self.precisions[graph]} where it can: {shares}")
        return "\n".join(lines)


class OpenVinoEngine(BundleEngine):
    """Encode and decode with the graphs of a bundle, on the CPU, by OpenVINO.

    `encoder_precision` is the number format that the encoder computes in: `"preferred"` is what
    OpenVINO takes for this processor, bfloat16 (8 significant bits) where it multiplies that
    natively, `"f32"` is float32. The decoder always computes in float32, in which a mask's edge
    is decided. See `report`. `threads` is for one operator, OpenVINO's own choice without it.

    One engine may be used from several threads at once; their questions are answered in turn.

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
        super().__init__(bundle, threads)
        if encoder_precision not in ("preferred", "f32"):
            raise ValueError(
                f"encoder_precision is {encoder_precision!r}; wanted 'preferred' or 'f32'"
            )
        if openvino is None:
            raise ModuleNotFoundError(
                "engine='openvino' takes openvino, which is not installed here. Install it (pip "
                "install 'sam2lab[openvino]'), or leave engine out.",
                name="openvino",
            )
        core = openvino.Core()
        common: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            common["INFERENCE_NUM_THREADS"] = threads
        exact = common | {"INFERENCE_PRECISION_HINT": "f32"}
        options = {"encoder": common if encoder_precision == "preferred" else exact}
        options["decoder"] = exact
        self._compiled = {
            graph: core.compile_model(self.bundle.path(graph), "CPU", chosen)
            for graph, chosen in options.items()
        }
        self.report = _report(core.get_property("CPU", "FULL_DEVICE_NAME"), self._compiled)

    @property
    def key(self) -> str:
        """The graphs' bytes and the format that the encoder computes in."""
        return f"openvino:{self.report.precisions['encoder']}:{self.bundle.key}"

    def _run(
        self, graph: str, outputs: Sequence[str], inputs: Mapping[str, Float32]
    ) -> list[Float32]:
        # A request costs microseconds and owns the arrays that it answers with.
        request = self._compiled[graph].create_infer_request()
        answer = request.infer(inputs, share_inputs=True, share_outputs=True)
        return [answer[name] for name in outputs]


def _report(device: str, compiled: Mapping[str, Any]) -> PrecisionReport:
    precisions, nodes = {}, {}
    for graph, model in compiled.items():
        precisions[graph] = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        nodes[graph] = _formats(model)
    return PrecisionReport(device.strip(), precisions, nodes)


def _formats(model: Any) -> dict[str, int]:
    """How many nodes compute in each number format; constants and the graph's ends do not."""
    taken: Counter[str] = Counter()
    for node in model.get_runtime_model().get_ops():
        facts = node.get_rt_info()
        if facts["layerType"].astype(str) not in ("Const", "Input", "Output"):
            taken["CPU " + facts["runtimePrecision"].astype(str)] += 1
    return dict(taken)


def _without_telemetry() -> ModuleType | None:
    """OpenVINO, or None where it is not installed.

    Its import tells a server of its makers that it happened, unless `openvino_telemetry` is
    missing; so that seems missing meanwhile.
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
