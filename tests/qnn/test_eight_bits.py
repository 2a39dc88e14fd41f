"""Ranges that were found once are those of every graph that they serve."""

from __future__ import annotations

import numpy as np

from sam2lab.qnn import ranges_of
from sam2lab.qnn.eight_bits import _smoothed
from sam2lab.quantize.smoothing import SMOOTHING, shares, smooth
from sam2lab.quantize.tensor_statistics import peaks
from tests.qnn import toy_graphs


def test_a_smoothed_graphs_ranges_follow_from_the_graph_that_was_asked() -> None:
    rng = np.random.default_rng(0)
    # Channels of which some are a hundred times as large as others.
    spread = np.geomspace(0.1, 10, 16, dtype=np.float32)
    fed = [{"x": (spread * rng.standard_normal((1, 8, 8, 16))).astype(np.float32)} for _ in "abc"]
    graph = toy_graphs.whole()
    seen = ranges_of(graph, fed)
    assert list(seen.channels) == ["normed"]
    divided = shares(graph, peaks(seen.channels), SMOOTHING)
    changed = _smoothed(graph, seen.channels, divided)
    assert list(changed) == ["normed", "flat"]
    wanted = ranges_of(smooth(graph, divided), fed).ends
    given = seen.ends | changed
    assert given.keys() == wanted.keys()
    for name, ends in wanted.items():
        # The same sums, rounded otherwise.
        np.testing.assert_allclose(given[name], ends, rtol=1e-4, atol=1e-5, err_msg=name)
    assert not np.allclose(seen.ends["normed"], wanted["normed"], rtol=0.1)
