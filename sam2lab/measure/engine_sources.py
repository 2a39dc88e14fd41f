"""Engines that a study asks: open ones, or sources from which each worker opens its own.

Engines with random weights are refused, since their masks mean nothing.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.engines.table import open_by_name

Source = str | os.PathLike[str] | Mapping[str, Any] | Callable[[], Engine]
"""A bundle's folder, arguments of `open_segmenter`, or a function that opens an engine."""


def prepared(engines: Mapping[str, Engine | Source], elsewhere: bool) -> dict[str, Engine | bytes]:
    """Engines as they are, and sources as bytes that can be sent to a worker and compared."""
    if not isinstance(engines, Mapping) or not engines:
        raise ValueError(
            f"engines is {engines!r}; wanted names with engines, or with sources such as a "
            'bundle\'s folder: {"onnx": "models/nano"}'
        )
    return {str(name): _prepared(name, one, elsewhere) for name, one in engines.items()}


def trained(name: str, one: Engine | bytes) -> Engine:
    """An engine, opened if it is still a source, or a `ValueError` if its weights are random."""
    engine = _opened(one) if isinstance(one, bytes) else one
    if engine.info.has_random_weights:
        raise ValueError(
            f"engines[{name!r}] has random weights ({engine.info.weights}): its masks mean "
            "nothing, and neither would any figure about them. Open a trained model: nano where "
            "it is trained, or a size of Meta's with weights='auto'"
        )
    return engine


def arguments(name: str, source: object) -> dict[str, Any]:
    """Return the arguments of `open_segmenter` for a bundle's folder, or for themselves.

    Paths are text in them, since the arguments may go to another process as JSON.
    """
    given = {"model": source} if isinstance(source, str | os.PathLike) else source
    if not isinstance(given, Mapping) or "model" not in given:
        raise ValueError(
            f"engines[{name!r}] is {source!r}; wanted a bundle's folder, or arguments of "
            'open_segmenter such as {"model": "models/tiny", "threads": 1} or {"model": "tiny", '
            '"engine": "torch"}'
        )
    return {key: os.fspath(v) if isinstance(v, os.PathLike) else v for key, v in given.items()}


def _prepared(name: str, one: Engine | Source, elsewhere: bool) -> Engine | bytes:
    if isinstance(one, Engine):
        if elsewhere:
            raise ValueError(
                f"engines[{name!r}] is open in this process, where an executor's workers cannot "
                'use it; give the source instead, {"model": "models/nano"}'
            )
        return one
    if callable(one) and not elsewhere:
        # Here any function will do, even one that cannot be sent.
        return one()
    source = one if callable(one) else arguments(name, one)
    try:
        return pickle.dumps(source)
    except (pickle.PicklingError, AttributeError, TypeError) as reason:
        raise ValueError(
            f"engines[{name!r}] cannot be sent to an executor's workers ({reason}); give a "
            "function that a module defines, or arguments of open_segmenter"
        ) from None


# A worker is sent the same sources with every photo. The bytes come from our own process.
@lru_cache(maxsize=8)
def _opened(source: bytes) -> Engine:
    opening = pickle.loads(source)
    if callable(opening):
        return opening()
    return open_by_name(**opening)
