"""What one engine has made of the objects in a video: its memory, and the masks that it gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sam2lab.runtime.masks import Mask
from sam2lab.runtime.video.state import FrameResult, VideoState
from sam2lab.widgets.session.packed import PackedMask
from sam2lab.widgets.session.prompts import Prompt

# An object's id and the index of a frame.
Key = tuple[int, int]


@dataclass(frozen=True, eq=False)
class VideoAnswer:
    """An engine's answer about one object on one frame.

    `object_score` is above 0 where the object is there; otherwise the mask is empty. `iou` is the
    predicted IoU. `prompted` says whether prompts on this very frame gave the mask.
    """

    packed: PackedMask
    object_score: float
    iou: float
    prompted: bool

    @property
    def mask(self) -> Mask:
        """The mask (H, W)."""
        return self.packed.unpack()

    @property
    def area(self) -> int:
        """The number of pixels in the mask."""
        return self.packed.area


class Earlier(NamedTuple):
    """What a propagation in that direction found on a frame before prompts corrected it."""

    result: FrameResult | None = None
    reverse: bool = False


@dataclass(eq=False)
class Followed:
    """An engine's state, the prompts that it was told, and what these corrected.

    While `state` is None, the engine knows nothing yet. Nothing in it changes, except that a
    propagation puts one copy of its state after the other here; so the steps of undo may share it.
    """

    state: VideoState | None = None
    told: Mapping[Key, tuple[Prompt, ...]] = field(default_factory=dict)
    corrected: Mapping[Key, Earlier] = field(default_factory=dict)
