"""Compare the layers of two engines one by one, to find where a difference begins.

Both engines answer one prompt, each from its own features, and every layer on the way is kept:
the pixels after preprocessing, the encoder's blocks, the prompt's tokens, the decoder's layers,
the logits. A mistake in a layer shows there and in all that follow, so the first layer above a
threshold is the one to blame.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import pandas as pd

from sam2lab.measure import layers_onnx, layers_torch
from sam2lab.measure.cases import draw_cases
from sam2lab.measure.parity import check_same_input_size, tensor_errors
from sam2lab.runtime import images as photos
from sam2lab.runtime import prompts as prompting
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine, Float32, PromptBatch
from sam2lab.runtime.images import ImageLike
from sam2lab.runtime.segmenter import Segmenter

Layers = dict[str, Float32]

OF_PROMPT = ("prompt tokens", "prompt mask")

# Measured on nano and tiny: a sound float export stays a hundred times below, and a step that is
# left out or mixed up lies a hundred times above.
THRESHOLD = 1e-3


def trace_layers(
    engine_a: Engine,
    engine_b: Engine,
    image: ImageLike,
    kind: str = "point + negative",
    threshold: float = THRESHOLD,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare every layer that both engines show, from the photo to the scores, in order.

    Columns: `layer` (its name), `part` (photo, encoder, prompt or decoder), `shape`,
    `max_abs_error`, `mean_abs_error`, `relative_error` (the largest error in standard
    deviations of a's tensor), `cosine`, `threshold`, and `above`, true where the relative
    error exceeds it. `kind` is one of `cases.KINDS`; in `refine`, both get a's earlier logits.

    `TorchEngine` and `OnnxEngine` show their layers; of any other engine, only what goes in and
    what comes out is compared.
    """
    check_same_input_size(engine_a, engine_b)
    (case,) = draw_cases([image], [kind], seed=seed)
    prompt = dict(case.prompt)
    if kind == "refine":
        first = Segmenter(engine_a).segment_images(image, **case.first_click)[0]
        prompt["mask_input"] = first.logits[first.scores.argmax()][None]
    photo = photos.read(image)
    seen_a, seen_b = _look(engine_a, photo, prompt), _look(engine_b, photo, prompt)
    table = pd.DataFrame(
        [
            {"layer": layer, "part": part, **tensor_errors(tensor, seen_b[part][layer])}
            for part, layers in seen_a.items()
            for layer, tensor in layers.items()
            if layer in seen_b[part]
        ]
    )
    table["threshold"] = threshold
    # Not "greater than": an error that is not a number is above every threshold.
    table["above"] = ~(table["relative_error"] <= threshold)
    return table


def first_layer_above(table: pd.DataFrame, threshold: float | None = None) -> str | None:
    """The first layer whose relative error exceeds the threshold; None if none does.

    `table` is that of `trace_layers`, whose own threshold counts by default.

    >>> table = pd.DataFrame({"layer": ["pixels", "blocks.0"], "relative_error": [0.0, 0.2]})
    >>> first_layer_above(table, 0.1)
    'blocks.0'
    """
    above = table["above"] if threshold is None else ~(table["relative_error"] <= threshold)
    named = table.loc[above, "layer"]
    return None if named.empty else str(named.iloc[0])


def _look(engine: Engine, photo: npt.NDArray[Any], prompt: dict[str, Any]) -> dict[str, Layers]:
    """The layers from a photo to an answer, by part: `photo`, `encoder`, `prompt`, `decoder`.

    An engine that does not show its layers has the pixels, the features, the logits and the
    scores only.
    """
    info = engine.info
    pixels = photos.preprocess(photo, info.input_size, info.mean, info.std)[None]
    prompts = prompting.encode((photo.shape[0], photo.shape[1]), info, **prompt)
    # A SAM2Base is known by its attributes, so that files can be compared without torch.
    module = getattr(engine, "module", None)
    if isinstance(engine, OnnxEngine):
        watched, layers = layers_onnx.watched(engine)
        encoder, decoder = _run(watched, layers, pixels, prompts)
    elif hasattr(module, "sam_prompt_encoder"):
        with layers_torch.watched(module) as layers:
            encoder, decoder = _run(engine, layers, pixels, prompts)
    else:
        encoder, decoder = _run(engine, {}, pixels, prompts)
    of_prompt = {name: decoder.pop(name) for name in OF_PROMPT if name in decoder}
    return {
        "photo": {"pixels": pixels},
        "encoder": encoder,
        "prompt": of_prompt,
        "decoder": decoder,
    }


def _run(
    engine: Engine, layers: Layers, pixels: Float32, prompts: PromptBatch
) -> tuple[Layers, Layers]:
    """The layers of encoder and decoder; `layers` is where the engine leaves them."""
    features = engine.encode(pixels)
    encoder = dict(layers)
    layers.clear()
    encoder["high_res_feats_0"] = features.high_res_feats_0
    encoder["high_res_feats_1"] = features.high_res_feats_1
    encoder["image_embed"] = features.image_embed
    answer = engine.decode(features, prompts)
    return encoder, {**layers, "logits": answer.logits, "scores": answer.scores}
