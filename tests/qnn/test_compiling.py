"""Graphs become files for QNN, and what QNN leaves or breaks is told."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from sam2lab.measure.child import Child
from sam2lab.qnn import QnnError, chip, compiling, in_eight_bits, ranges_of, to_context, to_dlc
from sam2lab.qnn._compiler import steps
from sam2lab.runtime.engines.onnx import without_overflow
from sam2lab.runtime.requirements import missing
from tests.qnn import ending, toy_graphs

needs_qnn = pytest.mark.skipif(
    missing(["onnxruntime_qnn"]) != [],
    reason="pip install 'sam2lab[qnn]', whose wheels are for Linux with glibc 2.35 and Windows",
)
# Five tensors are rounded, each by up to half of one of 255 steps that span both signs.
ROUNDED = 5 / 255
S24 = chip("Snapdragon 8 Gen 3")


def feeds(count: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 8, 8, 16)).astype(np.float32)} for _ in range(count)]


def emulated(graph: onnx.ModelProto, fed: Mapping[str, np.ndarray], folder: Path) -> np.ndarray:
    """What a graph that is compiled whole gives in the emulator."""
    report = to_context(graph, S24, folder / "encoder.bin")
    assert not report.on_cpu
    with tempfile.TemporaryDirectory() as scratch, Child(steps) as child:
        files = {name: str(Path(scratch) / f"{name}.npz") for name in ("inputs", "outputs")}
        np.savez(files["inputs"], **fed)
        child.ask(graph=str(folder / "encoder.context.onnx"), chip=[S24.soc, S24.arch])
        child.ask(names=["y"], **files)
        with np.load(files["outputs"]) as stored:
            return stored["y"]


def test_quantised_graphs_leave_nothing_float_and_answer_alike() -> None:
    graph = toy_graphs.whole()
    (fed, *_), exact = feeds(), onnxruntime.InferenceSession(graph.SerializeToString())
    wanted = exact.run(None, fed)[0]
    errors = {}
    for precision in ("w8a8", "w8a16"):
        made = in_eight_bits(graph, precision, ranges_of(graph, feeds()))
        outputs = {value.name for value in made.graph.output}
        read = {
            name
            for node in made.graph.node
            if node.op_type == "QuantizeLinear"
            for name in node.input
        }
        for node in made.graph.node:
            if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
                assert set(node.output) <= read | outputs, node.name
        options = without_overflow(onnxruntime.SessionOptions())
        session = onnxruntime.InferenceSession(made.SerializeToString(), options)
        given = session.run(None, fed)[0]
        errors[precision] = np.abs(given - wanted).max() / np.abs(wanted).max()
    assert errors["w8a16"] < errors["w8a8"] < ROUNDED


@needs_qnn
def test_a_dlc_holds_the_whole_graph(tmp_path: Path) -> None:
    report = to_dlc(toy_graphs.whole(), tmp_path / "encoder.dlc")
    assert report.on_qnn >= 5
    assert not report.on_cpu
    assert report.bytes == (tmp_path / "encoder.dlc").stat().st_size > 0
    assert [path.name for path in tmp_path.iterdir()] == ["encoder.dlc"]


@needs_qnn
@pytest.mark.parametrize("precision", ["float", "w8a8"])
def test_a_context_computes_in_the_emulator_what_the_graph_computes(
    tmp_path: Path, precision: str
) -> None:
    graph = toy_graphs.whole()
    compiled = (
        graph
        if precision == "float"
        else in_eight_bits(graph, precision, ranges_of(graph, feeds()))
    )
    given = emulated(compiled, feeds()[0], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"encoder.bin", "encoder.context.onnx"}
    wanted = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, feeds()[0])[0]
    # Half precision has 11 bits, and a sum of 16 products loses up to 4 of them.
    most = 2**-7 if precision == "float" else ROUNDED
    assert np.abs(given - wanted).max() < most * np.abs(wanted).max()


@needs_qnn
def test_a_product_of_two_tensors_keeps_its_16_bits(tmp_path: Path) -> None:
    graph, rng = toy_graphs.product(), np.random.default_rng(1)
    shapes = {"x": (1, 2, 64, 16), "z": (1, 2, 16, 64)}
    fed = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    given = emulated(in_eight_bits(graph, "w8a16", ranges_of(graph, [fed])), fed, tmp_path)
    error = (given - fed["x"] @ fed["z"]).std() / given.std()
    # Normal numbers reach 4: where the second tensor has 8 bits, the error is 0.009.
    assert error < 0.001


@needs_qnn
@pytest.mark.parametrize("name", ["Snapdragon 8 Gen 3", "Snapdragon 8 Elite"])
def test_a_layer_between_windows_and_a_map_compiles(tmp_path: Path, name: str) -> None:
    report = to_context(toy_graphs.on_windows(), chip(name), tmp_path / "encoder.bin")
    assert not report.on_cpu


@needs_qnn
def test_an_island_on_the_processor_is_an_error_unless_asked_for(tmp_path: Path) -> None:
    with pytest.raises(QnnError, match=r"would run on the phone's processor .*Det"):
        to_dlc(toy_graphs.with_island(), tmp_path / "encoder.dlc")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("ends", "said"), [(ending.crashing, "ended with -11"), (ending.refusing, "1002")]
)
def test_a_compiler_that_ends_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: object, said: str
) -> None:
    monkeypatch.setattr(compiling, "steps", ends)
    monkeypatch.setattr(compiling, "require", lambda *_: None)
    with pytest.raises(QnnError, match=f"failed for Snapdragon 8 Gen 3: .*{said}.*Try another"):
        to_context(toy_graphs.whole(), S24, tmp_path / "encoder.bin")
    assert not list(tmp_path.iterdir())
