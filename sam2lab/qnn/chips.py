"""The chips that files can be compiled for, by the names that people know them by."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A chip of Qualcomm's: its name, its part, and its two numbers in QNN.

    `soc` is the `QNN_SOC_MODEL` of QnnTypes.h, not what Android calls soc_id; `arch` is the version
    of its Hexagon processor. Version 68 has no float.
    """

    name: str
    part: str
    soc: int
    arch: int

    @property
    def has_float(self) -> bool:
        """Whether its Hexagon processor computes in half precision."""
        return self.arch >= 69


# As in Qualcomm's public lists: qc_schema.py of ExecuTorch's backend has parts and numbers, and
# devices_and_chipsets.yaml of qai_hub_models the names of parts.
CHIPS = (
    Chip("Snapdragon 888", "SM8350", 30, 68),
    Chip("Snapdragon 8 Gen 1", "SM8450", 36, 69),
    Chip("Snapdragon 8+ Gen 1", "SM8475", 42, 69),
    Chip("Snapdragon 8 Gen 2", "SM8550", 43, 73),
    Chip("Snapdragon 8 Gen 3", "SM8650", 57, 75),
    Chip("Snapdragon 8 Elite", "SM8750", 69, 79),
    Chip("Snapdragon 8 Elite Gen 5", "SM8850", 87, 81),
    Chip("Snapdragon X Elite", "SC8380XP", 60, 73),
    Chip("Snapdragon XR2 Gen 2", "SXR2230P", 53, 69),
    Chip("Qualcomm QCS6490", "QCS6490", 93, 68),
    Chip("Qualcomm SA8255P", "SA8255P", 52, 73),
    Chip("Qualcomm SA8295P", "SA8295P", 39, 68),
)


def chip(name: str) -> Chip:
    """The chip of a name or a part, as it is written on a phone's data sheet.

    >>> chip("Snapdragon® 8 Gen 3 Mobile").part, chip("sm8650").name
    ('SM8650', 'Snapdragon 8 Gen 3')
    """
    known = {_plain(each): found for found in CHIPS for each in (found.name, found.part)}
    found = known.get(_plain(str(name)))
    if found is None:
        near = difflib.get_close_matches(_plain(str(name)), known, 1, 0.3)
        hint = f" (near to it: {known[near[0]].name!r})" if near else ""
        raise ValueError(
            f"chip is {name!r}; wanted one of {', '.join(repr(c.name) for c in CHIPS)}{hint}"
        )
    return found


def _plain(name: str) -> str:
    """A name without what is spelled now so and now so.

    >>> _plain("Snapdragon® 8 Elite For Galaxy Mobile"), _plain("8 gen 3")
    ('8elite', '8gen3')
    """
    words = r"®|™|\(r\)|\(tm\)|qualcomm|snapdragon|mobile|for galaxy|platform|[\s_-]"
    return re.sub(words, "", name.lower())
