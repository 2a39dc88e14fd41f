from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sam2lab.runtime.video.rounding import pack, unpack


@given(arrays(np.float32, st.integers(0, 9), elements=st.floats(-(2.0**100), 2.0**100, width=32)))
def test_rounds_as_torch_does(numbers: np.ndarray) -> None:
    wanted = torch.from_numpy(numbers).to(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(unpack(pack(numbers)), wanted)


def test_takes_two_bytes_a_number_and_writes_where_it_is_told() -> None:
    numbers = np.linspace(-3, 3, 12, dtype=np.float32).reshape(3, 4).T
    packed = pack(numbers)
    assert (packed.dtype, packed.nbytes) == (np.uint16, 24)
    out = np.empty((2, 4, 3), np.float32)
    assert unpack(packed, out=out[1]) is not None
    np.testing.assert_array_equal(out[1], unpack(packed))
