"""Reads dataclasses from JSON, with a check of every type, and writes JSON for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_origin, get_type_hints


def to_json(values: Mapping[str, Any]) -> str:
    """Indented JSON of values and dataclasses, with each list of numbers on one line.

    >>> print(to_json({"input_size": (512, 768)}))
    {
      "input_size": [ 512, 768 ]
    }
    """
    text = json.dumps(values, indent=2, default=vars)
    # Strings hold no line break, so none of them matches.
    return re.sub(r"\[\n[^][{}\"]*\]", lambda found: " ".join(found[0].split()), text)


def get(kind: Any, values: Mapping[str, Any], field: str) -> Any:
    """A field of a JSON object as the type `kind`: a dataclass, a tuple or one of JSON's own.

    >>> get(tuple[int, int], {"input_size": [512, 768]}, "input_size")
    (512, 768)
    """
    if field not in values:
        raise ValueError(f"{field!r} is missing")
    return _converted(kind, values[field], field)


def _converted(kind: Any, value: Any, field: str) -> Any:
    items: tuple[Any, ...] = get_args(kind) if get_origin(kind) is tuple else ()
    wanted: Any = list if items else dict if is_dataclass(kind) else kind
    accepted: Any = int | float if kind is float else wanted
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{field!r} is {value!r}, wanted a {getattr(wanted, '__name__', wanted)}")
    if wanted is list:
        items = items[:1] * len(value) if items[-1] is ... else items
        if len(items) != len(value):
            raise ValueError(f"{field!r} is {value!r}, wanted a list of {len(items)}")
        return tuple(_converted(item, v, field) for item, v in zip(items, value, strict=True))
    if wanted is dict and kind is not dict:
        return kind(**{name: get(k, value, name) for name, k in get_type_hints(kind).items()})
    return value
