"""What an engine computes between a photo's pixels and a mask, stage by stage and by name."""

from __future__ import annotations

from sam2lab.measure import layers_onnx, layers_torch
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Engine, Float32, PromptBatch

Stages = dict[str, Float32]

OF_PROMPT = ("prompt tokens", "prompt mask")


def observe(engine: Engine, pixels: Float32, prompts: PromptBatch) -> dict[str, Stages]:
    """Encode pixels (1, 3, H, W), answer prompts, and keep every stage on the way.

    Returned by part, in order: `photo`, `encoder`, `prompt`, `decoder`. Of an engine that does
    not show its insides there are only the pixels, the features, the logits and the scores.
    """
    # A SAM2Base is told by what it has, so that torch need not be here to look at files alone.
    module = getattr(engine, "module", None)
    if isinstance(engine, OnnxEngine):
        watching, stages = layers_onnx.watched(engine)
        encoder, decoder = _run(watching, stages, pixels, prompts)
    elif hasattr(module, "sam_prompt_encoder"):
        with layers_torch.Watch(module) as watch:
            encoder, decoder = _run(engine, watch.stages, pixels, prompts)
    else:
        encoder, decoder = _run(engine, {}, pixels, prompts)
    prompt = {name: decoder.pop(name) for name in OF_PROMPT if name in decoder}
    return {"photo": {"pixels": pixels}, "encoder": encoder, "prompt": prompt, "decoder": decoder}


def _run(
    engine: Engine, stages: Stages, pixels: Float32, prompts: PromptBatch
) -> tuple[Stages, Stages]:
    """The encoder's and the decoder's stages, which `stages` is filled with as they pass."""
    features = engine.encode(pixels)
    encoder = dict(stages)
    stages.clear()
    encoder["high_res_feats_0"] = features.high_res_feats_0
    encoder["high_res_feats_1"] = features.high_res_feats_1
    encoder["image_embed"] = features.image_embed
    answer = engine.decode(features, prompts)
    return encoder, {**stages, "logits": answer.logits, "scores": answer.scores}
