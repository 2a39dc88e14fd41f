"""Keep the measurements of `compare` as JSON, and give them as tables."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sam2lab.measure import latency_summaries, statistics
from sam2lab.peers.table import OURS
from sam2lab.runtime.files import replacing

Line = dict[str, Any]

FORMAT, VERSION = "sam2lab-peers", 1

# These are measured in rounds, and so have a ratio to ours, round by round.
ROUNDS = ("encode_ms", "decode_ms", "many_ms")
RATIOS = ["series", "baseline", "rounds", "ratio", "ratio_low", "ratio_high"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The measurements of one run.

    `about` holds the machine, versions and settings, `contenders` the peers that took part, and
    `lines` all measurements in order, each with its `phase`: answers, encode, decode, start or
    peak.
    """

    about: Line
    contenders: Sequence[Line]
    lines: Sequence[Line]

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write everything as JSON, whole or not at all."""
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "format": FORMAT,
            "version": VERSION,
            "about": self.about,
            "contenders": list(self.contenders),
            "lines": list(self.lines),
        }
        with replacing(path) as beside:
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> Comparison:
        """Read what `save` wrote."""
        try:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"{file} is no comparison; make one with sam2lab.peers.compare")
        if content.get("version") != VERSION:
            raise ValueError(
                f"{file} is of version {content.get('version')!r}, and this sam2lab reads "
                f"{VERSION}; measure again"
            )
        return cls(content["about"], content["contenders"], content["lines"])

    def times(self) -> pd.DataFrame:
        """Return all rounds as `time_in_turn` does: `series`, `run`, `phase` and `ROUNDS`."""
        rows = [
            {"series": name, "run": line["round"], "phase": "steady"}
            | {column: times.get(column) for column in ROUNDS}
            for line in self.lines
            if line["phase"] in ("encode", "decode")
            for name, times in line["times"].items()
        ]
        table = pd.DataFrame(rows, columns=["series", "run", "phase", *ROUNDS])
        return table.astype(dict.fromkeys(ROUNDS, float))

    def starts(self) -> pd.DataFrame:
        """Return all first masks: `series`, `run`, steps in ms, `uses_torch`, `iou`, `peak_mb`."""
        return self._of("start")

    def peaks(self) -> pd.DataFrame:
        """Return all peaks of memory while encoding: `series`, `run`, `peak_mb`."""
        return self._of("peak")[["series", "run", "peak_mb"]]

    def agreement(self) -> pd.DataFrame:
        """Return the least IoU with the original by `series` and `kind` of prompt, or `error`."""
        rows = [
            {
                "series": line["contender"],
                "kind": kind,
                "iou": float("nan") if isinstance(found, str) else found,
                "error": found if isinstance(found, str) else "",
            }
            for line in self.lines
            if line["phase"] == "answers"
            for kind, found in {**line["iou"], "several at once": line["several"]}.items()
        ]
        return pd.DataFrame(rows, columns=["series", "kind", "iou", "error"])

    def troubles(self) -> pd.DataFrame:
        """Return what went wrong with peers that ran: `series`, `where` and `error`."""
        answers = self.agreement().rename(columns={"kind": "where"}).query("error != ''")
        own = [
            {"series": line["contender"], "where": "own classes", "error": line["error"]}
            for line in self.lines
            if line["phase"] in ("start", "peak") and "error" in line
        ]
        columns = ["series", "where", "error"]
        found = pd.concat([answers[columns], pd.DataFrame(own, columns=columns)])
        return found.drop_duplicates(ignore_index=True)

    def ratios(self, column: str) -> pd.DataFrame:
        """Return how many times as long as ours each other peer takes, with its interval.

        `column` is one of `ROUNDS`, or `first_mask_ms`. See `latency_ratios`.
        """
        table = self.times() if column in ROUNDS else self.starts().assign(phase="steady")
        table = table.dropna(subset=[column])
        if OURS not in set(table["series"]):
            raise ValueError(f"there is no {column} of {OURS}; see the reasons in `contenders`")
        # Named, since without another peer there is not even an empty column.
        return latency_summaries.latency_ratios(table, OURS, column).reindex(columns=RATIOS)

    def summary(self) -> pd.DataFrame:
        """Return one row for each peer, ours first.

        `contender`, `state` and `reason`; medians `encode_ms`, `decode_ms` (one prompt),
        `many_ms` (each of 64 prompts in one call), `first_mask_ms` (fresh process, from import,
        own classes), each with `…_ratio`, `…_low`, `…_high`: as a multiple
        of ours, with its 95 % interval; `peak_mb` (encoding in a fresh process), `files_mb`,
        `iou` (the least with the original, of all kinds of prompt) and `own_iou` (of the mask
        that its own classes made of the photo).
        """
        rows = pd.DataFrame(self.contenders).set_index("contender", drop=False)
        rows.index.name = None
        times, starts, peaks = self.times(), self.starts(), self.peaks()
        for column in (*ROUNDS, "first_mask_ms"):
            table = times if column in ROUNDS else starts
            table = table.dropna(subset=[column])
            rows[column] = table.groupby("series")[column].median()
            found = self.ratios(column).set_index("series")
            stem = column.removesuffix("_ms")
            for ours, theirs in (("ratio", "ratio"), ("low", "ratio_low"), ("high", "ratio_high")):
                rows[f"{stem}_{ours}"] = found[theirs].astype(float)
        rows["peak_mb"] = peaks.groupby("series")["peak_mb"].median()
        found = self.agreement().query("kind != 'several at once'")
        rows["iou"] = found.groupby("series")["iou"].min()
        rows["own_iou"] = starts.groupby("series")["iou"].min()
        return rows.reset_index(drop=True)

    def many_share(self) -> pd.DataFrame:
        """Return the time of each of 64 prompts in one call over that of one alone, by `series`."""
        times = self.times().dropna(subset=["many_ms"])
        rows = [
            (name, *statistics.median_interval(group["many_ms"] / group["decode_ms"]))
            for name, group in times.groupby("series", sort=False)
        ]
        return pd.DataFrame(rows, columns=["series", "share", "low", "high"])

    def _of(self, phase: str) -> pd.DataFrame:
        rows = [
            {"series": line["contender"], "run": line["round"]}
            | {k: v for k, v in line.items() if k not in ("phase", "contender", "round")}
            for line in self.lines
            if line["phase"] == phase and "error" not in line
        ]
        columns = ["series", "run", "first_mask_ms", "uses_torch", "peak_mb", "iou"]
        return pd.DataFrame(rows, columns=None if rows else columns)
