"""Figures of drawn clips are counted right."""

from __future__ import annotations

import pandas as pd
import pytest

from sam2lab.measure.moving_clips import j_at, moving_clips, presence_called
from sam2lab.scenes.mixture import Mixture
from sam2lab.scenes.moving import MovingScenes

# Two clips of three frames, whose object is gone in the last one.
TABLE = pd.DataFrame(
    {
        "engine": "a",
        "prompt": "mask",
        "way": "memory",
        "sequence": clip,
        "frame": frame,
        "j": j,
        "score": score,
        "area_px": 9 if frame < 2 else 0,
    }
    for clip, frame, j, score in [
        ("0", 0, 1.0, 5.0),
        ("0", 1, 0.6, 1.0),
        ("0", 2, 0.0, 2.0),
        ("1", 0, 1.0, 5.0),
        ("1", 1, 0.2, -1.0),
        ("1", 2, 1.0, -2.0),
    ]
)


def test_j_is_a_mean_over_clips_in_each_frame() -> None:
    found = j_at(TABLE, (1, 2))
    assert found["frame"].tolist() == [1, 2]
    assert found["j"].tolist() == pytest.approx([0.4, 0.5])
    assert found["clips"].tolist() == [2, 2]


def test_presence_is_counted_over_all_frames_but_the_first() -> None:
    found = presence_called(TABLE).set_index("of")
    assert found["frames"].to_dict() == {"all": 4, "with it": 2, "without it": 2}
    assert found["right"].to_dict() == {"all": 0.5, "with it": 0.5, "without it": 0.5}


def test_clips_are_the_same_each_time_and_those_that_hide_do() -> None:
    scenes = MovingScenes(Mixture(held_out=True))
    first, again = (moving_clips(scenes, 1, 4, 64, hides=True)[0] for _ in range(2))
    assert first.key == again.key
    assert first.labels(0).any()
    assert not all(first.labels(frame).any() for frame in range(4))
