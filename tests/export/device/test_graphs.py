"""The traced device graphs are as accelerators want them, and compute what the modules do."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from sam2lab.export.device.decoder import DeviceDecoder
from sam2lab.export.device.encoder import DeviceEncoder
from sam2lab.export.device.graphs import device_graphs
from sam2lab.reference import zoo
from sam2lab.reference.zoo import ZooModel

Graphs = dict[str, onnx.ModelProto]

SIZE = (80, 112)


@pytest.fixture(scope="module")
def nano() -> ZooModel:
    return zoo.load("nano", weights="random", input_size=SIZE)


@pytest.fixture(scope="module")
def graphs(nano: ZooModel) -> Graphs:
    return dict(device_graphs(nano))


def shapes(graph: onnx.GraphProto) -> dict[str, list[int]]:
    values = [*graph.input, *graph.output, *graph.value_info]
    return {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_every_shape_is_fixed_and_has_four_dimensions_at_most(graphs: Graphs, name: str) -> None:
    graph = graphs[name].graph
    known = shapes(graph)
    made = {out for node in graph.node if node.op_type != "Constant" for out in node.output}
    assert made <= known.keys()
    assert all(min(shape, default=1) > 0 and len(shape) <= 4 for shape in known.values())


def test_the_operators_are_those_that_the_docstring_lists(graphs: Graphs) -> None:
    listed = (device_graphs.__doc__ or "").partition("operators are ")[2].partition(".\n")[0]
    used = {node.op_type for model in graphs.values() for node in model.graph.node}
    assert used == set(listed.replace(" and ", " ").replace(",", " ").split())


def random_inputs(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    inputs = {name: shapes(model.graph)[name] for name in [v.name for v in model.graph.input]}
    arrays = {name: rng.standard_normal(s).astype(np.float32) for name, s in inputs.items()}
    if "point_labels" in arrays:
        arrays["point_labels"][:] = [2, 3, 1, 0, -1, -1, -1, -1]
        arrays["point_coords"] = rng.uniform(0, 80, (1, 8, 2)).astype(np.float32)
        arrays["has_mask_input"][:] = 1
    return arrays


@pytest.mark.parametrize(
    ("name", "build"), [("encoder", DeviceEncoder), ("decoder", DeviceDecoder)]
)
@torch.no_grad()
def test_a_graph_computes_what_its_module_does(
    graphs: Graphs, nano: ZooModel, name: str, build: type[torch.nn.Module]
) -> None:
    inputs = random_inputs(graphs[name])
    session = ort.InferenceSession(
        graphs[name].SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, inputs)
    wanted = build(nano.module, SIZE).eval()(*map(torch.from_numpy, inputs.values()))
    for ours, theirs in zip(found, wanted, strict=True):
        # float32 rounding of values of about 1, which eight blocks add up.
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("points", [1, 65, 2.5, None, True])
def test_a_number_of_points_that_no_graph_has_is_refused(nano: ZooModel, points: object) -> None:
    with pytest.raises(ValueError, match="wanted a whole number from 2 to 64"):
        next(device_graphs(nano, points))
