"""The device of the stand-in: MODEL INPUTS.npz OUTPUTS.npz, by ONNX Runtime or LiteRT.

Like some compilers ONNX Runtime forgets the names of outputs here.
"""

import sys
from pathlib import Path

import numpy as np


def compute(model: str, inputs: str, outputs: str) -> None:
    data = Path(model).read_bytes()
    run = litert(data) if data[4:8] == b"TFL3" else onnx(data)
    with np.load(inputs) as stored:
        samples = len(stored[stored.files[0]])
        answers = [run({name: stored[name][i] for name in stored.files}) for i in range(samples)]
    np.savez(outputs, **{name: np.stack([each[name] for each in answers]) for name in answers[0]})


def onnx(data: bytes):
    import onnxruntime

    session = onnxruntime.InferenceSession(data)

    def run(sample):
        assert list(sample) == [each.name for each in session.get_inputs()], "in the graph's order"
        return {f"output_{n}": each for n, each in enumerate(session.run(None, sample))}

    return run


def litert(data: bytes):
    from ai_edge_litert.interpreter import Interpreter

    run = Interpreter(model_content=data, num_threads=1).get_signature_runner()
    return lambda sample: run(**sample)


if __name__ == "__main__":
    compute(*sys.argv[1:])
