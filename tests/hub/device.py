"""The device of the stand-in: MODEL.onnx INPUTS.npz OUTPUTS.npz, by ONNX Runtime.

Like some compilers it forgets the names of outputs.
"""

import sys

import numpy as np


def compute(model: str, inputs: str, outputs: str) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(model)
    with np.load(inputs) as stored:
        assert stored.files == [each.name for each in session.get_inputs()], "in the graph's order"
        samples = len(stored[stored.files[0]])
        answers = [
            session.run(None, {n: stored[n][i] for n in stored.files}) for i in range(samples)
        ]
    np.savez(
        outputs,
        **{f"output_{n}": np.stack(each) for n, each in enumerate(zip(*answers, strict=True))},
    )


if __name__ == "__main__":
    compute(*sys.argv[1:])
