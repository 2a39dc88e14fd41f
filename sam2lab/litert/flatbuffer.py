"""`TfliteBuilder` collects tensors and operators, and packs them as a .tflite file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Array = npt.NDArray[Any]

# The version of the format, which has been the same since 2018, and the mark of its files.
_VERSION, _MARK = 3, b"TFL3"
# The quantizer takes tensors that share a buffer for one; where ranks differ, it fails.
_LARGE = 4096
_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
}


class TfliteBuilder:
    """A graph of one signature, `serving_default`. Tensors are numbers, as in the format."""

    def __init__(self) -> None:
        self.tensors: list[Any] = []
        self.operators: list[Any] = []
        # The format keeps buffer 0 empty, for tensors that hold no data.
        self.buffers: list[Any] = [schema.BufferT()]
        self._codes: dict[str, int] = {}
        self._shared: dict[tuple[tuple[int, ...], bytes], int] = {}

    def tensor(self, name: str, shape: Sequence[int], data: Array | None = None) -> int:
        """A tensor, float32 if it is computed, else of the type of its data."""
        made = schema.TensorT()
        made.name, made.shape, made.hasRank = name.encode(), [int(side) for side in shape], True
        made.type = _TYPES["float32" if data is None else data.dtype.name]
        made.buffer = 0 if data is None else self._buffer(np.ascontiguousarray(data))
        self.tensors.append(made)
        return len(self.tensors) - 1

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        **fields: Any,
    ) -> None:
        """Add an operator by the schema's name, such as `"ADD"`; -1 is an input left out.

        `options` is the schema's name of its options, without the word Options, and `fields` are
        those that are not as usual.
        """
        made = schema.OperatorT()
        made.opcodeIndex = self._codes.setdefault(kind, len(self._codes))
        made.inputs, made.outputs = list(inputs), list(outputs)
        if options:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, f"{options}Options")
            made.builtinOptions = getattr(schema, f"{options}OptionsT")()
            for name, value in fields.items():
                setattr(made.builtinOptions, name, value)
        self.operators.append(made)

    def pack(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> bytes:
        """The file, without operators and tensors that no output needs."""
        needed = set(outputs.values())
        operators: list[Any] = []
        for operator in reversed(self.operators):
            if needed & set(operator.outputs):
                needed.update(operator.inputs)
                operators.insert(0, operator)
        kept = sorted((needed | set(inputs.values())) - {-1})
        places = {tensor: place for place, tensor in enumerate(kept)} | {-1: -1}
        buffers = sorted({self.tensors[tensor].buffer for tensor in kept} | {0})
        kinds = list(dict.fromkeys(operator.opcodeIndex for operator in operators))
        graph = schema.SubGraphT()
        graph.name = b"main"
        graph.tensors = [self.tensors[tensor] for tensor in kept]
        for tensor in graph.tensors:
            tensor.buffer = buffers.index(tensor.buffer)
        graph.operators = operators
        for operator in operators:
            operator.opcodeIndex = kinds.index(operator.opcodeIndex)
            operator.inputs = [places[tensor] for tensor in operator.inputs]
            operator.outputs = [places[tensor] for tensor in operator.outputs]
        graph.inputs = [places[tensor] for tensor in inputs.values()]
        graph.outputs = [places[tensor] for tensor in outputs.values()]
        names = list(self._codes)
        model = schema.ModelT()
        model.version, model.description = _VERSION, b"sam2lab"
        model.operatorCodes = [_code(names[kind]) for kind in kinds]
        model.subgraphs, model.buffers = [graph], [self.buffers[buffer] for buffer in buffers]
        model.signatureDefs = [_signature(inputs, outputs, places)]
        builder = flatbuffers.Builder(2**20)
        builder.Finish(model.Pack(builder), _MARK)
        return bytes(builder.Output())

    def _buffer(self, data: Array) -> int:
        """A buffer with these values, which large tensors of one shape share."""
        key = data.shape, data.tobytes()
        if data.size >= _LARGE and key in self._shared:
            return self._shared[key]
        made = schema.BufferT()
        made.data = np.frombuffer(key[1], np.uint8)
        self._shared[key] = len(self.buffers)
        self.buffers.append(made)
        return self._shared[key]


def _code(kind: str) -> Any:
    made = schema.OperatorCodeT()
    made.builtinCode = getattr(schema.BuiltinOperator, kind)
    # Readers of before 2020 know the first 127 kinds only, in this field.
    made.deprecatedBuiltinCode, made.version = min(made.builtinCode, 127), 1
    return made


def _signature(
    inputs: Mapping[str, int], outputs: Mapping[str, int], places: Mapping[int, int]
) -> Any:
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = b"serving_default", 0
    made.inputs, made.outputs = ([], [])
    for ends, named in ((made.inputs, inputs), (made.outputs, outputs)):
        for name, tensor in named.items():
            end = schema.TensorMapT()
            end.name, end.tensorIndex = name.encode(), places[tensor]
            ends.append(end)
    return made
