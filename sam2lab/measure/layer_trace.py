"""Two engines differ: where does it begin? Their insides compared, block by block.

Both engines answer one question, each on its own features, and every stage on the way is kept:
the pixels after preprocessing, the encoder's blocks, the prompt's tokens, the decoder's layers,
the logits. What goes wrong in a stage shows there and in all that follows, so the first stage
above a threshold names the culprit.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pandas as pd

from sam2lab.measure.cases import draw_cases
from sam2lab.measure.layers import Stages, observe
from sam2lab.measure.parity import tensor_errors
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.segmenter import Segmenter

# Measured on nano and tiny: a sound float export stays a hundred times below, and a step that is
# left out or mixed up lies a hundred times above.
THRESHOLD = 1e-3


def trace_layers(
    engine_a: Engine,
    engine_b: Engine,
    image: Any,
    kind: str = "point + negative",
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every stage that both engines show, from the photo to the scores, in order.

    Columns: `stage` (its name), `part` (photo, encoder, prompt or decoder), `shape`,
    `max_abs_error`, `mean_abs_error`, `relative_error` (the largest error in standard
    deviations of a's tensor), `cosine`, `threshold`, and `above`, true where the relative
    error exceeds it. `kind` is one of `cases.KINDS`; in `refine`, both get a's earlier logits.

    `TorchEngine` and `OnnxEngine` show their insides; of any other engine, only what goes in
    and what comes out is compared.
    """
    if engine_a.info.input_size != engine_b.info.input_size:
        raise ValueError(
            f"engine_a takes {engine_a.info.input_size} and engine_b {engine_b.info.input_size} "
            "(height, width); their stages have different shapes: export both at one input_size"
        )
    (case,) = draw_cases([image], [kind], seed=seed)
    prompt = dict(case.prompt)
    if kind == "refine":
        first = Segmenter(engine_a).segment_images(image, **case.first_click)[0]
        prompt["mask_input"] = first.logits[first.scores.argmax()][None]
    photo = photos.read(image)
    seen_a, seen_b = _look(engine_a, photo, prompt), _look(engine_b, photo, prompt)
    table = pd.DataFrame(
        [
            {"stage": stage, "part": part, **tensor_errors(tensor, seen_b[part][stage])}
            for part, stages in seen_a.items()
            for stage, tensor in stages.items()
            if stage in seen_b[part]
        ]
    )
    table["threshold"] = threshold
    # Not "greater than": an error that is not a number is above every threshold.
    table["above"] = ~(table["relative_error"] <= threshold)
    return table


def _look(engine: Engine, photo: npt.NDArray[Any], prompt: dict[str, Any]) -> dict[str, Stages]:
    """The stages by which an engine gets from a photo to its answer, each by its own means."""
    info = engine.info
    pixels = photos.preprocess(photo, info.input_size, info.mean, info.std)
    prompts = prompting.encode((photo.shape[0], photo.shape[1]), info, **prompt)
    return observe(engine, pixels[None], prompts)


def first_layer_above(table: pd.DataFrame, threshold: float | None = None) -> str | None:
    """The first stage of `trace` whose relative error exceeds the threshold; None if none does.

    Without a threshold, the one that the table was made with.

    >>> table = pd.DataFrame({"stage": ["pixels", "blocks.0"], "relative_error": [0.0, 0.2]})
    >>> first_layer_above(table, 0.1)
    'blocks.0'
    """
    above = table["above"] if threshold is None else ~(table["relative_error"] <= threshold)
    named = table.loc[above, "stage"]
    return None if named.empty else str(named.iloc[0])
