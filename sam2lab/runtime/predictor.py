"""`ImagePredictor` takes and returns what SAM 2's own `SAM2ImagePredictor` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Engine, Float32
from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter

# Masks, scores and low-resolution logits.
Prediction = tuple[Float32, Float32, Float32]

# A part of a prompt for each image, None where an image has none.
Batch = Sequence[npt.ArrayLike | None] | None

UPSTREAM = prompting.Spelling("point_coords", "point_labels", "box")


class ImagePredictor:
    """Set an image, then ask for masks as often as you like.

    `model` is a Segmenter or any engine. Arguments, shapes and results are those of
    `SAM2ImagePredictor`, masks as float32 included, so code written for it runs on any engine.
    Only bad input differs: it raises a `ValueError` that says what to do.
    """

    def __init__(
        self,
        model: Segmenter | Engine,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
    ) -> None:
        segmenter = model if isinstance(model, Segmenter) else Segmenter(model)
        self._segmenter = Segmenter(
            segmenter.engine,
            max_hole_area=max_hole_area or segmenter.max_hole_area,
            max_sprinkle_area=max_sprinkle_area or segmenter.max_sprinkle_area,
            max_batch_size=segmenter.max_batch_size,
            embeddings_cache=segmenter.embeddings_cache,
            mask_cache=segmenter.mask_cache,
        )
        self.mask_threshold = mask_threshold
        self.reset_predictor()

    def reset_predictor(self) -> None:
        """Forget the image or images."""
        self._embeddings: list[ImageEmbedding] = []
        self._is_batch = False

    def set_image(self, image: ImageLike) -> None:
        """Encode one RGB image.

        A PIL image is turned by its EXIF orientation, which upstream ignores.
        """
        self.reset_predictor()
        self._embeddings = self._segmenter.embed_images([image])

    def set_image_batch(self, image_list: list[ImageLike]) -> None:
        """Encode several RGB images, of any sizes, for `predict_batch`."""
        self.reset_predictor()
        if not isinstance(image_list, list):
            raise ValueError(
                f"image_list is {type(image_list).__name__}; wanted a list of images, or use "
                "set_image for one"
            )
        self._embeddings = self._segmenter.embed_images(image_list)
        self._is_batch = True

    def predict(
        self,
        point_coords: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> Prediction:
        """Masks for prompts on the image that was set.

        Points (N, 2) are (x, y) in pixels, or in 0..1 with `normalize_coords=False`; labels
        (N,) are 1 or 0; box (4,) is x0, y0, x1, y1; `mask_input` (1, 4h, 4w) holds logits of
        an earlier answer. Points (L, N, 2), labels (L, N) and boxes (L, 4) ask for L objects.

        Returns masks (C, H, W), scores (C,) and low-resolution logits (C, 4h, 4w), C being 3,
        or 1 with `multimask_output=False`; a first axis of L where L > 1.
        """
        self._require_image("set_image")
        # As upstream: after set_image_batch, the last image answers.
        prompt = (point_coords, point_labels, box, mask_input)
        return self._predict(-1, prompt, multimask_output, return_logits, normalize_coords)

    def predict_batch(
        self,
        point_coords_batch: Batch = None,
        point_labels_batch: Batch = None,
        box_batch: Batch = None,
        mask_input_batch: Batch = None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ) -> tuple[list[Float32], list[Float32], list[Float32]]:
        """`predict` for every image of the batch; each prompt is a list, one entry an image."""
        if self._embeddings and not self._is_batch:
            raise RuntimeError("predict_batch() answers set_image_batch(); use predict() here.")
        self._require_image("set_image_batch")
        count = len(self._embeddings)
        per_image = zip(
            _one_each("point_coords_batch", point_coords_batch, count),
            _one_each("point_labels_batch", point_labels_batch, count),
            _one_each("box_batch", box_batch, count),
            _one_each("mask_input_batch", mask_input_batch, count),
            strict=True,
        )
        answers = [
            self._predict(index, prompt, multimask_output, return_logits, normalize_coords)
            for index, prompt in enumerate(per_image)
        ]
        masks, scores, logits = zip(*answers, strict=True)
        return list(masks), list(scores), list(logits)

    def get_image_embedding(self) -> Float32:
        """The image embedding, (1, C, h, w), of the image that was set."""
        self._require_image("set_image")
        return self._features["image_embed"]

    @property
    def _features(self) -> dict[str, Any]:
        """The features under SAM2ImagePredictor's names, which its examples read."""
        features = [embedding.features for embedding in self._embeddings]
        return {
            "image_embed": np.concatenate([f.image_embed for f in features]),
            "high_res_feats": [
                np.concatenate([f.high_res_feats_0 for f in features]),
                np.concatenate([f.high_res_feats_1 for f in features]),
            ],
        }

    def _require_image(self, verb: str) -> None:
        if not self._embeddings:
            raise RuntimeError(f"An image must be set with .{verb}(...) before mask prediction.")

    def _predict(
        self,
        index: int,
        prompt: tuple[npt.ArrayLike | None, ...],
        multimask_output: bool,
        return_logits: bool,
        normalize_coords: bool,
    ) -> Prediction:
        """Answer a prompt (coordinates, labels, box, mask) on one of the images."""
        embedding = self._embeddings[index]
        encoded = prompting.encode(
            embedding.image_size,
            self._segmenter.engine.info,
            normalize_coords=normalize_coords,
            spelling=UPSTREAM,
            **dict(zip(prompting.NAMES, prompt, strict=True)),
        )
        prediction = self._segmenter.answer(
            embedding,
            encoded,
            multi_mask_output=multimask_output,
            return_logits=return_logits,
            mask_threshold=self.mask_threshold,
        )
        masks = prediction.masks.astype(np.float32, copy=False)
        return masks, prediction.scores, prediction.logits


def _one_each(name: str, batch: Batch, count: int) -> list[npt.ArrayLike | None]:
    """A prompt for each image of a batch, None where there is none."""
    if batch is None:
        return [None] * count
    if not hasattr(batch, "__len__") or len(batch) != count:
        raise ValueError(
            f"{name} is {batch!r}; wanted a list with one entry for each of the {count} images, "
            "None where it has none"
        )
    return list(batch)
