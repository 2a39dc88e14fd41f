"""`AutomaticMaskGenerator` finds the masks of everything in a photo, without a click.

It asks about each point of a grid, takes three candidates from each answer, and drops what is bad
or double, as SAM 2's own `SAM2AutomaticMaskGenerator` does, on any engine.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from sam2lab.runtime import images, postprocess, prompts
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.crops import Crop, crops, grids
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Decoded, Engine, Float32
from sam2lab.runtime.enlarge import enlarged
from sam2lab.runtime.found import OUTPUT_FORMS, Found, Record, box_in_photo, distinct
from sam2lab.runtime.requirements import require
from sam2lab.runtime.rle import encode
from sam2lab.runtime.segmenter import LOGIT_LIMIT, Segmenter


class AutomaticMaskGenerator:
    """Finds the masks of everything in a photo.

    `model` is a Segmenter or any engine; all other arguments are those of SAM 2's
    `SAM2AutomaticMaskGenerator`, and so are the answers.

    A grid of `points_per_side` squared points is asked, `points_per_batch` at a time. The batch
    changes time and memory only: on a processor the original's 64 are no faster than 16 and take
    twice the memory. A candidate is kept if the model's own score is above `pred_iou_thresh` and
    its stability, the IoU of the masks at `mask_threshold` ± `stability_score_offset`, is at least
    `stability_score_thresh`. Where two boxes overlap by an IoU above `box_nms_thresh`, the one with
    the better score is kept.

    With `crop_n_layers` the photo is asked again in 2 x 2 crops, then in 4 x 4 and so on, to find
    small things. Neighbours overlap by `crop_overlap_ratio` of the shorter side, layer n has
    `crop_n_points_downscale_factor` ** n times fewer points a side. Where the masks of two
    crops overlap by more than `crop_nms_thresh`, that of the smaller crop is kept. `point_grids`
    are used with `points_per_side=None`: one array (N, 2) for each layer, of (x, y) from 0 to 1.

    `min_mask_region_area`, in low-resolution pixels, fills holes and drops islands up to this
    area, which the original does only where its CUDA kernel was compiled. `use_m2m` gives each
    mask to the model again, to refine it. `multimask_output=False` takes one mask for each point.

    Beside the answer, memory holds one batch of low-resolution logits, one mask at the photo's
    size, and run lengths.

    ```python
    generator = AutomaticMaskGenerator(segmenter, points_per_side=16)
    records = generator.generate("photo.jpg")
    ```
    """

    def __init__(
        self,
        model: Segmenter | Engine,
        points_per_side: int | None = 32,
        points_per_batch: int = 16,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: Sequence[npt.ArrayLike] | None = None,
        min_mask_region_area: float = 0,
        output_mode: str = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
    ) -> None:
        segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
        self._segmenter = segmenter
        self.points_per_batch = whole("points_per_batch", points_per_batch, 1)
        self.pred_iou_thresh = number("pred_iou_thresh", pred_iou_thresh, 0, 1)
        self.stability_score_thresh = number("stability_score_thresh", stability_score_thresh, 0, 1)
        self.stability_score_offset = number("stability_score_offset", stability_score_offset, 0)
        self.mask_threshold = number("mask_threshold", mask_threshold)
        self.box_nms_thresh = number("box_nms_thresh", box_nms_thresh, 0, 1)
        self.crop_n_layers = whole("crop_n_layers", crop_n_layers, 0)
        self.crop_nms_thresh = number("crop_nms_thresh", crop_nms_thresh, 0, 1)
        self.crop_overlap_ratio = number("crop_overlap_ratio", crop_overlap_ratio, 0, 1)
        area = number("min_mask_region_area", min_mask_region_area, 0)
        self._small_areas = area or segmenter.max_hole_area, area or segmenter.max_sprinkle_area
        self.use_m2m = use_m2m
        self.multimask_output = multimask_output
        downscale = whole("crop_n_points_downscale_factor", crop_n_points_downscale_factor, 1)
        self.point_grids = grids(points_per_side, self.crop_n_layers + 1, downscale, point_grids)
        if output_mode not in OUTPUT_FORMS:
            modes = ", ".join(map(repr, OUTPUT_FORMS))
            raise ValueError(f"output_mode is {output_mode!r}; wanted one of {modes}")
        if output_mode == "coco_rle":
            require("output_mode 'coco_rle'", ["pycocotools"], "ask for 'uncompressed_rle'")
        self.output_mode = output_mode

    def generate(self, image: images.ImageLike) -> list[Record]:
        """Every mask in a photo, the best score first; with crops, those of small crops first.

        `image` is a path, encoded bytes, a PIL image or an RGB array (H, W, 3).
        """
        photo = images.read(image)
        parts = list(crops(photo.shape[:2], self.crop_n_layers, self.crop_overlap_ratio))
        points = sum(len(self.point_grids[crop.layer]) for crop in parts)
        with tqdm(total=points, desc="points", leave=False) as bar:
            found = [each for crop in parts for each in self._in_crop(photo, crop, bar)]
        if len(parts) > 1:
            areas = np.array([np.prod(each.crop.size) for each in found], np.float32)
            found = distinct(found, np.float32(1) / areas, self.crop_nms_thresh)
        if not found:
            warnings.warn(
                f"nothing was found: no mask passed pred_iou_thresh={self.pred_iou_thresh} and "
                f"stability_score_thresh={self.stability_score_thresh}. A small model is less "
                "sure of itself than the one these were chosen for: give it lower ones, such as "
                "0.4 and 0.5",
                stacklevel=2,
            )
        return [each.record(self.output_mode) for each in found]

    def _in_crop(self, photo: images.RGB, crop: Crop, bar: Any) -> list[Found]:
        """The masks in one crop, without doubles."""
        x0, y0, x1, y1 = crop.box
        # With other thresholds the whole photo is asked again. Crops are many, and would push
        # everything else out of the cache.
        (embedding,) = self._segmenter.embed_images(
            photo[y0:y1, x0:x1], use_embeddings_cache=crop.layer == 0
        )
        grid = (self.point_grids[crop.layer] * (x1 - x0, y1 - y0)).astype(np.float32)
        size: tuple[int, int] = photo.shape[:2]
        found = []
        for start in range(0, len(grid), self.points_per_batch):
            batch = grid[start : start + self.points_per_batch]
            for logits, score, point in self._candidates(embedding, batch):
                each = enlarged(logits, crop.size, self.mask_threshold, self.stability_score_offset)
                # NaN, the stability of an empty mask, does not pass either.
                if self.stability_score_thresh > 0 and not (
                    each.stability >= self.stability_score_thresh
                ):
                    continue
                box = box_in_photo(each, crop)
                if not crop.cuts(box, size):
                    corner = (x0 + each.corner[0], y0 + each.corner[1])
                    runs = encode(each.mask, corner, size)
                    where = point + np.array([x0, y0], np.float32)
                    found.append(Found(runs, box, score, each.stability, where, crop))
            bar.update(len(batch))
        scores = np.array([each.score for each in found], np.float32)
        return distinct(found, scores, self.box_nms_thresh)

    def _candidates(
        self, embedding: ImageEmbedding, points: Float32
    ) -> Iterator[tuple[Float32, np.float32, Float32]]:
        """Logits (h, w), score and point of each candidate with a good score."""
        answered = self._ask(embedding, points, self.multimask_output, None)
        if not self.use_m2m:
            yield from self._well_scored(answered, points)
            return
        points = np.repeat(points, answered.scores.shape[1], axis=0)
        hints = np.clip(answered.logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        hints = hints.reshape(-1, 1, *hints.shape[-2:])
        for start in range(0, len(points), self.points_per_batch):
            batch = slice(start, start + self.points_per_batch)
            refined = self._ask(embedding, points[batch], False, hints[batch])
            yield from self._well_scored(refined, points[batch])

    def _ask(
        self, embedding: ImageEmbedding, points: Float32, multimask: bool, hints: Float32 | None
    ) -> Decoded:
        """The model's answer to each of the points (L, 2) alone."""
        engine = self._segmenter.engine
        batch = prompts.encode(
            embedding.image_size,
            engine.info,
            point_coordinates=points[:, None],
            point_labels=np.ones((len(points), 1)),
            mask_input=hints,
        )
        return postprocess.choose(engine.decode(embedding.features, batch), multimask)

    def _well_scored(
        self, answered: Decoded, points: Float32
    ) -> Iterator[tuple[Float32, np.float32, Float32]]:
        logits, scores = answered
        well = (scores > self.pred_iou_thresh) | (self.pred_iou_thresh == 0)
        for at in zip(*np.nonzero(well), strict=True):
            # Holes are those of the mask at 0 with any `mask_threshold`, as in the original.
            yield postprocess.clean(logits[at], 0.0, *self._small_areas), scores[at], points[at[0]]
