"""A recipe says what of a model is quantised and how; parts are what it speaks of."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

METHODS = ("min-max", "percentile", "mse", "entropy")

# What a node belongs to, told by its name, which begins with the path of its module. Point
# coordinates are left out: turned into sines, they need every digit.
_PARTS = {
    "encoder": (
        (r"/patch_embed/", "encoder.patch_embed"),
        (r"/blocks\.(\d+)/MatMul", r"encoder.blocks.\1.attention"),
        (r"/blocks\.(\d+)/mlp[_/]", r"encoder.blocks.\1.mlp"),
        (r"/blocks\.(\d+)/", r"encoder.blocks.\1.projections"),
        (r"/(neck|conv_s[01])/", "encoder.neck"),
    ),
    "decoder": (
        (r"/masks/", "decoder.masks"),
        (r"/transformer/layers\.(\d+)/", r"decoder.layers.\1"),
        (r"/transformer/final_attn/", "decoder.final_attn"),
        (r"/heads/", "decoder.heads"),
    ),
}


@dataclass(frozen=True)
class Recipe:
    """How to quantise a model: weights in 8 bits per channel, activations in 8 bits.

    `keep_float` names what stays float32: parts such as `"encoder.blocks.3.mlp"`, or all parts
    that begin so, such as `"encoder.blocks.3"` or `"decoder"`. `calibration` is how ranges are
    chosen, one of min-max, percentile, mse and entropy. `smoothing` between 0 and 1 is the share
    of its outlying channels that a LayerNorm hands over to the weights after it (SmoothQuant's
    alpha); None leaves them.

    The defaults are what measured best on nano, by the masks of 20 and of 40 photos: percentile
    kept 0.988 of the float model's masks on both (mean IoU; mse 0.986 and 0.988, min-max 0.977
    and 0.982, entropy 0.969 and 0.979), smoothing gained nothing, the neck lost nothing and is
    faster, the decoder lost most (0.88 in all) and saves little.

    >>> Recipe(keep_float=("encoder.blocks.1",)).quantises("encoder.blocks.10.mlp")
    True
    """

    keep_float: tuple[str, ...] = ("encoder.patch_embed", "decoder")
    calibration: str = "percentile"
    smoothing: float | None = None

    def __post_init__(self) -> None:
        # Of a string each letter is looked at, and refused as the part that it is not.
        if not isinstance(self.keep_float, Iterable) or not all(map(_is_part, self.keep_float)):
            raise ValueError(
                f"keep_float is {self.keep_float!r}; wanted a list of parts, such as "
                "'encoder.blocks.3' or 'decoder'; sam2lab.quantize.parts(bundle) lists them"
            )
        object.__setattr__(self, "keep_float", tuple(self.keep_float))
        if self.calibration not in METHODS:
            raise ValueError(
                f"calibration is {self.calibration!r}; wanted one of {', '.join(METHODS)}"
            )
        if self.smoothing is not None:
            given: Any = self.smoothing
            share = float(given) if isinstance(given, Real) else math.nan
            if not 0 < share < 1:
                raise ValueError(f"smoothing is {given!r}; wanted None or between 0 and 1")
            # Of numpy's numbers JSON knows none.
            object.__setattr__(self, "smoothing", share)

    def quantises(self, part: str) -> bool:
        """Whether a part is quantised."""
        return not any(within(part, kept) for kept in self.keep_float)

    def to_json(self) -> dict[str, Any]:
        """The recipe as bundle.json holds it."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that bundle.json holds: `Recipe.from_json(bundle.recipe)`.

        >>> Recipe.from_json(Recipe().to_json()) == Recipe()
        True
        """
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


def checked(recipe: Recipe | None) -> Recipe:
    """The recipe, or the usual one in place of None."""
    if recipe is not None and not isinstance(recipe, Recipe):
        raise ValueError(
            f"recipe is {recipe!r:.80}; wanted a Recipe, such as Recipe(smoothing=0.5), or of "
            "what bundle.json holds Recipe.from_json(bundle.recipe)"
        )
    return recipe or Recipe()


def within(part: str, whole: str) -> bool:
    """Whether a part is another, or belongs to it.

    >>> within("encoder.blocks.10.mlp", "encoder.blocks.10"), within("encoder.neck", "encoder.n")
    (True, False)
    """
    return f"{part}.".startswith(f"{whole}.")


def _is_part(name: object) -> bool:
    """Whether some model has such a part, or parts that begin so; only it knows how many."""
    general = re.sub(r"\.\d+", r".\\1", str(name))
    return any(within(part, general) for named in _PARTS.values() for _, part in named)


def part_of(graph: str, node: str) -> str | None:
    """The part that a node of the encoder or the decoder belongs to, by its name.

    >>> part_of("encoder", "/blocks.3/mlp/layers.0/Gemm"), part_of("decoder", "/points/MatMul")
    ('encoder.blocks.3.mlp', None)
    """
    for scope, part in _PARTS[graph]:
        match = re.match(scope, node)
        if match:
            return match.expand(part)
    return None
