"""A study of following gives the figures of the masks, for the memory and for both baselines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sam2lab.measure import tracking
from sam2lab.measure.davis import DavisFolder
from sam2lab.measure.tracking import tracking_study
from sam2lab.measure.tracking_metrics import jaccard_and_boundary, summarise_tracking
from sam2lab.measure.videos import Clip, thinned
from sam2lab.runtime.masks import bounding_box
from sam2lab.runtime.segmenter import Segmenter
from tests.measure.test_davis import write
from tests.runtime.video.fake import FakeVideoEngine, centre, clip

FRAMES, HIDDEN = 7, range(4, 5)


class Engine(FakeVideoEngine):
    """The fake, as if it had been trained."""

    def __init__(self, weights: str = "trained-here:0", **settings: Any) -> None:
        super().__init__(**settings)
        self.info = replace(self.info, weights=weights)


def open_engine() -> Engine:
    return Engine()


def squares(name: str = "squares", frames: int = FRAMES) -> Clip:
    """The fake's clip with true masks; the first square is away in the hidden frame."""
    pictures = np.stack(clip(frames, hidden=HIDDEN))
    masks = np.zeros((frames, 2, *pictures.shape[1:3]), bool)
    for t in range(frames):
        for i in range(2):
            x, y = map(round, centre(t, i))
            masks[t, i, y - 6 : y + 6, x - 6 : x + 6] = i > 0 or t not in HIDDEN
    return Clip(name, pictures, masks)


def rows(table: pd.DataFrame, way: str, number: int, prompt: str = "mask") -> pd.DataFrame:
    chosen = (table["way"] == way) & (table["object"] == number) & (table["prompt"] == prompt)
    return table[chosen].set_index("frame")


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return tracking_study({"fake": Engine()}, [squares()], tracking.PROMPTS)


def test_there_is_a_row_for_each_prompt_way_object_and_frame(table: pd.DataFrame) -> None:
    assert list(table.columns) == tracking.COLUMNS
    assert len(table) == len(tracking.PROMPTS) * len(tracking.WAYS) * 2 * FRAMES
    assert not table.duplicated(["prompt", "way", "object", "frame"]).any()
    assert (table.attrs["skipped"], table.attrs["interrupted"]) == ([], False)


def test_the_first_and_the_last_frame_do_not_count(table: pd.DataFrame) -> None:
    counted = table[table["is_counted"]]
    assert set(counted["frame"]) == set(range(1, FRAMES - 1))


@pytest.mark.parametrize("prompt", tracking.PROMPTS)
def test_the_memory_follows_what_moves_and_knows_what_is_gone(
    table: pd.DataFrame, prompt: str
) -> None:
    moving = rows(table, "memory", 2, prompt).query("is_counted")
    # The fake's masks have blurred edges: a quarter of a square's width of 12 pixels.
    assert moving["j"].min() > 0.5
    assert (moving["score"] > 0).all()
    gone = rows(table, "memory", 1, prompt).loc[HIDDEN[0]]
    assert (gone["j"], gone["f"], gone["area_px"]) == (1, 1, 0)
    assert gone["score"] < 0


def test_a_mask_that_is_held_still_has_the_figures_of_the_first_frames_mask(
    table: pd.DataFrame,
) -> None:
    still = rows(table, "held still", 2)
    video = squares()
    # The memory's answer to a mask is that mask in a quarter of the input's size; it is held.
    held = rows(table, "memory", 2).loc[0]
    assert (still.loc[0, "j"], still.loc[0, "f"]) == (held["j"], held["f"])
    # The square moves by 2 of its 12 columns in each frame.
    truth = [video.labels(t) == 2 for t in range(FRAMES)]
    expected = [jaccard_and_boundary(mask, truth[0]).j for mask in truth]
    np.testing.assert_allclose(still["j"], expected, atol=0.25)
    assert still["j"].is_monotonic_decreasing
    assert still["score"].isna().all()


def test_the_image_model_is_asked_again_for_the_box_of_its_last_mask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answered = [], []
    segment = Segmenter.segment_images

    def noted(self: Segmenter, *given: Any, **prompt: Any) -> Any:
        asked.append(prompt["boxes"])
        (answer,) = segment(self, *given, **prompt)
        answered.append(answer.masks > 0)
        return [answer]

    monkeypatch.setattr(Segmenter, "segment_images", noted)
    tracking_study({"fake": Engine()}, [squares()])
    assert len(asked) == FRAMES - 1
    # Squares of different colours do not overlap, so every answer is an object's mask.
    for boxes, masks in zip(asked[1:], answered, strict=False):
        for box, mask in zip(boxes, masks[:, 0], strict=True):
            if mask.any():
                np.testing.assert_array_equal(box, bounding_box(mask))


def test_baselines_can_be_left_out() -> None:
    engine = Engine()
    found = tracking_study({"fake": engine}, [squares()], baselines=False)
    assert set(found["way"]) == {"memory"}
    assert sum(engine.encoded) == FRAMES


def test_an_object_that_comes_later_is_prompted_then_and_counts_after_that() -> None:
    video = squares()
    # Two frames are without the second square.
    for t in range(2):
        video.frames[t] = clip(FRAMES, squares=1, hidden=HIDDEN)[t]
        video._labels[t][video._labels[t] == 2] = 0
    found = rows(tracking_study({"fake": Engine()}, [video]), "memory", 2)
    assert list(found.index) == list(range(2, FRAMES))
    assert list(found.index[found["is_counted"]]) == list(range(3, FRAMES - 1))
    assert found["j"].min() > 0.5


def test_a_folder_in_daviss_format_gives_the_same_figures(tmp_path: Path) -> None:
    video = squares()
    write(tmp_path, "squares", [video.labels(t) for t in range(FRAMES)])
    # Lossless frames, under a name that sorts as numbers only.
    place = tmp_path / "JPEGImages" / "480p" / "squares"
    for t, frame in enumerate(video.frames):
        (place / f"{t:05d}.jpg").unlink()
        Image.fromarray(frame).save(place / f"{t:05d}.png")
    found = tracking_study({"fake": Engine()}, DavisFolder(tmp_path))
    pd.testing.assert_frame_equal(found, tracking_study({"fake": Engine()}, [video]))


def test_frames_without_labels_are_followed_but_have_no_row(tmp_path: Path) -> None:
    video = squares()
    write(tmp_path, "squares", [video.labels(t) for t in range(FRAMES)], every=3)
    found = tracking_study({"fake": Engine()}, DavisFolder(tmp_path), baselines=False)
    assert sorted(set(found["frame"])) == [0, 3, 6]
    assert set(found["frame"][found["is_counted"]]) == {3}


def test_videos_that_cannot_be_read_are_skipped_and_told(tmp_path: Path) -> None:
    for name in ("good", "broken", "other size"):
        write(tmp_path, name, [squares().labels(t) for t in range(FRAMES)])
    folder = tmp_path / "JPEGImages" / "480p"
    (folder / "broken" / "00003.jpg").write_bytes(b"no picture")
    for file in (folder / "other size").iterdir():
        from PIL import Image

        Image.new("RGB", (32, 32)).save(file)
    found = tracking_study({"fake": Engine()}, DavisFolder(tmp_path))
    assert set(found["sequence"]) == {"good"}
    reasons = {each["sequence"]: each["reason"] for each in found.attrs["skipped"]}
    assert set(reasons) == {"broken", "other size"}
    assert "00003.jpg" in reasons["broken"]
    assert "wanted the same" in reasons["other size"]


class TestRefused:
    def test_random_weights(self) -> None:
        with pytest.raises(ValueError, match=r"engines\['a'\] has random weights"):
            tracking_study({"a": Engine("random:0")}, [squares()])

    def test_an_engine_without_a_memory(self) -> None:
        engine = Engine()
        engine.video = None
        with pytest.raises(ValueError, match=r"engines\['a'\] has no memory.* export"):
            tracking_study({"a": engine}, [squares()])

    @pytest.mark.parametrize("prompts", ["scribble", [], ["mask", "scribble"]])
    def test_other_prompts(self, prompts: Any) -> None:
        with pytest.raises(ValueError, match="wanted some of: mask, click, box"):
            tracking_study({"a": Engine()}, [squares()], prompts)

    def test_no_videos_and_two_of_one_name(self) -> None:
        for videos, message in (([], "no videos"), ([squares(), squares()], "'squares'")):
            with pytest.raises(ValueError, match=message):
                tracking_study({"a": Engine()}, videos)

    def test_no_engines(self) -> None:
        with pytest.raises(ValueError, match="wanted names with engines"):
            tracking_study({}, [squares()])


def test_a_memory_that_was_never_trained_is_measured_and_told() -> None:
    engines = {"new": Engine(is_trained=False), "good": Engine()}
    with pytest.warns(UserWarning, match=r"memory of engines\['new'\] was never trained"):
        found = tracking_study(engines, [squares(frames=3)], baselines=False)
    told = {name: facts["memory"] for name, facts in found.attrs["engines"].items()}
    assert told == {"new": "untrained", "good": "trained"}


def test_workers_give_the_same_table() -> None:
    videos = [squares("a", 4), squares("b", 5)]
    here = tracking_study({"fake": open_engine}, videos)
    with ThreadPoolExecutor(2) as pool:
        there = tracking_study({"fake": open_engine}, videos, executor=pool, in_flight=1)
    pd.testing.assert_frame_equal(there, here)


def test_a_study_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    file, videos = tmp_path / "study.jsonl", [squares("a", 4), squares("b", 5)]
    first, second = Engine(), Engine()
    first.fail_in, first.calls_left = "encode", 10
    begun = tracking_study({"fake": first}, videos, keep_in=file)
    assert begun.attrs["interrupted"]
    assert set(begun["sequence"]) == {"a"}
    whole = tracking_study({"fake": second}, videos, keep_in=file)
    # The memory and the boxes encode each frame, but boxes not the first.
    assert sum(second.encoded) == 5 + 4
    pd.testing.assert_frame_equal(whole, tracking_study({"fake": Engine()}, videos))
    with pytest.raises(ValueError, match="with other prompts"):
        tracking_study({"fake": second}, videos, "box", keep_in=file)


def test_a_summary_puts_the_baselines_beside_the_memory(table: pd.DataFrame) -> None:
    summary = summarise_tracking(table).set_index(["prompt", "way"])
    for prompt in tracking.PROMPTS:
        figures = summary.loc[prompt]["j_and_f"]
        assert figures["memory"] > figures["held still"]


def test_a_thinned_clip_has_the_frames_and_labels_of_every_so_manyth_frame() -> None:
    whole = squares()
    part = thinned(whole, 3)
    assert list(part.annotated) == [0, 1, 2]
    for number, frame in enumerate(range(0, FRAMES, 3)):
        np.testing.assert_array_equal(part.frames[number], whole.frames[frame])
        np.testing.assert_array_equal(part.labels(number), whole.labels(frame))
    with pytest.raises(ValueError, match="step is 0"):
        thinned(whole, 0)
