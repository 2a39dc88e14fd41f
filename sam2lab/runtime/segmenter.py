"""`Segmenter` turns images and prompts into masks, on any engine, and computes nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.runtime import enlarge, postprocess
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.arguments import number, whole
from sam2lab.runtime.cache import EmbeddingCache, LowResMaskCache
from sam2lab.runtime.embedding import ImageEmbedding, content_key
from sam2lab.runtime.engines.protocol import Engine, Float32, PromptBatch
from sam2lab.runtime.images import RGB, ImageLike
from sam2lab.runtime.masks import Masks

LOGIT_LIMIT = 32.0

# A part of a prompt for one image, or a list with one for each image.
PromptLike = npt.ArrayLike | Sequence[npt.ArrayLike | None] | None


@dataclass(frozen=True, eq=False)
class Prediction:
    """Masks for one image; `best` is the one to use.

    With C candidates (3, or 1 where `multi_mask_output=False`): `masks` (C, H, W) at the photo's
    size, boolean unless logits were asked for; `scores` (C,) predicted IoU; `logits` (C, 4h, 4w)
    low-resolution, within ±32, fit to be the next `mask_input`. Where prompts for L > 1 objects
    were given, each has a first axis of L.
    """

    masks: Masks | Float32
    scores: Float32
    logits: Float32

    @property
    def best(self) -> Masks | Float32:
        """The best-scored mask, (H, W), or (L, H, W) for several objects.

        >>> masks = np.array([[[True]], [[False]]])
        >>> Prediction(masks, np.array([0.2, 0.9]), np.zeros((2, 1, 1))).best
        array([[False]])
        """
        best = np.argmax(self.scores, axis=-1)
        return self.masks[best] if self.scores.ndim == 1 else self.masks[np.arange(len(best)), best]


class Segmenter:
    """Embeds images once, then answers prompts on them; may be used from several threads.

    `max_hole_area` and `max_sprinkle_area`, in low-resolution pixels, fill small holes and
    drop small islands. Both caches key by content, so they may be shared by Segmenters.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        max_batch_size: int = 4,
        embeddings_cache: EmbeddingCache | None = None,
        mask_cache: LowResMaskCache | None = None,
    ) -> None:
        if not isinstance(engine, Engine):
            raise ValueError(
                f"engine is {type(engine).__name__}; wanted an Engine such as "
                "OnnxEngine(folder) or TorchEngine(model): see sam2lab.open_segmenter"
            )
        self.engine = engine
        self.max_hole_area = number("max_hole_area", max_hole_area, 0)
        self.max_sprinkle_area = number("max_sprinkle_area", max_sprinkle_area, 0)
        self.max_batch_size = whole("max_batch_size", max_batch_size, 1)
        self.embeddings_cache = EmbeddingCache() if embeddings_cache is None else embeddings_cache
        self.mask_cache = LowResMaskCache() if mask_cache is None else mask_cache

    def embed_images(
        self,
        images: ImageLike | list[ImageLike],
        *,
        input_color_format: str = "rgb",
        use_embeddings_cache: bool = True,
    ) -> list[ImageEmbedding]:
        """Encode one image or a list of them.

        An image is a path, encoded bytes, a PIL image or a numpy array (see `images.read`).
        Equal images are encoded once; with `use_embeddings_cache=False` no cache takes part.
        """
        listed = images if isinstance(images, list) else [images]
        if not listed:
            raise ValueError("images is an empty list; wanted at least one image")
        keys, by_key = [], {}
        for image in listed:
            photo = photos.read(image, input_color_format)
            keys.append(content_key(photo, self.engine.key))
            by_key[keys[-1]] = photo

        cache = self.embeddings_cache if use_embeddings_cache else EmbeddingCache(max_entries=0)
        return cache.get_or_compute(keys, partial(self._encode, by_key))

    def segment_images(
        self,
        images: ImageLike | list[ImageLike] | None = None,
        embeddings: ImageEmbedding | list[ImageEmbedding] | None = None,
        point_coordinates: PromptLike = None,
        point_labels: PromptLike = None,
        boxes: PromptLike = None,
        mask_input: PromptLike = None,
        multi_mask_output: bool = True,
        return_logits: bool = False,
        *,
        mask_threshold: float = 0.0,
        input_color_format: str = "rgb",
        load_from_mask_input_cache: bool = False,
        save_to_mask_input_cache: bool = False,
        use_embeddings_cache: bool = True,
    ) -> list[Prediction]:
        """Segment one image or many, from pictures or from their embeddings.

        Coordinates are (x, y) in pixels of the photo, origin top left. For one image: points (P, 2)
        with labels (P,), 1 positive and 0 negative; a box (4,) as x0, y0, x1, y1; `mask_input`
        (1, 4h, 4w), earlier logits. For L objects on it: points (L, P, 2), labels (L, P), boxes
        (L, 4), masks (L, 1, 4h, 4w). For a list of images, each prompt is a list with one entry an
        image (None where it has none); an array, or a list of one, goes to every image.

        `save_to_mask_input_cache` keeps the best low-resolution logits of a single object.
        `load_from_mask_input_cache` gives those of the largest subset of the prompt on the same
        image to the model as `mask_input`, so that clicks refine each other.
        """
        if (images is None) == (embeddings is None):
            raise ValueError(
                "images and embeddings: wanted exactly one of them; pass images=photo, or "
                "embeddings=segmenter.embed_images(photo)"
            )
        if images is None:
            embedded = self._checked(embeddings)
        else:
            embedded = self.embed_images(
                images,
                input_color_format=input_color_format,
                use_embeddings_cache=use_embeddings_cache,
            )
        one = not isinstance(embeddings if images is None else images, list)
        prompt = (point_coordinates, point_labels, boxes, mask_input)
        spread = [
            _per_image(name, value, deepest, len(embedded), one)
            for name, value, deepest in zip(prompting.NAMES, prompt, (3, 2, 2, 4), strict=True)
        ]
        encoded = [
            prompting.encode(
                embedding.image_size,
                self.engine.info,
                **dict(zip(prompting.NAMES, given, strict=True)),
            )
            for embedding, *given in zip(embedded, *spread, strict=True)
        ]
        predictions = []
        for embedding, prompts in zip(embedded, encoded, strict=True):
            asked = prompts
            if load_from_mask_input_cache:
                earlier = self.mask_cache.best_subset(embedding.key, prompts)
                if earlier is not None:
                    asked = replace(prompts, mask_input=earlier[None])
            prediction = self.answer(
                embedding,
                asked,
                multi_mask_output=multi_mask_output,
                return_logits=return_logits,
                mask_threshold=mask_threshold,
            )
            if save_to_mask_input_cache and prompts.objects == 1:
                best = int(np.argmax(prediction.scores))
                self.mask_cache.save(embedding.key, prompts, prediction.logits[best : best + 1])
            predictions.append(prediction)
        return predictions

    def answer(
        self,
        embedding: ImageEmbedding,
        prompts: PromptBatch,
        *,
        multi_mask_output: bool = True,
        return_logits: bool = False,
        mask_threshold: float = 0.0,
    ) -> Prediction:
        """Answer encoded prompts on one embedding."""
        mask_threshold = number("mask_threshold", mask_threshold)
        decoded = self.engine.decode(embedding.features, prompts)
        chosen = postprocess.choose(decoded, multi_mask_output)
        cleaned = postprocess.clean(
            chosen.logits, mask_threshold, self.max_hole_area, self.max_sprinkle_area
        )
        masks: Masks | Float32
        if return_logits:
            masks = enlarge.restore(cleaned, embedding.image_size)
        else:
            masks = enlarge.restore_masks(cleaned, embedding.image_size, mask_threshold)
        logits = np.clip(chosen.logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        if prompts.objects == 1:
            return Prediction(masks[0], chosen.scores[0], logits[0])
        return Prediction(masks, chosen.scores, logits)

    def _encode(self, by_key: dict[str, RGB], missing: list[str]) -> Iterator[ImageEmbedding]:
        """Encode RGB photos in batches, in order, with the pixels of one batch in memory."""
        info = self.engine.info
        look = (info.input_size, info.mean, info.std)
        for start in range(0, len(missing), self.max_batch_size):
            batch = missing[start : start + self.max_batch_size]
            pixels = np.stack([photos.preprocess(by_key[key], *look) for key in batch])
            for key, features in zip(batch, self.engine.encode(pixels).split(), strict=True):
                yield ImageEmbedding(key, by_key[key].shape[:2], self.engine.key, features)

    def _checked(self, embeddings: object) -> list[ImageEmbedding]:
        listed: list[Any] = embeddings if isinstance(embeddings, list) else [embeddings]
        if not listed:
            raise ValueError("embeddings is an empty list; wanted at least one embedding")
        for embedding in listed:
            if not isinstance(embedding, ImageEmbedding):
                raise ValueError(
                    f"embeddings holds a {type(embedding).__name__}; wanted those of embed_images"
                )
            if embedding.model_key != self.engine.key:
                raise ValueError(
                    f"embeddings were made by {embedding.model_key}, this Segmenter runs "
                    f"{self.engine.key}; embed the image again with this Segmenter"
                )
        return listed


def _per_image(name: str, value: PromptLike, deepest: int, count: int, one: bool) -> Sequence[Any]:
    """One prompt argument for each of `count` images; `deepest` is its dimension for L objects."""
    if not isinstance(value, list):
        return [value] * count
    if one:
        is_listed = len(value) == 1 and prompting.as_array(name, value[0]).ndim == deepest
        return [value[0] if is_listed else value]
    if len(value) not in (1, count):
        raise ValueError(
            f"{name} has {len(value)} entries for {count} images; wanted one entry an image, "
            "None where it has none"
        )
    return value * count if len(value) == 1 else value
