"""What each contender can do: found out where code can find out, and read where it cannot."""

from __future__ import annotations

import pandas as pd

from sam2lab.peers.comparison import Comparison
from sam2lab.peers.contenders import NAMES

YES, NO, UNKNOWN = "yes", "no", "?"

# Masks that differ no more than this from the original's, or from those that the same numbers
# gave for a single click, are the same feature; one that is ignored changes far more.
NEAR = 0.05
# A photo that is shrunk in another way changes few pixels of a mask; rounding changes fewer.
VERY_NEAR = 0.0005

_OURS = ("sam2lab", "sam2lab w8a8", "OpenVINO f32", "OpenVINO bf16")
_ONNXRUNTIME = ("onnxruntime's exporter", "onnxruntime's --optimize")
_TORCH = ("PyTorch", "torch.compile")

# What no single run can show: who can, and where that was read.
READ: dict[str, tuple[tuple[str, ...], str]] = {
    "one mask instead of three": (
        (*_OURS, *_ONNXRUNTIME, *_TORCH),
        "multimask_output: fixed in samexporter's export_sam2.py, ignored by sam2-onnx's "
        "predictor, a second file from onnxruntime's exporter",
    ),
    "other input sizes than 1024 x 1024": (
        (*_OURS, "sam2-onnx", *_TORCH),
        "input_size here, image_size in sam2's configs, which sam2-onnx follows; fixed in the "
        "sources of the others",
    ),
    "photos that are not squashed to a square": (_OURS, "input_size=(720, 1280)"),
    "an 8-bit export of SAM 2": (
        ("sam2lab", "sam2lab w8a8", "sam2-onnx"),
        "precision='w8a8' here, calibrated; --quantize there, dynamic; the others have none for "
        "SAM 2",
    ),
    "video": (_TORCH, "the others export the image model only"),
}


def features(comparison: Comparison) -> pd.DataFrame:
    """One row for each feature, a column for each contender (yes, no, ?), and `source`.

    `source` is "measured" where this run showed it, or says where it was read. A contender that
    did not run has only what was read.
    """
    names = [line["contender"] for line in comparison.contenders]
    rows = [{"feature": name, **cells, "source": "measured"} for name, cells in _shown(comparison)]
    for feature, (able, source) in READ.items():
        cells = {name: YES if name in able else NO for name in NAMES}
        rows.append({"feature": feature, **cells, "source": source})
    # A file may name contenders that this version no longer knows.
    table = pd.DataFrame(rows).reindex(columns=["feature", *names, "source"])
    return table.astype(object).fillna(UNKNOWN)


def _shown(comparison: Comparison) -> list[tuple[str, dict[str, str]]]:
    table = comparison.agreement()
    iou = {(row.series, row.kind): row.iou for row in table.itertuples()}
    starts = comparison.starts().drop_duplicates("series").set_index("series")

    def answers(kind: str) -> dict[str, str]:
        return {
            name: _yes(iou[name, kind] >= iou[name, "1 point"] - NEAR)
            for name in table["series"].unique()
        }

    together = table[table["kind"] == "several at once"].set_index("series")["iou"]
    prepared = {
        name: _yes(start["iou"] >= iou[name, "1 point"] - VERY_NEAR)
        for name, start in starts.iterrows()
        if (name, "1 point") in iou
    }
    return [
        ("clicks that say “not this”", answers("point + negative")),
        ("boxes", answers("box")),
        ("boxes and clicks together", answers("box + point")),
        ("an earlier mask as prompt", answers("refine")),
        ("several objects in one call", {n: _yes(v >= 1 - NEAR) for n, v in together.items()}),
        ("runs without torch", {n: _yes(not t) for n, t in starts["uses_torch"].items()}),
        ("its own classes prepare photos as SAM 2 does", prepared),
    ]


def _yes(is_so: bool) -> str:
    return YES if is_so else NO
