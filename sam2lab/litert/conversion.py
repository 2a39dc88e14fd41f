"""`Conversion` says what each tensor of an ONNX graph is in the .tflite file written of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from sam2lab.litert.flatbuffer import TfliteBuilder

TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]

# Smaller constants stay in single precision: coordinates' frequencies need every digit.
_LARGE = 4096


class Conversion:
    """One graph on its way: what each of its tensors is in the file.

    ONNX convolves with channels first and LiteRT with channels last. `last` has the tensors that
    exist with channels last, so that pairs of transpositions go away.
    """

    def __init__(self, model: onnx.ModelProto, half: bool) -> None:
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        self.graph, self.half, self.builder = model.graph, half, TfliteBuilder()
        self.shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*self.graph.value_info, *self.graph.input, *self.graph.output)
        }
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.last: dict[str, int] = {}
        # What a reshaped tensor was before: only the last of several reshapes is written.
        self.unshaped: dict[str, str] = {}
        # What a transposed tensor was before, and its axes.
        self.turned: dict[str, tuple[str, list[int]]] = {}
        # Products' factors, and whether the second is transposed; and those of softmax's input.
        self.scores: dict[str, tuple[int, int, bool]] = {}
        self.weights: dict[str, tuple[int, int, bool]] = {}
        self.tensors: dict[str, int] = {}

    def get(self, name: str) -> int:
        """The tensor of a name. A constant has one for each use, as LiteRT's quantizer wants."""
        if name in self.constants:
            return self.constant(self.constants[name], name)
        if name not in self.tensors:
            shape = self.shapes.get(name, [0])
            if 0 in shape:
                raise ValueError(f"model's tensor {name} has no fixed shape, but {shape}")
            self.tensors[name] = self.builder.tensor(name, shape)
            if name in self.last:
                self.transpose(self.last[name], self.tensors[name], TO_FIRST)
        return self.tensors[name]

    def constant(self, values: Any, name: str = "constant") -> int:
        """A tensor that holds values; whole numbers become int32."""
        data = np.asarray(values)
        data = data.astype(np.int32 if data.dtype.kind == "i" else np.float32)
        unique = f"{name};{len(self.builder.tensors)}"
        if not (self.half and data.dtype == np.float32 and data.size >= _LARGE):
            return self.builder.tensor(unique, data.shape, data)
        stored = self.builder.tensor(f"{unique}/half", data.shape, data.astype(np.float16))
        restored = self.builder.tensor(unique, data.shape)
        self.builder.operator("DEQUANTIZE", [stored], [restored], "Dequantize")
        return restored

    def between(self, name: str, shape: Sequence[int]) -> int:
        """A new tensor that the graph does not have; names are made unique."""
        return self.builder.tensor(f"{name};{len(self.builder.tensors)}", shape)

    def reshape(self, tensor: int, output: int, shape: Sequence[int]) -> None:
        """Write a reshape."""
        to = self.constant(np.array(shape, np.int32))
        self.builder.operator("RESHAPE", [tensor, to], [output], "Reshape", newShape=list(shape))

    def reshaped(self, source: str, output: str) -> None:
        """Let a name be another's tensor in its own shape."""
        self.unshaped[output] = source
        if self.shapes[source] == self.shapes[output]:
            self.tensors[output] = self.get(source)
        else:
            self.reshape(self.get(source), self.get(output), self.shapes[output])

    def named(self, name: str, shape: Sequence[int]) -> str:
        """The name of a new tensor that the graph does not have, made of one that it has."""
        made = self.between(name, shape)
        unique: str = self.builder.tensors[made].name.decode()
        self.tensors[unique], self.shapes[unique] = made, list(shape)
        return unique

    def transpose(self, tensor: int, output: int, axes: Sequence[int]) -> None:
        """Write a transposition."""
        self.builder.operator("TRANSPOSE", [tensor, self.constant(axes)], [output], "Transpose")

    def is_transposed(self, name: str) -> bool:
        """Whether a tensor's columns were not the last dimension before its last move."""
        return name in self.turned and self.turned[name][1][-1] != len(self.shapes[name]) - 1

    def transposed(self, name: str) -> int:
        """The tensor of `is_transposed` with its last two dimensions exchanged."""
        source, axes = self.turned[name]
        axes = [*axes[:-2], axes[-1], axes[-2]]
        if axes == sorted(axes):
            return self.get(source)
        made = self.between(f"{name}/transposed", [self.shapes[source][axis] for axis in axes])
        self.transpose(self.get(source), made, axes)
        return made

    def channels_last(self, name: str) -> int:
        """A tensor (N, C, h, w) as (N, h, w, C)."""
        if name not in self.last:
            shape = [self.shapes[name][axis] for axis in TO_LAST]
            self.last[name] = self.between(f"{name}/last", shape)
            self.transpose(self.get(name), self.last[name], TO_LAST)
        return self.last[name]

    def from_channels_last(self, name: str) -> int:
        """A tensor (N, h, w, C) for what computes `name`; turned back where `name` is wanted."""
        shape = [self.shapes[name][axis] for axis in TO_LAST]
        self.last[name] = self.between(f"{name}/last", shape)
        return self.last[name]
