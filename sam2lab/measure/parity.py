"""Compare two engines that should be the same model, by their answers to the same prompts.

Both engines are asked through a `Segmenter`, so preprocessing, prompts and postprocessing count
too. A table is about one pair of engines; `pd.concat({size: table, …}, names=["size"])` puts
several sizes together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sam2lab.measure.cases import KINDS, Case, draw_cases
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.embedding import ImageEmbedding
from sam2lab.runtime.engines.protocol import Decoded, Engine, Float32
from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.masks import Mask, boundary_iou, iou
from sam2lab.runtime.segmenter import Prediction, Segmenter


def compare_tensors(
    engine_a: Engine,
    engine_b: Engine,
    images: ImageLike | list[ImageLike] | tuple[ImageLike, ...],
    kinds: Iterable[str] = KINDS,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare what encoder and decoder give, as numbers: one row per image and tensor.

    `engine_a` is the reference. The logits of each mask token and the scores are those of all
    `kinds` of prompt together, each engine decoding its own features. Columns:
    `image`, `tensor`, `shape`, `max_abs_error`, `mean_abs_error`, `relative_error` (the largest
    error in standard deviations of a's tensor) and `cosine` (1 where the directions agree).
    """
    _check_engines(engine_a, engine_b)
    listed = _listed(images)
    check_same_input_size(engine_a, engine_b)
    asked = draw_cases(listed, kinds, seed=seed)
    a, b = _Side(engine_a, listed), _Side(engine_b, listed)
    rows = []
    for index in range(len(listed)):
        here = [case for case in asked if case.image == index]
        earlier = [_earlier_logits(case, a, b) for case in here]
        tensors_a = a.tensors(index, here, [logits_a for logits_a, _ in earlier])
        tensors_b = b.tensors(index, here, [logits_b for _, logits_b in earlier])
        rows += [
            {"image": index, "tensor": name, **tensor_errors(tensors_a[name], tensors_b[name])}
            for name in tensors_a
        ]
    return pd.DataFrame(rows)


def compare_masks(
    engine_a: Engine,
    engine_b: Engine,
    images: ImageLike | list[ImageLike] | tuple[ImageLike, ...],
    kinds: Iterable[str] = KINDS,
    multi_mask_output: bool = True,
    prompts_per_kind: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the masks that a user would get, at the photo's size: one row per mask.

    Columns: `image`, `kind`, `prompt`, `candidate`, `area_px` (of a's mask), `iou`,
    `boundary_disagreement` (1 - `boundary_iou`), `score_error` (absolute), `flipped_px` (the
    sign test: pixels that are mask in one and not in the other) and
    `flipped_share` of all pixels. In `refine` each engine refines its own earlier answer, of
    the candidate that a scores best.
    """
    rows = []
    asked = paired_answers(
        engine_a, engine_b, images, kinds, multi_mask_output, prompts_per_kind, seed
    )
    for number, (case, answer_a, answer_b) in enumerate(asked):
        for candidate in range(len(answer_a.masks)):
            score_error = abs(answer_a.scores[candidate] - answer_b.scores[candidate])
            rows.append(
                {
                    "image": case.image,
                    "kind": case.kind,
                    "prompt": number % prompts_per_kind,
                    "candidate": candidate,
                    **mask_errors(answer_a.masks[candidate], answer_b.masks[candidate]),
                    "score_error": float(score_error),
                }
            )
    return pd.DataFrame(rows)


def paired_answers(
    engine_a: Engine,
    engine_b: Engine,
    images: ImageLike | list[ImageLike] | tuple[ImageLike, ...],
    kinds: Iterable[str] = KINDS,
    multi_mask_output: bool = True,
    prompts_per_kind: int = 1,
    seed: int = 0,
) -> Iterator[tuple[Case, Prediction, Prediction]]:
    """Each case of `draw_cases`, and what a user gets for it from either engine.

    In `refine` each engine refines its own earlier answer, of the candidate that a scores best.
    """
    _check_engines(engine_a, engine_b)
    listed = _listed(images)
    asked = draw_cases(listed, kinds, prompts_per_kind, seed)
    a, b = _Side(engine_a, listed), _Side(engine_b, listed)
    for case in asked:
        answer_a, answer_b = (
            side.ask(case, case.prompt, mask_input=logits, multi_mask_output=multi_mask_output)
            for side, logits in zip((a, b), _earlier_logits(case, a, b), strict=True)
        )
        yield case, answer_a, answer_b


def tensor_errors(a: Float32, b: Float32) -> dict[str, Any]:
    """The distance of `b` from `a`: the columns of `compare_tensors` for one tensor.

    >>> errors = tensor_errors(np.array([1.0, -1.0]), np.array([1.0, -0.5]))
    >>> errors["max_abs_error"], errors["mean_abs_error"], errors["relative_error"]
    (0.5, 0.25, 0.5)
    """
    wide_a, wide_b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    error = np.abs(wide_a - wide_b)
    largest, spread = float(error.max()), float(wide_a.std())
    norms = float(np.linalg.norm(wide_a) * np.linalg.norm(wide_b))
    return {
        "shape": "x".join(str(side) for side in wide_a.shape),
        "max_abs_error": largest,
        "mean_abs_error": float(error.mean()),
        # A constant tensor has no spread, so that any error is infinite.
        "relative_error": largest and (largest / spread if spread else float("inf")),
        "cosine": float(np.vdot(wide_a, wide_b)) / norms if norms else float(largest == 0),
    }


def mask_errors(a: Mask, b: Mask) -> dict[str, Any]:
    """The distance of mask `b` (H, W) from mask `a`: the columns of `compare_masks`."""
    flipped = int(np.count_nonzero(a ^ b))
    return {
        "area_px": int(np.count_nonzero(a)),
        "iou": iou(a, b),
        "boundary_disagreement": 1.0 - boundary_iou(a, b),
        "flipped_px": flipped,
        "flipped_share": flipped / a.size,
    }


class _Side:
    """One of the two engines, with the images embedded once."""

    def __init__(self, engine: Engine, images: Sequence[ImageLike]) -> None:
        self.segmenter = Segmenter(engine)
        self.embeddings: list[ImageEmbedding] = self.segmenter.embed_images(list(images))

    def ask(self, case: Case, prompt: dict[str, Any], **options: Any) -> Prediction:
        """The answer to a prompt on a case's image, as a user gets it."""
        embedding = self.embeddings[case.image]
        return self.segmenter.segment_images(embeddings=embedding, **prompt, **options)[0]

    def tensors(
        self, image: int, asked: Sequence[Case], mask_inputs: Sequence[Float32 | None]
    ) -> dict[str, Float32]:
        """The tensors that encoder and decoder give for one image, by name."""
        features = self.embeddings[image].features
        answers = [self._decode(*question) for question in zip(asked, mask_inputs, strict=True)]
        logits = np.concatenate([answer.logits for answer in answers])
        return {
            "image_embed": features.image_embed,
            "high_res_feats_0": features.high_res_feats_0,
            "high_res_feats_1": features.high_res_feats_1,
            **{f"logits, token {i}": logits[:, i] for i in range(logits.shape[1])},
            "scores": np.concatenate([answer.scores for answer in answers]),
        }

    def _decode(self, case: Case, mask_input: Float32 | None) -> Decoded:
        embedding, engine = self.embeddings[case.image], self.segmenter.engine
        prompts = prompting.encode(
            embedding.image_size, engine.info, **case.prompt, mask_input=mask_input
        )
        return engine.decode(embedding.features, prompts)


def _earlier_logits(case: Case, a: _Side, b: _Side) -> tuple[Float32 | None, Float32 | None]:
    """The logits that each side refines: its own, of the candidate that a scores best."""
    if case.kind != "refine":
        return None, None
    first_a, first_b = a.ask(case, case.first_click), b.ask(case, case.first_click)
    best = int(np.argmax(first_a.scores))
    return first_a.logits[best : best + 1], first_b.logits[best : best + 1]


def _listed(images: ImageLike | list[ImageLike] | tuple[ImageLike, ...]) -> list[ImageLike]:
    """One image or several, as a list."""
    listed = list(images) if isinstance(images, (list, tuple)) else [images]
    if not listed:
        raise ValueError("images is an empty list; wanted at least one image")
    return listed


def _check_engines(engine_a: Engine, engine_b: Engine) -> None:
    for name, engine in (("engine_a", engine_a), ("engine_b", engine_b)):
        if isinstance(engine, Segmenter):
            raise ValueError(f"{name} is a Segmenter; wanted its engine: pass segmenter.engine")
        if not isinstance(engine, Engine):
            raise ValueError(
                f"{name} is {engine!r:.80}; wanted an Engine, such as OnnxEngine(folder) or "
                "open_segmenter(model).engine"
            )


def check_same_input_size(engine_a: Engine, engine_b: Engine) -> None:
    """Raise a `ValueError` if the tensors of two engines differ in shape."""
    size_a, size_b = engine_a.info.input_size, engine_b.info.input_size
    if size_a != size_b:
        raise ValueError(
            f"engine_a takes {size_a} and engine_b {size_b} (height, width), so their tensors "
            "have different shapes; export both at one input_size, or use compare_masks"
        )
