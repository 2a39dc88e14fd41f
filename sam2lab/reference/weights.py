"""Fills a model with numbers from a file, which is checked first, or from a seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

State = Mapping[str, Tensor]

_SHOWN = 3


def read_state(path: Path) -> State:
    """Read a state dict from a `.pt` or `.safetensors` file; nothing in it is executed.

    A `.pt` file holds the state dict itself or, as Meta's do, `{"model": state dict}`.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    # A damaged or hostile file can make the readers raise anything, and torch's own message advises
    # to load it unsafely.
    except Exception:
        raise ValueError(
            f"weights: {path} is damaged, or holds more than plain tensors, which is not loaded "
            "because it could run code. Wanted is a .safetensors file, or a .pt file written by "
            'torch.save({"model": model.state_dict()}, path)'
        ) from None
    state = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not state:
        raise ValueError(
            f"weights: {path} holds a {type(state).__name__}, not a state dict; wanted is "
            'torch.save({"model": model.state_dict()}, path)'
        )
    strange = [
        str(key)
        for key, value in state.items()
        if not (isinstance(key, str) and isinstance(value, Tensor))
    ]
    if strange:
        raise ValueError(
            f"weights: {path} is no state dict, having other things than tensors in it "
            f"({_some(strange)}). From a training checkpoint save the model alone: "
            'torch.save({"model": model.state_dict()}, path)'
        )
    return state


def differences(model: nn.Module, state: State) -> list[str]:
    """List how a state dict does not fit a model: missing and unknown tensors, other shapes."""
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    missing = [key for key in wanted if key not in given]
    unknown = [key for key in given if key not in wanted]
    reshaped = [
        f"{key} {given[key]} instead of {wanted[key]}"
        for key in wanted
        if key in given and given[key] != wanted[key]
    ]
    found = {"missing": missing, "unknown": unknown, "of another shape": reshaped}
    return [
        f"{len(keys)} tensor{'s' if len(keys) > 1 else ''} {what} ({_some(keys)})"
        for what, keys in found.items()
        if keys
    ]


def fill_random(model: nn.Module, seed: int) -> None:
    """Fill every parameter and buffer from a seed, the same on every machine.

    Nothing stays zero or one, so that a forgotten tensor shows in any comparison. The scales keep
    activations near 1 and mask logits between 1 and 10. The numbers are uniform, because the last
    bits of normal ones depend on the processor.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
            for name, tensor in own:
                centre, deviation = _distribution(module, name, tensor)
                tensor.uniform_(-0.5, 0.5, generator=generator)
                tensor.mul_(deviation * math.sqrt(12)).add_(centre)


def _distribution(module: nn.Module, name: str, tensor: Tensor) -> tuple[float, float]:
    """Centre and standard deviation of one tensor."""
    if name == "bias":
        return 0.0, 0.1
    if isinstance(module, nn.Linear | nn.Conv2d):
        return 0.0, 1 / math.sqrt(tensor[0].numel())
    if isinstance(module, nn.ConvTranspose2d):
        return 0.0, 1 / math.sqrt(tensor.shape[0])
    if name == "positional_encoding_gaussian_matrix":
        return 0.0, 1.0
    if name == "gamma" or (name == "weight" and not isinstance(module, nn.Embedding)):
        return 1.0, 0.1
    return 0.0, 0.5


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", …" if len(keys) > _SHOWN else "")
