"""Random sequences of actions on a video can be undone, redone and saved."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sam2lab.widgets.session import EngineFailed, VideoSession
from tests.widgets.session.videos import FRAMES, Fragile, masks, opened, results

xs, ys, frames, ids = st.floats(-1, 65), st.floats(-1, 49), st.integers(0, 6), st.integers(1, 4)
# Some of these are refused: that is part of the walk.
actions = st.one_of(
    st.tuples(st.just("add_point"), xs, ys, st.sampled_from([None, True, False])),
    st.tuples(st.just("add_box"), xs, ys, xs, ys),
    st.tuples(st.just("remove_prompt"), st.integers(0, 2)),
    st.tuples(st.just("go_to"), frames),
    st.tuples(st.just("follow"), frames, st.integers(0, FRAMES), st.booleans()),
    st.tuples(st.sampled_from(["select", "hide", "delete"]), ids),
    st.tuples(st.just("use_engine"), st.sampled_from(["plain", "bold"])),
    st.tuples(st.just("break_after"), st.integers(0, 4)),
    st.tuples(st.sampled_from(["commit", "clear", "undo", "redo", "undo"])),
)
walks = st.lists(actions, max_size=14)


def walked(steps: list[Any]) -> tuple[VideoSession, Fragile]:
    """Take these steps; those that fail must change nothing."""
    fragile = Fragile()
    session = opened(fragile)
    for name, *arguments in steps:
        before, known, engine = session.state, masks(session), session.engine
        try:
            if name == "follow":
                start, count, reverse = arguments
                for _ in zip(session.propagate(start, reverse=reverse), range(count), strict=False):
                    pass
            elif name == "break_after":
                fragile.breaks_in, fragile.good = "decode_objects", arguments[0]
            else:
                getattr(session, name)(*arguments)
        except (ValueError, EngineFailed) as error:
            assert session.engine == engine
            # What was followed before an engine failed is kept.
            if name != "follow" or isinstance(error, ValueError):
                assert session.state == before
                assert masks(session) == known
            fragile.breaks_in = ""
    fragile.breaks_in = ""
    return session, fragile


def undone(session: VideoSession) -> list[Any]:
    """All steps, seen by undoing them and redoing them again."""
    seen = []
    while session.can_redo:
        session.redo()
    while session.can_undo:
        seen.append((session.state, results(session), masks(session)))
        session.undo()
    while session.can_redo:
        session.redo()
    return seen


@settings(max_examples=60, deadline=None)
@given(steps=walks)
def test_undoing_everything_gives_the_start_and_redoing_it_the_end(steps: list[Any]) -> None:
    session, _ = walked(steps)
    while session.can_redo:
        session.redo()
    end, seen = masks(session), []
    while session.can_undo:
        seen.append((session.state, masks(session)))
        session.undo()
    assert masks(session) == {}
    assert len(session.objects) == 1
    while session.can_redo:
        session.redo()
        assert (session.state, masks(session)) == seen.pop()
    assert masks(session) == end


@settings(max_examples=30, deadline=None)
@given(steps=walks)
def test_a_file_brings_every_step_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    file = Path(tmp_path_factory.getbasetemp()) / "video_walk.zip"
    session, _ = walked(steps)
    session.save(file)
    loaded = opened()
    loaded.load(file)
    assert (loaded.state, loaded.engine, loaded.frame) == (
        session.state,
        session.engine,
        session.frame,
    )
    assert masks(loaded) == masks(session)
    assert results(loaded) == results(session)
    lines = [
        [s.timeline(item.id).corrected.tolist() for item in s.objects] for s in (session, loaded)
    ]
    assert lines[0] == lines[1]
    past = [undone(each) for each in (session, loaded)]
    assert past[0] == past[1]
    other = "bold" if session.engine == "plain" else "plain"
    for each in (session, loaded):
        each.use_engine(other)
        with suppress(ValueError):
            list(each.propagate(start=3))
    assert results(loaded) == results(session)
