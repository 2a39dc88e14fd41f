from __future__ import annotations

import numpy as np

from sam2lab.scenes import Mixture, MovingScenes

SCENES = MovingScenes(Mixture())


def test_a_number_gives_the_same_clip_and_another_one_another() -> None:
    one, again, other = SCENES.clip(5, 3, 64), SCENES.clip(5, 3, 64), SCENES.clip(6, 3, 64)
    np.testing.assert_array_equal(one.images, again.images)
    np.testing.assert_array_equal(one.masks, again.masks)
    assert not np.array_equal(one.images, other.images)


def test_unseen_clips_are_others() -> None:
    unseen = MovingScenes(Mixture(held_out=True))
    assert not np.array_equal(SCENES.clip(5, 2, 64).images, unseen.clip(5, 2, 64).images)


def test_nothing_moves_at_pace_0() -> None:
    clip = SCENES.clip(4, 4, 64, pace=0)
    assert (clip.images == clip.images[0]).all()
    assert (clip.masks == clip.masks[0]).all()


def test_objects_can_be_seen_at_first_and_some_leave_and_return() -> None:
    clips = [SCENES.clip(index, 8, 64) for index in range(40)]
    assert all(clip.masks[0].mean() >= 0.01 for clip in clips)
    there = [clip.masks.reshape(8, -1).sum(axis=1) > 0 for clip in clips]
    assert any(row[-1] and not row.all() for row in there)


def test_objects_that_hide_are_out_of_sight_for_a_while_and_most_return() -> None:
    clips = [SCENES.clip(index, 8, 64, 0.4, hides=True) for index in range(12)]
    there = np.array([clip.masks.any(axis=(1, 2)) for clip in clips])
    assert there[:, 0].all()
    assert not there.all(axis=1).any()
    assert there[:, -1].mean() > 0.5
