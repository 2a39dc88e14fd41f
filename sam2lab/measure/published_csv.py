"""Read a CSV file of published figures; a broken row is refused with its line number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

Column = tuple[str, ...] | str
"""One of these words, or "text", "ms" or "mb"."""

# A longer time or more memory is a slip of the comma.
LIMITS: dict[Column, tuple[float, float]] = {"ms": (0.001, 30_000), "mb": (0, 65_535)}
TYPES: dict[Column, type] = {"ms": float, "mb": int}
REMEDY = "Take the file from the project again; data/README.md says where it came from"


def read_published_csv(
    path: Path,
    columns: Mapping[str, Column],
    identity: list[str],
    ends: tuple[str, str],
) -> pd.DataFrame:
    """Read a CSV file with these columns: one of some words, any text, or figures in a unit.

    No two rows may agree in all columns of `identity`; `ends` are the two ends of a range.
    """
    # A place for one value too many, which would otherwise move the others.
    names = [*columns, "surplus"]
    try:
        lines = pd.read_csv(path, names=names, dtype=str, keep_default_na=False).fillna("")
    except (OSError, ValueError) as reason:
        raise ValueError(f"{path} cannot be read: {str(reason).strip()}. {REMEDY}") from None
    if lines[:1].to_numpy().tolist() != [[*columns, ""]]:
        raise ValueError(f"{path}, line 1: the columns are not {', '.join(columns)}. {REMEDY}")
    table = lines[1:].copy()
    problems = {f"there are more than {len(columns)} values": table.pop("surplus") != ""}
    for name, wanted in columns.items():
        if isinstance(wanted, tuple):
            problems[f"{name} is not one of {', '.join(wanted)}"] = ~table[name].isin(wanted)
        elif wanted == "text":
            problems[f"{name} is empty"] = table[name].str.strip() == ""
        else:
            low, high = LIMITS[wanted]
            numbers = table[name] = pd.to_numeric(table[name], errors="coerce")
            broken = ~numbers.between(low, high) | ((numbers % 1 != 0) & (wanted == "mb"))
            problems[f"{name} is no number of {wanted} up to {high}"] = broken
    problems[f"{ends[0]} is above {ends[1]}"] = table[ends[0]] > table[ends[1]]
    problems[f"there is a row of the same {', '.join(identity)}"] = table.duplicated(identity)
    for problem, broken in problems.items():
        if broken.any():
            raise ValueError(f"{path}, line {broken.idxmax() + 1}: {problem}. {REMEDY}")
    types = {name: TYPES[wanted] for name, wanted in columns.items() if wanted in LIMITS}
    return table.astype(types).reset_index(drop=True)
