"""Compile a graph for QNN in a child process, and say what became of it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from sam2lab.measure.child import Child, ChildError
from sam2lab.qnn._compiler import steps
from sam2lab.qnn.chips import Chip
from sam2lab.qnn.layers import with_joined_layers
from sam2lab.runtime.requirements import require

QNN = "QNNExecutionProvider"
# Compiling tiny's encoder at 1024 x 1024 takes eight minutes of one core that does nothing else.
PATIENCE_S = 3600.0


class QnnError(ChildProcessError):
    """QNN's compiler or emulator failed, or left nodes to the processor; the message says how."""


@dataclass(frozen=True)
class Report:
    """What compiling one graph took, and where its nodes are.

    `on_qnn` counts the nodes that QNN took after ONNX Runtime had joined some, `on_cpu` those that
    it did not, by operator. `seconds` of a processor and `peak_mb` are those of compiling, `bytes`
    is the file's.
    """

    on_qnn: int
    on_cpu: Mapping[str, int]
    seconds: float
    peak_mb: float
    bytes: int


def to_dlc(graph: onnx.ModelProto, path: Path, allow_cpu: bool = False) -> Report:
    """Write a graph as a .dlc file, which any chip's tools prepare for their chip."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        report = _compile(graph, Path(scratch), dlc=scratch)
        _check(path, report.on_cpu, allow_cpu)
        (written,) = Path(scratch).glob("*.dlc")
        # The writer lets nobody else read it.
        written.chmod(0o644)
        written.replace(path)
    return _sized(report, path)


def to_context(graph: onnx.ModelProto, chip: Chip, path: Path, allow_cpu: bool = False) -> Report:
    """Write a graph as a context binary for one chip.

    Beside it lies `NAME.context.onnx`, with which ONNX Runtime opens it. The binary holds what
    QNN took: where nodes are left to the processor, the other file holds them.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as scratch:
        wrapper = Path(scratch) / f"{path.stem}.context.onnx"
        report = _compile(graph, Path(scratch), chip, context=str(wrapper))
        _check(path, report.on_cpu, allow_cpu)
        (written,) = Path(scratch).glob("*.bin")
        wrapping = onnx.load(wrapper)
        for node in wrapping.graph.node:
            for attribute in node.attribute:
                if attribute.name == "ep_cache_context":
                    attribute.s = path.name.encode()
        onnx.save(wrapping, path.with_name(wrapper.name))
        written.replace(path)
    return _sized(report, path)


def _compile(graph: onnx.ModelProto, scratch: Path, chip: Chip | None = None, **to: str) -> Report:
    require("Compiling for QNN", ["onnxruntime_qnn"])
    source = scratch / "graph.onnx"
    onnx.save(with_joined_layers(graph), source)
    numbers = chip and (chip.soc, chip.arch)
    try:
        with Child(steps, patience_s=PATIENCE_S) as child:
            said = child.ask(graph=str(source), chip=numbers, **to)
    except ChildError as error:
        raise QnnError(
            f"QNN's compiler failed for {chip.name if chip else 'a .dlc file'}: {error}. Try "
            "another precision or a smaller input_size; a process that was ended by -9 had too "
            "little memory"
        ) from None
    nodes = said["nodes"]
    elsewhere = {
        operator: count
        for provider, taken in nodes.items()
        if provider != QNN
        for operator, count in taken.items()
    }
    on_qnn = sum(nodes.get(QNN, {}).values())
    return Report(on_qnn, elsewhere, round(said["seconds"], 2), round(said["peak_mb"]), 0)


def _check(path: Path, on_cpu: Mapping[str, int], allow_cpu: bool) -> None:
    if on_cpu and not allow_cpu:
        listed = ", ".join(f"{count} {operator}" for operator, count in on_cpu.items())
        raise QnnError(
            f"{path.stem}: {sum(on_cpu.values())} nodes would run on the phone's processor "
            f"({listed}), and each of them costs two ways between it and the NPU. Choose another "
            "precision, or allow it: allow_cpu=True, --allow-cpu on the command line"
        )


def _sized(report: Report, path: Path) -> Report:
    return Report(report.on_qnn, report.on_cpu, report.seconds, report.peak_mb, path.stat().st_size)
