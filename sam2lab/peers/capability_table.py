"""List what each peer can do, as a run measured it or as its own documents say."""

from __future__ import annotations

import pandas as pd

from sam2lab.peers.comparison import Comparison
from sam2lab.peers.table import PEERS

YES, NO, UNKNOWN = "yes", "no", "?"

# Masks that differ no more than this from the original's, or from those of the same weights for
# a single click, show that a prompt is used: a prompt that is ignored changes far more.
NEAR = 0.05
# Another way to shrink a photo changes few pixels of a mask; rounding changes fewer.
VERY_NEAR = 0.0005


def capabilities(comparison: Comparison) -> pd.DataFrame:
    """Return a row for each capability, a column for each peer (yes, no, ?), and `source`.

    `source` is "measured" where this run showed it, or says where it was read. A peer that did
    not run has only what was read.
    """
    names = [line["contender"] for line in comparison.contenders]
    rows = [
        {"capability": name, **cells, "source": "measured"} for name, cells in _shown(comparison)
    ]
    rows += _read(names)
    # A file may name peers that this version no longer knows.
    columns = ["capability", *names, "source"]
    return pd.DataFrame(rows).reindex(columns=columns).astype(object).fillna(UNKNOWN)


def _read(names: list[str]) -> list[dict[str, str]]:
    """Collect the attribute `can` of these peers, a row for each capability."""
    peers = [PEERS[name] for name in names if name in PEERS]
    rows = []
    for capability in dict.fromkeys(key for peer in peers for key in peer.can):
        cells: dict[str, str] = {}
        sources: dict[str, list[str]] = {}
        for peer in peers:
            answer, _, source = peer.can.get(capability, NO).partition(": ")
            cells[peer.name] = answer
            if source:
                sources.setdefault(source, []).append(peer.name)
        told = "; ".join(f"{', '.join(who)}: {source}" for source, who in sources.items())
        rows.append({"capability": capability, **cells, "source": told})
    return rows


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
