"""Compare a peer's masks with the original's, for every kind of prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.measure._child_loop import in_a_line
from sam2lab.measure.cases import Case, draw_cases
from sam2lab.measure.workload import Workload
from sam2lab.peers.job import Job
from sam2lab.peers.models import INFO, SIDE, Model
from sam2lab.runtime import enlarge, prompts
from sam2lab.runtime.engines.protocol import Features, PromptBatch
from sam2lab.runtime.masks import iou

Photo = npt.NDArray[Any]

PROMPTS_PER_KIND = 2


def clicks(objects: int, photo: Photo) -> PromptBatch:
    """Return a random click on a photo for each of `objects`."""
    asked = Workload.with_points(photo, points=1, objects=objects)
    return prompts.encode((photo.shape[0], photo.shape[1]), INFO, **asked.prompt)


def write_reference(job: Job, out: Path) -> None:
    """Write the answers of SAM2ImagePredictor: masks of each case, and the best of a first click.

    `refine` begins with the logits of the original's own first answer, the same for all peers.
    """
    job.prepare_sam2()
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    photo = np.load(job.photo)
    predictor = SAM2ImagePredictor(job.build_sam2())
    predictor.set_image(photo)
    kept: dict[str, npt.NDArray[Any]] = {}
    for number, case in enumerate(_cases(photo)):
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
    click = Workload.about(photo).prompt
    answer, scores, _ = predictor.predict(click["point_coordinates"], click["point_labels"])
    kept["first mask"] = np.asarray(answer[int(np.argmax(scores))]) > 0
    # An open file, because numpy would add a suffix to a bare name.
    with out.open("wb") as file:
        np.savez_compressed(file, **kept)  # type: ignore[arg-type]


def by_kind(
    model: Model, features: Features, photo: Photo, reference: str
) -> dict[str, float | str]:
    """Return the least IoU with the reference's masks by kind of prompt, or the error."""
    found: dict[str, float | str] = {}
    size = (photo.shape[0], photo.shape[1])
    with np.load(reference) as kept:
        for number, case in enumerate(_cases(photo)):
            batch = prompts.encode(
                size, INFO, **case.prompt, mask_input=kept.get(f"logits {number}")
            )
            earlier = found.get(case.kind, 1.0)
            if isinstance(earlier, str):
                continue
            try:
                theirs = enlarge.restore_masks(model.decode(features, batch), size, 0.0)[0]
                pairs = zip(kept[f"masks {number}"], theirs, strict=True)
                found[case.kind] = min(earlier, *(iou(a, b) for a, b in pairs))
            except Exception as error:
                found[case.kind] = in_a_line(error)
    return found


def several_at_once(model: Model, features: Features) -> float | str:
    """Return the least IoU of three objects' masks in one call and one by one, or the error."""
    batch = clicks(3, np.zeros((SIDE, SIDE, 3), np.uint8))
    try:
        together = model.decode(features, batch)
    except Exception as error:
        return in_a_line(error)
    alone = np.concatenate(
        [
            model.decode(features, PromptBatch(batch.point_coords[[i]], batch.point_labels[[i]]))
            for i in range(batch.objects)
        ]
    )
    height, width = together.shape[2:]
    pairs = zip(alone.reshape(-1, height, width), together.reshape(-1, height, width), strict=True)
    return min(iou(a > 0, b > 0) for a, b in pairs)


def _cases(photo: Photo) -> list[Case]:
    """Draw prompts of every kind on one photo, always the same."""
    return draw_cases([photo], prompts_per_kind=PROMPTS_PER_KIND)
