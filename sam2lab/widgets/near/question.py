"""Which models a browser can answer for, and what it has to be told about a session to do so."""

from __future__ import annotations

from typing import Any

from sam2lab.runtime.bundle import ONNX, Bundle
from sam2lab.runtime.engines.bundle_engine import BundleEngine
from sam2lab.runtime.segmenter import Segmenter
from sam2lab.widgets.canvas.stage import REACH_PX, Stage
from sam2lab.widgets.session.prompts import Box, Prompt
from sam2lab.widgets.session.session import Session

# In a browser nano's decoder takes 13 ms on one thread, tiny's 160, which is more than it saves.
SIZES = ("nano",)


def bundle_of(segmenter: Segmenter) -> Bundle | None:
    """The bundle whose decoder is worth running in a browser; None where there is none."""
    engine = segmenter.engine
    if not isinstance(engine, BundleEngine):
        return None
    info = engine.info
    is_fit = engine.bundle.kind == ONNX and info.size in SIZES and info.precision == "float"
    return engine.bundle if is_fit else None


def subject(session: Session) -> dict[str, Any]:
    """Names the features and the decoder that answers need; empty where a browser has no part."""
    bundle = bundle_of(session.segmenter)
    if bundle is None or not session.is_encoded():
        return {}
    return {"key": session.embedding.key, "model": bundle.graphs["decoder"].sha256}


def details(session: Session, stage: Stage, opacity: float) -> dict[str, Any]:
    """All else that the answer to the next click depends on, as web/near reads it.

    `heard` is the time stamp of the latest event that is taken into account here.
    """
    active, view = session.active, stage.view
    return {
        "heard": stage.pointer.heard,
        "view": {
            "photo": view.image_size,
            "canvas": view.size,
            "scale": view.scale,
            "left": view.left,
            "top": view.top,
        },
        "prompts": [_plain(prompt) for prompt in active.prompts],
        "choice": active.choice,
        "positive": session.mode == "positive",
        "box": stage.draws_boxes,
        "corner": stage.corner,
        "reach": REACH_PX,
        "hidden": active.hidden,
        "paint": {"colour": active.colour, "opacity": opacity},
    }


def _plain(prompt: Prompt) -> dict[str, Any]:
    names = ("x0", "y0", "x1", "y1") if isinstance(prompt, Box) else ("x", "y", "positive")
    return {name: getattr(prompt, name) for name in names}
