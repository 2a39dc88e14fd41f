"""Long computations are cut into equal bands, however many rows there are at run time."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import torch
from torch import nn

from sam2lab.export.rows import bands, in_bands
from sam2lab.export.tracing import trace


def test_bands_are_split_at_run_time_whatever_the_batch() -> None:
    """The number of rows is free in the graph: a batch of 3 is cut into as many parts as of 1."""

    class Sums(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return in_bands(lambda part: part + part.abs(), (x,), 3)

    graph = trace(Sums(), {"x": ((6, 2), "N")}, ["y"], "N")
    session = ort.InferenceSession(graph.SerializeToString())
    for rows in (6, 9, 21):
        x = np.random.default_rng(0).standard_normal((rows, 2)).astype(np.float32)
        (found,) = session.run(None, {"x": x})
        np.testing.assert_allclose(found, x + np.abs(x), rtol=1e-6)


def test_bands_are_equal_and_none_is_too_large() -> None:
    for length in range(1, 150):
        for limit in range(1, 150):
            count = bands(length, size=length, limit=limit)
            assert length % count == 0
            assert length // count <= limit or count == 1


def test_a_map_is_cut_into_hardly_more_bands_than_needed_or_not_at_all() -> None:
    # 23 is prime: all its rows by themselves would be slower than all at once.
    assert [bands(n, size=n, limit=5) for n in (20, 21, 22, 23)] == [4, 7, 11, 1]
