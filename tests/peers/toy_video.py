"""A predictor with upstream's verbs that does nothing, for a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Toy:
    """Follows nothing through a folder; `fails_at` is the frame in which it breaks."""

    def __init__(self, fails_at: int) -> None:
        self.fails_at = fails_at

    def init_state(self, folder: str, keep: str) -> dict[str, Any]:
        assert keep == "window"
        return {"frames": len(list(Path(folder).glob("*.jpg"))), "objects": 0}

    def add_new_points_or_box(
        self, state: dict[str, Any], frame_idx: int, obj_id: int, points: Any, labels: Any
    ) -> None:
        assert (frame_idx, len(points), labels) == (0, 1, [1])
        state["objects"] = obj_id

    def propagate_in_video(self, state: dict[str, Any]) -> Iterator[tuple[int, list[int], Any]]:
        for frame in range(state["frames"]):
            if frame == self.fails_at:
                raise RuntimeError(f"broken with {state['objects']} objects")
            yield frame, [], None


def open_toy(fails_at: int = -1, explodes: bool = False) -> Toy:
    if explodes:
        raise RuntimeError("cannot be opened")
    return Toy(fails_at)
