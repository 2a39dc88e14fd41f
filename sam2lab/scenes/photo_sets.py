"""How often a photo is drawn for training, by the set that it comes from.

Half of the photos that nano learns from show one thing that stands out, cut out well. They teach
outlines; but a model that sees many of them takes every click for a click on such a thing. So
`photo_sets.tsv` gives each set two weights: one for photos that are asked about by a click, one
for those asked about by a box. 1 is a photo of COCO, or of a set that is not in the table.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Literal

FirstPrompt = Literal["click", "box"]
"""What a picture's objects are asked for by at first; more clicks may follow."""


def weight_of(name: str | None, first: FirstPrompt) -> float:
    """The weight of a photo whose set has this name.

    >>> weight_of("duts_tr", "click"), weight_of("duts_tr", "box"), weight_of(None, "box")
    (0.02, 0.15, 1.0)
    """
    return _table().get(str(name), {}).get(first, 1.0)


@cache
def _table() -> dict[str, dict[str, float]]:
    text = files("sam2lab.scenes").joinpath("photo_sets.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t")
    return {row["set"]: {first: float(row[first]) for first in ("click", "box")} for row in rows}
