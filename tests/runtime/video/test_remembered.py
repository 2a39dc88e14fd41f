"""What is shown of the memory is what following looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.video import remembered
from sam2lab.runtime.video.predictor import VideoPredictor
from sam2lab.runtime.video.protocol import Memories
from sam2lab.runtime.video.state import VideoState
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

FRAMES = 10


class Watched(FakeVideoEngine):
    """The fake, which keeps what every frame looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.looked: list[Memories] = []

    def condition(self, features: Features, memories: Memories) -> Features:
        self.looked.append(memories)
        return super().condition(features, memories)


@pytest.fixture(scope="module")
def followed() -> tuple[VideoPredictor, Any, VideoState]:
    engine = Watched()
    predictor = VideoPredictor(engine)
    state = predictor.init_state(clip(FRAMES))
    predictor.add_new_points_or_box(state, 0, "a", points=[centre(0, 0)], labels=[1])
    for _ in predictor.propagate_in_video(state, progress=False):
        pass
    return predictor, engine, state


def test_frames_look_at_what_they_looked_at(followed: Any) -> None:
    predictor, engine, state = followed
    assert len(engine.looked) == FRAMES - 1
    for frame, memories in enumerate(engine.looked[: FRAMES - 1], start=1):
        chosen = remembered.looks_at(predictor, state, "a", frame)
        assert [age for _, age in chosen.memories] == memories.memory_age[0].tolist()
        maps = [remembered.memory_map(state, "a", one) for one, _ in chosen.memories]
        np.testing.assert_array_equal(
            np.stack([each.reshape(memories.memory[0, 0].shape) for each in maps]),
            memories.memory[0],
        )


def test_a_memory_has_a_row_of_numbers_for_each_cell(followed: Any) -> None:
    predictor, engine, state = followed
    cells = remembered.memory_map(state, "a", 3).shape
    assert cells == (*engine.info.embed_size, predictor.settings.memory_channels)


def test_memory_that_is_not_there_is_refused(followed: Any) -> None:
    predictor, _, state = followed
    fresh = predictor.init_state(clip(FRAMES))
    predictor.add_new_points_or_box(fresh, 0, "a", points=[centre(0, 0)], labels=[1])
    with pytest.raises(ValueError, match="frame_idx is 0, of which object 'a' has no memory; pro"):
        remembered.memory_map(fresh, "a", 0)
    with pytest.raises(ValueError, match="obj_id is 'b'; wanted one of the objects"):
        remembered.memory_map(state, "b", 0)


def test_what_memory_changes_is_the_distance_of_the_features(followed: Any) -> None:
    predictor, engine, state = followed
    moved = remembered.changed_by_memory(predictor, state, "a", 5)
    features = predictor._follower._features(state, 5)
    conditioned = FakeVideoEngine.condition(engine, features, engine.looked[4])
    squares = (conditioned.image_embed - features.image_embed).astype(float) ** 2
    assert moved.shape == engine.info.embed_size
    np.testing.assert_allclose(moved, np.sqrt(squares.sum(axis=1))[0], rtol=1e-6)
    same = remembered.changed_by_memory(predictor, state, "a", 5, than="a")
    assert (same == 0).all()
