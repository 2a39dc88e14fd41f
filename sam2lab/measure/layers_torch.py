"""The layers of the original, read by forward hooks on its modules; torch is never imported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from sam2lab.runtime.engines.protocol import Float32

# From what a sub-module returned to layers by name.
Naming = Callable[[Any], dict[str, Any]]


@contextmanager
def watched(module: Any) -> Iterator[dict[str, Float32]]:
    """Give a dictionary that a SAM2Base fills with every layer that it computes in the context."""
    layers: dict[str, Float32] = {}

    def keep(named: dict[str, Any]) -> None:
        for name, tensor in named.items():
            layers[name] = tensor.detach().float().cpu().numpy().copy()

    def hook(name_layers: Naming) -> Callable[[Any, Any, Any], None]:
        return lambda _module, _inputs, output: keep(name_layers(output))

    first_block = module.image_encoder.trunk.blocks[0]
    with ExitStack() as hooks:
        hooks.enter_context(
            first_block.register_forward_pre_hook(lambda _, inputs: keep({"position": inputs[0]}))
        )
        for part, name_layers in _named_parts(module):
            hooks.enter_context(part.register_forward_hook(hook(name_layers)))
        yield layers


def _named_parts(module: Any) -> Iterator[tuple[Any, Naming]]:
    """Sub-modules of a SAM2Base, and names for what they return."""
    encoder, decoder = module.image_encoder, module.sam_mask_decoder
    yield encoder.trunk.patch_embed, _named("patch_embed")
    for index, block in enumerate(encoder.trunk.blocks):
        yield block, _named(f"blocks.{index}")
    # sam2 keeps the neck's projections coarsest first, and returns its levels finest first.
    coarsest = len(encoder.neck.convs) - 1
    for index, conv in enumerate(encoder.neck.convs):
        yield conv, _named(f"laterals.{coarsest - index}")
    yield encoder.neck, lambda output: {"neck": output[0][coarsest - encoder.scalp]}

    yield (
        module.sam_prompt_encoder,
        lambda output: {"prompt tokens": output[0], "prompt mask": _rows(output[1])},
    )
    for index, layer in enumerate(decoder.transformer.layers):
        yield layer, _named(f"layers.{index} tokens", f"layers.{index} image")
    # Tokens stand in the order object score (if predicted), IoU, masks, points; the export keeps
    # all but the points.
    kept = slice(int(decoder.pred_obj_scores) + 1 + decoder.num_mask_tokens)
    yield decoder.transformer, lambda output: {"final tokens": output[0][:, kept]}
    yield decoder.output_upscaling[2], lambda output: {"upscaled 2x": _rows(output)}
    yield decoder.output_upscaling[4], lambda output: {"upscaled 4x": _rows(output)}
    for index, head in enumerate(decoder.output_hypernetworks_mlps):
        yield head, _named(f"kernels.{index}")


def _named(*names: str) -> Naming:
    """Names for what a module returns: one tensor, or a tuple with one for each name."""
    return lambda output: dict(zip(names, output if len(names) > 1 else (output,), strict=True))


def _rows(output: Any) -> Any:
    """A map (L, C, h, w) as rows of pixels (L, h * w, C), as an export has it."""
    return output.flatten(2).transpose(1, 2)
