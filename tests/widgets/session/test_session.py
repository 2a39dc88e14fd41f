"""Every action of a session, with an engine whose answers are known in advance."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sam2lab.runtime.cache import EmbeddingCache
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, PromptBatch
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.session import EngineFailed, Session
from sam2lab.widgets.session.objects import PALETTE
from sam2lab.widgets.session.prompts import Box, Point
from tests.runtime.fakes import Bolder, FakeEngine

PHOTO = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (50, 30, 3), dtype=np.uint8)


class Fragile(FakeEngine):
    """Fails on demand."""

    broken = False

    def encode(self, pixels: Float32) -> Features:
        if self.broken:
            raise MemoryError("out of memory")
        return super().encode(pixels)

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        if self.broken:
            raise RuntimeError("the line is dead")
        return super().decode(features, prompts)


@pytest.fixture
def fragile() -> Fragile:
    return Fragile(key="fragile")


@pytest.fixture
def session(fragile: Fragile) -> Session:
    return Session(
        {
            "plain": Segmenter(FakeEngine()),
            "bold": Segmenter(Bolder(key="bold")),
            "fragile": Segmenter(fragile),
        },
        PHOTO,
    )


def test_the_mode_decides_the_sign_of_a_click_that_gives_none(session: Session) -> None:
    session.add_point(10, 20)
    session.mode = "negative"
    session.add_point(30, 20)
    session.add_point(31, 21, positive=True)
    assert session.prompts == (Point(10, 20), Point(30, 20, False), Point(31, 21))


def test_a_single_click_has_three_candidates_and_chooses_the_best_scored(
    session: Session,
) -> None:
    session.add_point(10, 20)
    assert len(session.candidates) == 3
    assert session.score == pytest.approx(0.4)
    assert np.array_equal(session.mask, session.candidates[2])
    assert session.area == session.mask.sum() > 0


def test_choosing_a_candidate_can_be_undone(session: Session) -> None:
    session.add_point(10, 20)
    session.choose(0)
    assert np.array_equal(session.mask, session.candidates[0])
    session.undo()
    assert np.array_equal(session.mask, session.candidates[2])


def test_a_second_prompt_refines_the_chosen_candidate(session: Session) -> None:
    session.add_point(10, 20)
    session.choose(1)
    first = session.answer().logits[1]
    session.add_point(12, 22)
    asked = session._engines.segmenters["plain"].engine.asked[-1]
    assert np.array_equal(asked.mask_input[0, 0], first)
    assert asked.point_labels.tolist() == [[1, 1]]
    assert len(session.candidates) == 1


def test_the_same_clicks_on_another_candidate_get_another_answer(session: Session) -> None:
    for choice in (0, 2):
        session.add_point(10, 20)
        session.choose(choice)
        session.add_point(30, 20)
        session.commit()
    small, large = session.masks.values()
    assert small.sum() < large.sum()


def test_a_choice_is_dropped_with_its_click(session: Session) -> None:
    session.add_point(10, 20)
    session.choose(0)
    session.add_point(12, 22)
    session.remove_prompt(1)
    assert session.active.choice == 0
    session.remove_prompt(0)
    assert session.active.choice is None


@pytest.mark.parametrize("index", [-1, 3])
def test_a_candidate_that_does_not_exist_is_refused(session: Session, index: int) -> None:
    session.add_point(10, 20)
    with pytest.raises(ValueError, match="3 candidates"):
        session.choose(index)


def test_negative_clicks_alone_have_no_mask_until_a_positive_one(session: Session) -> None:
    session.add_point(10, 20, positive=False)
    assert (session.score, session.area, session.candidates) == (None, 0, [])
    assert session.mask.shape == (40, 60)
    assert session._engines.segmenters["plain"].engine.asked == []
    session.add_point(30, 20)
    (asked,) = session._engines.segmenters["plain"].engine.asked
    assert asked.point_labels.tolist() == [[0, 1]]
    assert asked.mask_input is None


@pytest.mark.parametrize(
    "corners", [(20, 10, 50, 30), (50, 10, 20, 30), (20, 30, 50, 10), (50, 30, 20, 10)]
)
def test_a_box_is_drawn_in_any_direction(
    session: Session, corners: tuple[float, float, float, float]
) -> None:
    session.add_box(*corners)
    assert session.prompts == (Box(20, 10, 50, 30),)
    assert len(session.candidates) == 1


def test_a_new_box_replaces_the_old_one(session: Session) -> None:
    session.add_box(20, 10, 50, 30)
    session.add_point(25, 15)
    session.add_box(-5, 10, 70, 35)
    assert session.prompts == (Point(25, 15), Box(0, 10, 60, 35))


@pytest.mark.parametrize("corners", [(20, 10, 20, 30), (20, 10, 50, 10.5), (70, 0, 90, 20)])
def test_a_box_without_area_is_refused(
    session: Session, corners: tuple[float, float, float, float]
) -> None:
    with pytest.raises(ValueError, match="drag further"):
        session.add_box(*corners)
    assert not session.can_undo


@pytest.mark.parametrize(("x", "y"), [(-1, 5), (5, 41), (float("nan"), 5), (5, float("inf"))])
def test_a_point_beside_the_photo_is_refused(session: Session, x: float, y: float) -> None:
    with pytest.raises(ValueError, match="beside the photo"):
        session.add_point(x, y)
    with pytest.raises(ValueError, match="finite"):
        session.add_box(x, y, float("nan"), 20)
    assert not session.can_undo


def test_a_prompt_is_found_where_it_is_drawn_and_removed(session: Session) -> None:
    session.add_point(10, 20)
    session.add_box(11, 21, 50, 35)
    session.add_point(12, 22, positive=False)
    assert session.prompt_at(12.5, 22.5, radius=3) == 2
    assert session.prompt_at(49, 22, radius=3) == 1
    assert session.prompt_at(30, 30, radius=3) is None
    session.remove_prompt(1)
    assert session.prompts == (Point(10, 20), Point(12, 22, False))
    with pytest.raises(ValueError, match="index is 2; there are 2 prompts, the first is 0"):
        session.remove_prompt(2)
    session.clear()
    with pytest.raises(ValueError, match="index is 0; there are 0 prompts"):
        session.remove_prompt(0)


def test_clearing_removes_all_prompts_in_one_step(session: Session) -> None:
    session.add_point(10, 20)
    session.add_point(20, 20)
    session.clear()
    assert session.prompts == ()
    session.undo()
    assert len(session.prompts) == 2


def test_an_action_that_changes_nothing_adds_no_step_to_undo(session: Session) -> None:
    session.clear()
    session.select(session.active.id)
    session.rename(1, "object 1")
    session.show(1)
    assert not session.can_undo


def test_an_object_is_committed_and_the_next_begins(session: Session) -> None:
    session.add_point(10, 20)
    session.commit("  tabby \n cat ")
    assert [item.name for item in session.objects] == ["tabby cat", "object 2"]
    assert session.active.id == 2
    assert list(session.masks) == [1]
    with pytest.raises(ValueError, match="nothing to commit"):
        session.commit()


def test_an_object_is_reopened_and_the_empty_one_dropped(session: Session) -> None:
    session.add_point(10, 20)
    session.commit()
    session.select(1)
    session.add_point(20, 20)
    assert [item.id for item in session.objects] == [1]
    session.commit()
    assert [item.id for item in session.objects] == [1, 3]


def test_objects_are_renamed_recoloured_hidden_and_shown(session: Session) -> None:
    session.add_point(10, 20)
    session.rename(1, "cat")
    session.recolour(1, "#ABCDEF")
    session.hide(1)
    assert session.active == replace(
        session.active, name="cat", colour="#abcdef", hidden=True, prompts=(Point(10, 20),)
    )
    assert list(session.masks) == [1]
    session.show(1)
    assert not session.active.hidden
    for _ in range(4):
        session.undo()
    assert session.active.name == "object 1"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.rename(1, " \n"), "name is empty"),
        (lambda s: s.recolour(1, "red"), "#rrggbb"),
        (lambda s: s.select(7), "object_id is 7"),
        (lambda s: s.use_engine("tiny"), "'plain', 'bold'"),
        (lambda s: setattr(s, "mode", "maybe"), "'positive' or 'negative'"),
    ],
)
def test_an_impossible_action_is_refused_in_words(
    session: Session, act: Callable[[Session], None], message: str
) -> None:
    before = session.state
    with pytest.raises(ValueError, match=message):
        act(session)
    assert session.state is before


def test_deleting_the_active_object_begins_a_new_one(session: Session) -> None:
    for x in (10, 20, 30):
        session.add_point(x, 20)
        session.commit()
    session.delete(2)
    assert [item.id for item in session.objects] == [1, 3, 4]
    session.select(1)
    session.delete(1)
    assert [item.id for item in session.objects] == [3, 5]
    assert session.active.id == 5
    session.undo()
    session.undo()
    session.undo()
    assert [item.id for item in session.objects] == [1, 2, 3, 4]


def test_objects_get_different_colours_while_the_palette_lasts(session: Session) -> None:
    for _ in PALETTE[1:]:
        session.add_point(10, 20)
        session.commit()
    assert [item.colour for item in session.objects] == list(PALETTE)
    session.delete(3)
    session.add_point(10, 20)
    session.commit()
    assert session.active.colour == PALETTE[2]


def test_an_engine_answers_the_same_prompts_again(session: Session) -> None:
    session.add_point(10, 20)
    plain = session.mask
    session.use_engine("bold")
    assert session.mask.sum() > plain.sum()
    assert session.prompts == (Point(10, 20),)
    session.use_engine("plain")
    assert np.array_equal(session.mask, plain)


def test_undo_works_across_engine_switches_and_commits(session: Session) -> None:
    session.add_point(10, 20)
    session.add_point(12, 20)
    session.commit("cat")
    session.use_engine("bold")
    session.add_point(40, 20)
    session.undo()
    session.undo()
    session.undo()
    assert (session.engine, session.prompts) == ("bold", (Point(10, 20),))
    for _ in range(3):
        session.redo()
    assert [item.name for item in session.objects] == ["cat", "object 2"]
    assert session.prompts == (Point(40, 20),)
    assert not session.can_redo

    fresh = Session({"bold": Segmenter(Bolder(key="bold"))}, PHOTO)
    fresh.add_point(10, 20)
    fresh.add_point(12, 20)
    assert np.array_equal(session.masks[1], fresh.mask)


def test_a_new_action_after_an_undo_clears_the_redo(session: Session) -> None:
    session.add_point(10, 20)
    session.undo()
    session.add_point(20, 20)
    session.redo()
    assert session.prompts == (Point(20, 20),)
    session.undo()
    session.undo()
    assert session.prompts == ()


def test_removing_a_prompt_gives_the_answer_without_it(session: Session) -> None:
    for x in (10, 20, 30):
        session.add_point(x, 20)
    session.remove_prompt(1)
    other = Session(Segmenter(FakeEngine()), PHOTO)
    other.add_point(10, 20)
    other.add_point(30, 20)
    assert np.array_equal(session.answer().logits, other.answer().logits)


@pytest.mark.parametrize(
    "act",
    [
        lambda s: s.add_point(20, 20),
        lambda s: s.add_box(5, 5, 20, 20),
        lambda s: s.remove_prompt(0),
        lambda s: s.redo(),
        lambda s: s.preview(30, 30),
        lambda s: s.choose(0),
        lambda s: s.disagreement("plain", "fragile"),
    ],
)
def test_an_engine_that_fails_changes_nothing(
    session: Session, fragile: Fragile, act: Callable[[Session], object]
) -> None:
    for x in (10, 11, 12):
        session.add_point(x, 20)
    session.undo()
    session.use_engine("fragile")
    before, timings = session.state, session.timings
    fragile.broken = True
    session._engines.answers.kept.clear()
    heard: list[frozenset[str]] = []
    session.subscribe(heard.append)
    with pytest.raises(EngineFailed, match=r"'fragile' failed \(RuntimeError: the line is dead\)"):
        act(session)
    assert session.state is before
    assert session.timings == timings
    assert heard == []
    session.use_engine("plain")
    session.add_point(20, 20)


def test_an_engine_that_fails_does_not_take_over(session: Session, fragile: Fragile) -> None:
    session.add_point(10, 20)
    fragile.broken = True
    with pytest.raises(EngineFailed, match="out of memory"):
        session.use_engine("fragile")
    assert session.engine == "plain"
    assert session.area > 0


def test_known_masks_stay_readable_while_the_engine_fails(
    session: Session, fragile: Fragile
) -> None:
    session.use_engine("fragile")
    session.add_point(10, 20)
    session.add_point(20, 20)
    fragile.broken = True
    session.undo()
    session.redo()
    session.rename(1, "cat")
    assert session.area > 0


def test_a_preview_is_the_mask_that_the_click_would_give_and_leaves_no_trace(
    session: Session,
) -> None:
    heard: list[frozenset[str]] = []
    session.add_point(10, 20)
    session.subscribe(heard.append)
    state, kept = session.state, session._engines.answers.kept.info().entries
    preview = session.preview(30, 20)
    assert session.state is state
    assert session._engines.answers.kept.info().entries == kept
    assert heard == []
    session.add_point(30, 20)
    assert np.array_equal(preview, session.mask)


def test_disagreement_holds_the_pixels_of_only_one_engine(session: Session) -> None:
    session.add_point(20, 20)
    session.add_point(25, 25, positive=False)
    a, b = (session.answer(engine=name).mask for name in ("plain", "bold"))
    seen = session.disagreement("plain", "bold")
    both = either = 0
    for y in range(40):
        for x in range(60):
            both += bool(a[y, x] and b[y, x])
            either += bool(a[y, x] or b[y, x])
            assert seen.only_a[y, x] == (a[y, x] and not b[y, x])
            assert seen.only_b[y, x] == (b[y, x] and not a[y, x])
    assert seen.iou == both / either
    assert 0 < seen.iou < 1


def test_two_empty_masks_agree(session: Session) -> None:
    assert session.disagreement("plain", "bold").iou == 1
    assert not session.disagreement("plain", "bold").only_a.any()


def test_timings_report_what_came_from_the_cache(session: Session) -> None:
    assert session.timings == (None, None, False)
    session.encode()
    assert session.timings.encode_ms is not None
    session.add_point(10, 20)
    first = session.timings
    assert not first.from_cache
    session.rename(1, "cat")
    assert session.timings == first
    session.add_point(20, 20)
    session.undo()
    assert session.timings == first._replace(from_cache=True)
    session.commit()
    assert session.timings == first._replace(decode_ms=None)
    session.use_engine("bold")
    session.select(1)
    assert session.timings.from_cache


def test_listeners_get_what_changed_until_they_unsubscribe(session: Session) -> None:
    heard: list[set[str]] = []
    leave = session.subscribe(lambda changes: heard.append(set(changes)))
    session.add_point(10, 20)
    session.rename(1, "cat")
    session.commit()
    session.mode = "negative"
    session.use_engine("bold")
    session.open_image(OTHER)
    leave()
    session.add_point(1, 1)
    assert heard == [
        {"objects", "prompts", "masks"},
        {"objects"},
        {"objects", "active", "prompts", "masks"},
        {"mode"},
        {"engine", "masks"},
        {"image", "objects", "active", "prompts", "masks"},
    ]


def test_every_photo_has_its_own_objects_and_history(session: Session) -> None:
    session.add_point(10, 20)
    session.commit("cat")
    before = session.state
    session.open_image(OTHER, name="other")
    assert not session.can_undo
    assert [picture.name for picture in session.images] == ["image 60x40", "other"]
    session.add_point(29, 45)
    assert session.mask.shape == (50, 30)
    session.open_image(PHOTO.copy())
    assert session.state is before
    session.undo()
    session.open_image(session.images[1])
    assert session.prompts == (Point(29, 45),)


def test_a_photo_that_cannot_be_read_leaves_the_open_one(session: Session) -> None:
    session.add_point(10, 20)
    with pytest.raises(ValueError, match="no file"):
        session.open_image("nowhere.png")
    assert session.prompts == (Point(10, 20),)


def test_nothing_is_encoded_before_it_is_needed_and_nothing_twice(
    session: Session, fragile: Fragile
) -> None:
    session.use_engine("fragile")
    assert not session.is_encoded()
    session.encode()
    session.add_point(10, 20)
    session.open_image(OTHER)
    session.open_image(PHOTO)
    session.add_point(20, 20)
    assert fragile.encoded == [1]
    assert session.is_encoded("fragile")
    assert not session.is_encoded("bold")


class Slow(FakeEngine):
    """Encodes once its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = threading.Event(), threading.Event()

    def encode(self, pixels: Float32) -> Features:
        self.begun.set()
        assert self.may_end.wait(30)
        return super().encode(pixels)


def test_everything_else_works_while_a_thread_encodes() -> None:
    slow = Slow()
    session = Session({"slow": Segmenter(slow), "quick": Segmenter(FakeEngine(key="q"))}, PHOTO)
    thread = threading.Thread(target=session.encode)
    thread.start()
    assert slow.begun.wait(30)
    assert not session.is_encoded()
    session.rename(1, "cat")
    session.undo()
    session.use_engine("quick")
    session.add_point(10, 20)
    session.open_image(OTHER)
    slow.may_end.set()
    thread.join(30)
    assert not session.is_encoded("slow")
    session.open_image(PHOTO)
    session.use_engine("slow")
    assert session.area > 0
    assert slow.encoded == [1]


def test_without_a_photo_the_error_names_the_way_out() -> None:
    session = Session(Segmenter(FakeEngine()))
    assert session.image is None
    assert not session.can_undo
    session.undo()
    for act in (lambda: session.state, lambda: session.add_point(1, 2), session.encode):
        with pytest.raises(ValueError, match="open one with open_image"):
            act()


@pytest.mark.parametrize("segmenters", [{}, None, {"a": FakeEngine()}, FakeEngine()])
def test_anything_but_segmenters_is_refused(segmenters: object) -> None:
    with pytest.raises(ValueError, match="segmenters"):
        Session(segmenters, PHOTO)  # type: ignore[arg-type]


def test_a_single_segmenter_is_named_after_its_model() -> None:
    assert Session(Segmenter(FakeEngine()), PHOTO).engines == ("fake float",)


def test_segmenters_that_clean_differently_give_different_masks() -> None:
    class Holed(FakeEngine):
        def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
            logits, scores = super().decode(features, prompts)
            logits[:, :, 8, 4] = -900
            return Decoded(logits, scores)

    engine = Holed()
    session = Session(
        {"raw": Segmenter(engine), "clean": Segmenter(engine, max_hole_area=4)}, PHOTO
    )
    session.add_point(10, 20)
    assert session.disagreement("raw", "clean").only_b.any()


def test_an_embedding_is_held_while_its_photo_is_open() -> None:
    engine = FakeEngine()
    session = Session(Segmenter(engine, embeddings_cache=EmbeddingCache(max_entries=0)), PHOTO)
    session.add_point(10, 20)
    session.add_point(20, 20)
    assert engine.encoded == [1]
