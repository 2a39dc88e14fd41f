"""The layers of an exported bundle: its graphs are copied in memory, with more outputs."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sam2lab.runtime.bundle import MAP_STEPS
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Float32

# A layer's tensor is what its last node computes, and a node's name begins with the path of its
# module in the exported graph. Simplifying and halving a graph keep those names.
SCOPES = {
    "encoder": (
        ("patch_embed", r"/patch_embed/"),
        ("position", r"/Add$"),
        (r"blocks.\1", r"/blocks\.(\d+)/"),
        (r"laterals.\1", r"/neck/laterals\.(\d+)/"),
        ("neck", r"/neck/[^/]+$"),
    ),
    "decoder": (
        ("prompt tokens", r"/points/"),
        ("prompt mask", r"/masks/"),
        (r"layers.\1 tokens", r"/transformer/layers\.(\d+)/norm3/"),
        (r"layers.\1 image", r"/transformer/layers\.(\d+)/norm4/"),
        ("final tokens", r"/transformer/norm_final_attn/"),
        ("upscaled 2x", r"/heads/upscaling/act1/"),
        ("upscaled 4x", r"/heads/upscaling/act2/"),
        (r"kernels.\1", r"/heads/hypernetworks\.(\d+)/"),
    ),
}


def watched(engine: OnnxEngine) -> tuple[OnnxEngine, dict[str, Float32]]:
    """A copy of the engine, and a dictionary that it fills with every layer that it computes."""
    layers: dict[str, Float32] = {}
    watching = copy.copy(engine)
    watching._opened = {
        graph: _Recorder(session, engine.bundle.path(graph), SCOPES[graph], layers)
        for graph, session in engine._opened.items()
        if graph in SCOPES
    }
    return watching, layers


class _Recorder:
    """Runs a graph as an onnxruntime session does, and keeps its layers."""

    def __init__(
        self,
        session: Any,
        path: Path,
        scopes: Sequence[tuple[str, str]],
        layers: dict[str, Float32],
    ) -> None:
        # Looking into a graph needs onnx; serving one does not.
        import onnx
        import onnxruntime

        model = onnx.load(path)
        self._tensors = layer_tensors([(n.name, n.output[0]) for n in model.graph.node], scopes)
        already = {output.name for output in model.graph.output}
        model.graph.output.extend(
            onnx.ValueInfoProto(name=name)
            for name in dict.fromkeys(self._tensors.values())
            if name not in already
        )
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(),
            session.get_session_options(),
            providers=session.get_providers(),
        )
        self._layers = layers
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        self._map_steps = json.loads(metadata.get(MAP_STEPS, "{}"))

    def run(self, names: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        outputs = self._session.run([*names, *self._tensors.values()], feeds)
        inside = outputs[len(names) :]
        for layer, tensor in zip(self._tensors, inside, strict=True):
            if steps := self._map_steps.get(layer):
                rows = tensor.reshape(steps["shape"])
                tensor = rows.transpose(steps["axes"]).reshape(steps["map"])
            self._layers[layer] = tensor.astype(np.float32)
        return list(outputs[: len(names)])


def layer_tensors(
    nodes: Sequence[tuple[str, str]], scopes: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """The tensor that each layer gives: nodes are (name, first output), in a graph's order.

    >>> nodes = [("/blocks.0/norm1/Mul", "a"), ("/blocks.0/Add", "b"), ("/blocks.1/Add", "c")]
    >>> layer_tensors(nodes, SCOPES["encoder"])
    {'blocks.0': 'b', 'blocks.1': 'c'}
    """
    leaving = {}
    for name, output in nodes:
        for layer, scope in scopes:
            match = re.match(scope, name)
            if match:
                leaving[match.expand(layer)] = output
    return leaving
