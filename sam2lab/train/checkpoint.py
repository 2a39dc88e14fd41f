"""Keeps a training run in its folder: a checkpoint to go on from, and a log to read."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sam2lab.runtime.files import replacing


def save_run(
    checkpoint: Path, log: Path, state: Mapping[str, Any], rows: Sequence[Mapping[str, float]]
) -> None:
    """Write a checkpoint, and the log's rows as CSV, each beside its place first."""
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with replacing(checkpoint) as beside:
        torch.save(dict(state), beside)
    if rows:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: "" if math.isnan(v) else f"{v:.6g}" for k, v in row.items()} for row in rows
        )
        with replacing(log) as beside:
            beside.write_text(text.getvalue())


def load_run(checkpoint: Path, asked: Mapping[str, Any], device: str = "cpu") -> dict[str, Any]:
    """Read the checkpoint of a run whose `begun_with` is what is `asked` of this one.

    A damaged file, or another run's, raises a `ValueError` that says what differs.
    """
    try:
        state: dict[str, Any] = torch.load(checkpoint, map_location=device, weights_only=True)
        begun_with = state.get("begun_with", {})
    except OSError:
        raise
    # torch may raise any error on a damaged file.
    except Exception:
        raise ValueError(
            f"folder: {checkpoint} is damaged, or not the checkpoint of a run; delete it to begin "
            "anew, or give another folder"
        ) from None
    others = [name for name in asked if begun_with.get(name, "unknown") != asked[name]]
    if others:
        there, here = (
            ", ".join(f"{name} {values.get(name, 'unknown')}" for name in others)
            for values in (begun_with, asked)
        )
        raise ValueError(
            f"folder is {str(checkpoint.parent)!r}, where a run was begun with {there}; this one "
            f"has {here}. Begin with the same to go on, or give another folder to begin anew"
        )
    return state
