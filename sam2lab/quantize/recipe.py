"""`Recipe` says which parts of a model are quantised, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Real
from typing import Any

from sam2lab.quantize.calibration_ranges import METHODS
from sam2lab.quantize.model_parts import MEMORY, may_exist, within


@dataclass(frozen=True)
class Recipe:
    """How to quantise a model: weights in 8 bits per channel, activations in 8 bits.

    `keep_float` names what stays float32: parts such as `"encoder.blocks.3.mlp"`, or all parts
    that begin so, such as `"encoder.blocks.3"` or `"decoder"`. `calibration` is how ranges are
    chosen: min-max, percentile, mse or entropy. `smoothing` between 0 and 1 is the share of its
    outlying channels that a LayerNorm hands over to the weights after it (SmoothQuant's alpha);
    with None it hands over nothing.

    The defaults are what measured best on nano, by the masks of 20 and of 40 photos: percentile
    kept 0.988 of the float model's masks on both (mean IoU; mse 0.986 and 0.988, min-max 0.977
    and 0.982, entropy 0.969 and 0.979), smoothing gained nothing, the neck loses nothing in 8
    bits and is faster, the decoder loses most (0.88 is left in all) and saves little.

    Of the memory attention, the scores and the MLP are quantised. Followed through the clip that
    ships, nano's masks then overlap those of the float memory attention by 0.995 (mean IoU of three
    objects on 39 frames; 0.97 at least), and their J is 0.615 instead of 0.616. On the first 11 of
    these frames it is 0.998, and 0.981 with the sums of values in 8 bits too, because a frame looks
    at thousands of tokens, and the weights of most round to nothing. The projections are too narrow
    to gain.

    >>> Recipe(keep_float=("encoder.blocks.1",)).quantises("encoder.blocks.10.mlp")
    True
    """

    keep_float: tuple[str, ...] = (
        "encoder.patch_embed",
        "decoder",
        "memory_attention.sums",
        "memory_attention.projections",
    )
    calibration: str = "percentile"
    smoothing: float | None = None

    def __post_init__(self) -> None:
        # A lone string is refused too, because none of its letters is a part.
        if not isinstance(self.keep_float, Iterable) or not all(map(may_exist, self.keep_float)):
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
            # As a plain float, because JSON cannot write numpy's numbers.
            object.__setattr__(self, "smoothing", share)

    def quantises(self, part: str) -> bool:
        """Whether a part is quantised."""
        return not any(within(part, kept) for kept in self.keep_float)

    def check_parts(self, parts: Sequence[str]) -> None:
        """Refuse the recipe if it keeps a part in float that is not among a model's parts.

        A part of the memory may be kept where the model has no memory.
        """
        lacks_memory = not any(within(part, MEMORY) for part in parts)
        unknown = [
            kept
            for kept in self.keep_float
            if not any(within(part, kept) for part in parts)
            and not (lacks_memory and within(kept, MEMORY))
        ]
        if unknown:
            raise ValueError(
                f"recipe keeps {', '.join(unknown)} in float, which is no part of this model; "
                f"its parts are {', '.join(parts)}"
            )

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
            f"recipe is {recipe!r:.80}; wanted a Recipe, such as Recipe(smoothing=0.5), or "
            "Recipe.from_json(bundle.recipe)"
        )
    return recipe or Recipe()
