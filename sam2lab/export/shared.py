"""`once` keeps what all files of one model have in common, whatever they are for.

Tracing nano takes seven seconds of a core for computers and five for devices, and its answers about
the photos that files are checked by take three. All serve every target and precision.

What is kept holds the weights several times: traced for computers and for devices, and written for
LiteRT. Of models larger than `LARGEST` nothing is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch

from sam2lab.reference.zoo import ZooModel

Made = TypeVar("Made")

# Bytes of weights: tiny has 156 MB, small 184, base-plus 323 and large 898.
LARGEST = 2**28

_KEPT: WeakKeyDictionary[ZooModel, tuple[str, dict[Hashable, Any]]] = WeakKeyDictionary()


def once(model: ZooModel, name: Hashable, make: Callable[[], Made]) -> Made:
    """What `make` gives for a model, made once while the model lives and its weights stay.

    It is made each time for a model of more than `LARGEST`. What is kept must not be changed, and
    must not hold the model, which would then live for ever.

    >>> from sam2lab.reference import zoo
    >>> nano, made = zoo.load("nano", weights="random"), []
    >>> [once(nano, "length", lambda: made.append(1) or len(made)) for _ in range(2)]
    [1, 1]
    """
    state = model.module.state_dict()
    if sum(tensor.nbytes for tensor in state.values()) > LARGEST:
        return make()
    weights = _digest(state)
    before, kept = _KEPT.get(model, ("", {}))
    if before != weights:
        kept = {}
        _KEPT[model] = weights, kept
    if name not in kept:
        kept[name] = make()
    found: Made = kept[name]
    return found


def _digest(state: Mapping[str, torch.Tensor]) -> str:
    """Of all weights, because they may be trained on in place."""
    seen = hashlib.sha256()
    for name, tensor in state.items():
        seen.update(name.encode())
        seen.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return seen.hexdigest()
