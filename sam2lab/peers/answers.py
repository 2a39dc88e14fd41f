"""Do contenders answer as the original does? Its masks for every kind of prompt, and theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.measure.cases import Case, draw_cases
from sam2lab.peers import original
from sam2lab.peers.running import INFO, SIDE, Running
from sam2lab.runtime import enlarge, prompts
from sam2lab.runtime.engines.protocol import Features, Float32, PromptBatch
from sam2lab.runtime.masks import iou

Photo = npt.NDArray[Any]

PROMPTS_PER_KIND = 2


def asked(photo: Photo) -> list[Case]:
    """Prompts of every kind on one photo (H, W, 3), always the same."""
    return draw_cases([photo], prompts_per_kind=PROMPTS_PER_KIND)


def clicks(objects: int, image_size: tuple[int, int]) -> PromptBatch:
    """A click on each of so many objects, spread over a photo of (height, width)."""
    drawn = np.random.default_rng(0).uniform(0.05, 0.95, (objects, 1, 2))
    points = drawn * np.array(image_size[::-1])
    return prompts.encode(
        image_size, INFO, point_coordinates=points, point_labels=np.ones((objects, 1))
    )


def reference(job: dict[str, Any], photo_file: Path, out: Path) -> None:
    """Write what SAM2ImagePredictor answers: masks of each case, and the best of a first click.

    `refine` begins with the logits of the original's own first answer, the same for everybody.
    """
    original.enter()
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    photo = np.load(photo_file)
    predictor = SAM2ImagePredictor(original.build(job["config"], job["checkpoint"], job["side"]))
    predictor.set_image(photo)
    kept: dict[str, npt.NDArray[Any]] = {}
    for number, case in enumerate(asked(photo)):
        mask_input = None
        if case.kind == "refine":
            first = case.first_click
            _, scores, logits = predictor.predict(first["point_coordinates"], first["point_labels"])
            mask_input = logits[[int(np.argmax(scores))]]
            kept[f"logits {number}"] = mask_input
        answer, *_ = predictor.predict(
            case.point_coordinates, case.point_labels, case.box, mask_input
        )
        kept[f"masks {number}"] = np.asarray(answer) > 0
    answer, scores, _ = predictor.predict(middle(photo)[None], np.ones(1))
    kept["first mask"] = np.asarray(answer[int(np.argmax(scores))]) > 0
    # By an open file: to a bare name numpy would add a suffix.
    with out.open("wb") as file:
        np.savez_compressed(file, **kept)  # type: ignore[arg-type]


def agreement(
    running: Running, features: Features, photo: Photo, file: str
) -> dict[str, float | str]:
    """The least IoU with the reference's masks by kind of prompt, or why there is no answer."""
    found: dict[str, float | str] = {}
    with np.load(file) as kept:
        for number, case in enumerate(asked(photo)):
            size = (photo.shape[0], photo.shape[1])
            batch = prompts.encode(
                size, INFO, **case.prompt, mask_input=kept.get(f"logits {number}")
            )
            earlier = found.get(case.kind, 1.0)
            if isinstance(earlier, str):
                continue
            try:
                theirs = enlarge.restore_masks(running.decode(features, batch), size, 0.0)[0]
                pairs = zip(kept[f"masks {number}"], theirs, strict=True)
                found[case.kind] = min(earlier, *(iou(a, b) for a, b in pairs))
            except Exception as error:
                found[case.kind] = _in_a_line(error)
    return found


def several(running: Running, features: Features) -> float | str:
    """The least IoU of masks for three objects asked in one call and one by one, or the error."""
    batch = clicks(3, (SIDE, SIDE))
    try:
        together = running.decode(features, batch)
    except Exception as error:
        return _in_a_line(error)
    alone = [
        running.decode(features, PromptBatch(batch.point_coords[[i]], batch.point_labels[[i]]))
        for i in range(batch.objects)
    ]
    pairs = zip(
        np.concatenate(alone).reshape(-1, *together.shape[2:]), _flat(together), strict=True
    )
    return min(iou(a > 0, b > 0) for a, b in pairs)


def middle(photo: Photo) -> Float32:
    """The middle (x, y) of a photo, where the first click goes."""
    return np.array([photo.shape[1] / 2, photo.shape[0] / 2], np.float32)


def keep(features: Features, file: Path) -> None:
    """Write features to a file."""
    np.savez(file, **vars(features))


def kept(file: Path) -> Features:
    """Read features from a file."""
    with np.load(file) as arrays:
        return Features(**arrays)


def _flat(logits: Float32) -> Float32:
    return logits.reshape(-1, *logits.shape[2:])


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
