"""Engines for graphs of devices: ONNX Runtime's processor, and Qualcomm's emulator of an NPU."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime

from sam2lab.graphs.writing import write_graph
from sam2lab.measure.child import Child, ChildError
from sam2lab.qnn._compiler import steps
from sam2lab.qnn.compiling import PATIENCE_S, QnnError
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.bundle_engine import Inputs
from sam2lab.runtime.engines.device import DeviceEngine
from sam2lab.runtime.engines.onnx import without_overflow, without_spinning
from sam2lab.runtime.engines.protocol import Float32, ModelInfo


class ProcessorEngine(DeviceEngine):
    """Runs device graphs with ONNX Runtime, in float or as the integers of QDQ form."""

    @classmethod
    def of(cls, info: ModelInfo, graphs: Mapping[str, onnx.ModelProto], folder: Path) -> Self:
        """An engine for graphs in memory, which are written to a folder first."""
        written = {n: write_graph(graph, folder / f"{n}.onnx") for n, graph in graphs.items()}
        return cls(Bundle(folder, info, 17, written, {}))

    @property
    def key(self) -> str:
        """The graphs' bytes, run by ONNX Runtime."""
        return f"device:{self.bundle.key}"

    def _open(self, graph: str) -> Any:
        # What compares files takes turns with other engines.
        options = without_overflow(without_spinning(onnxruntime.SessionOptions()))
        return onnxruntime.InferenceSession(
            str(self.bundle.path(graph)), options, providers=["CPUExecutionProvider"]
        )

    def _compute(self, opened: Any, outputs: Sequence[str], inputs: Inputs) -> list[Float32]:
        return opened.run(list(outputs), dict(inputs))


class QnnEmulator(DeviceEngine):
    """Runs a bundle for one chip in Qualcomm's emulator: what the chip gives, but never how fast.

    A photo of 512 x 512 takes nano 45 s of one core. It works in child processes, since the
    emulator ends its process where it fails; leave it by `with`.

    ```python
    with QnnEmulator("models/nano-qnn-sm8650") as emulator:
        print(agreement(open_segmenter("nano").engine, emulator, [photo]))
    ```
    """

    @property
    def key(self) -> str:
        """The graphs' bytes, run by the emulator."""
        return f"qnn-emulator:{self.bundle.key}"

    def _open(self, graph: str) -> Child:
        recipe = self.bundle.recipe or {}
        if self.bundle.kind != "bin":
            raise ValueError(
                f"bundle is {str(self.bundle.folder)!r}, of .{self.bundle.kind} files; wanted one "
                "that was exported for a chip: target='qnn', chip=..."
            )
        child = Child(steps, patience_s=PATIENCE_S)
        wrapper = self.bundle.path(graph).with_suffix(".context.onnx")
        try:
            child.ask(graph=str(wrapper), chip=[recipe["soc"], recipe["arch"]])
        except ChildError as error:
            child.__exit__()
            raise QnnError(f"Qualcomm's emulator does not open {wrapper}: {error}") from None
        return child

    def _compute(self, opened: Child, outputs: Sequence[str], inputs: Inputs) -> list[Float32]:
        with tempfile.TemporaryDirectory() as scratch:
            files = {name: str(Path(scratch) / f"{name}.npz") for name in ("inputs", "outputs")}
            arrays: dict[str, Any] = dict(inputs)
            np.savez(files["inputs"], **arrays)
            try:
                opened.ask(names=list(outputs), **files)
            except ChildError as error:
                raise QnnError(
                    f"Qualcomm's emulator failed: {error}. A smaller input_size needs less memory"
                ) from None
            with np.load(files["outputs"]) as stored:
                return [stored[name] for name in outputs]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._opened.values():
            child.__exit__()
        self._opened.clear()
