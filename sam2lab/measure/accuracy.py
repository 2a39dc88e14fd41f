"""Compare the masks of engines with the truth, object by object.

A table has a row for each engine, object and prompt. Columns: `engine`, `image`, `object`,
`kind` (see `interactive.KINDS`), `clicks` (so far; 0 for a box), `iou` (Jaccard index of the mask
that the engine scores best), `best_of_three` (the highest IoU of the candidates, which only the
truth can show; NaN where the engine was asked for a single mask), `score` (the
engine's own guess of `iou`), `boundary_f`, `area_px` (of the true mask) and `size` (see
`size_class`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sized
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sam2lab.measure import machine
from sam2lab.measure.engine_sources import Source, prepared, trained
from sam2lab.measure.ground_truth import Sample, Samples, Skipped, samples
from sam2lab.measure.interactive import KINDS, InteractiveProtocol, PromptedMasks, prompt_objects
from sam2lab.measure.journal import Line
from sam2lab.measure.tasks import do_tasks
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.images import ImageError
from sam2lab.runtime.masks import Mask, boundary_f, iou
from sam2lab.scenes.scene import Scene

COLUMNS = [
    *("engine", "image", "object", "kind", "clicks", "iou", "best_of_three", "score"),
    *("boundary_f", "area_px", "size"),
]
SKIPPED_COLUMNS = ["image", "object", "reason"]

# COCO: an object is small below 32 x 32 pixels, and large from 96 x 96 on.
SMALL_PX, LARGE_PX = 32**2, 96**2
SIZE_CLASSES = ("small", "medium", "large")


@dataclass(frozen=True, eq=False)
class Accuracy:
    """A `table` with a row for each answer, and what was `skipped`: `image`, `object`, `reason`.

    `table.attrs` holds facts about the `engines`, the `kinds`, `clicks` and `seed` of the
    prompts, the key of the `ground_truth`, and whether the study was `interrupted`.
    """

    table: pd.DataFrame
    skipped: pd.DataFrame


def evaluate(
    engines: Mapping[str, Engine | Source],
    ground_truth: Iterable[Sample | Scene],
    kinds: Iterable[str] = KINDS,
    clicks: int = 20,
    seed: int = 0,
    executor: Executor | None = None,
    in_flight: int = 64,
    keep_in: str | os.PathLike[str] | None = None,
) -> Accuracy:
    """Ask every engine for every object of the ground truth, with every kind of prompt.

    The ground truth is `ground_truth.coco(...)`, `ground_truth.drawn(...)` or any scenes. An
    engine is an open one or a source: a bundle's folder, arguments of `sam2lab.open_segmenter`
    such as `{"model": "nano", "threads": 1}`, or a function that opens one. Engines with random
    weights are refused. Each photo is read once, and encoded once by each engine; `clicks` is
    how far the kind "clicks" goes.

    With an `executor` of `concurrent.futures`, or that of a cluster (`Client.get_executor()` of
    dask.distributed), every photo is a task; at most `in_flight` of them wait or run at a time,
    and each worker opens the engines for itself. The table is the same in any case.

    An interrupt returns what is finished, with `attrs["interrupted"]`. With `keep_in`, each photo
    is kept in that file as soon as it is finished; the same call then measures only the rest.

    ```python
    result = evaluate({"onnx": "models/nano"}, coco("data/tiny_coco"), clicks=3)
    ```
    """
    protocol = InteractiveProtocol(
        tuple([kinds] if isinstance(kinds, str) else kinds), clicks, seed
    )
    in_flight = whole("in_flight", in_flight, least=1)
    asked = prepared(engines, elsewhere=executor is not None)
    about = {
        "engines": {name: machine.engine_facts(trained(name, one)) for name, one in asked.items()},
        **asdict(protocol),
        "ground_truth": ground_truth.key if isinstance(ground_truth, Samples) else None,
    }
    lines, interrupted = do_tasks(
        _numbered(ground_truth),
        partial(_outcome, engines=asked, protocol=protocol),
        about,
        kind="image",
        total=len(ground_truth) if isinstance(ground_truth, Sized) else None,
        executor=executor,
        in_flight=in_flight,
        keep_in=keep_in,
    )
    kept = [_Outcome.from_line(line) for line in lines]
    tables = [outcome.table for outcome in kept if len(outcome.table)]
    table = pd.concat(tables, ignore_index=True) if tables else _table([])
    table.attrs = {**about, "interrupted": interrupted}
    skipped = list(ground_truth.skipped) if isinstance(ground_truth, Samples) else []
    skipped += [each for outcome in kept for each in outcome.skipped]
    return Accuracy(table, pd.DataFrame(skipped, columns=SKIPPED_COLUMNS))


def compare_with_truth(answer: PromptedMasks, truth: Mask) -> dict[str, Any]:
    """The columns of a table that compare one answer with the true mask (H, W)."""
    ious = [iou(truth, mask) for mask in answer.masks]
    best = int(np.argmax(answer.scores))
    area_px = int(np.count_nonzero(truth))
    return {
        "iou": ious[best],
        "best_of_three": max(ious) if len(ious) > 1 else np.nan,
        "score": float(answer.scores[best]),
        "boundary_f": boundary_f(truth, answer.best),
        "area_px": area_px,
        "size": size_class(area_px),
    }


def size_class(area_px: int) -> str:
    """COCO's class of an object with this number of pixels.

    >>> size_class(1023), size_class(1024), size_class(9216)
    ('small', 'medium', 'large')
    """
    return SIZE_CLASSES[(area_px >= SMALL_PX) + (area_px >= LARGE_PX)]


class _Outcome(NamedTuple):
    """The rows of one photo, and what was skipped of it."""

    table: pd.DataFrame
    skipped: list[Skipped]

    def to_line(self) -> Line:
        return {"rows": self.table.to_dict("list"), "skipped": self.skipped}

    @classmethod
    def from_line(cls, line: Line) -> _Outcome:
        table = pd.DataFrame(line["rows"], columns=COLUMNS)
        return cls(table, [Skipped(*each) for each in line["skipped"]])


def _numbered(ground_truth: Iterable[Sample | Scene]) -> Iterator[tuple[int, Sample]]:
    seen = set()
    for sample in samples(ground_truth):
        if sample.image in seen:
            raise ValueError(
                f"ground_truth has two photos numbered {sample.image}, which no table can "
                "tell apart; evaluate sets of photos one by one"
            )
        seen.add(sample.image)
        yield sample.image, sample


def _outcome(
    sample: Sample, engines: Mapping[str, Engine | bytes], protocol: InteractiveProtocol
) -> Line:
    """Do the work on one photo, in this process or in a worker."""
    try:
        photo, masks, skipped = sample.load()
    except (ImageError, OSError) as error:
        broken = Skipped(sample.image, None, f"broken photo: {error}")
        return _Outcome(_table([]), [broken]).to_line()
    if not masks:
        empty = Skipped(sample.image, None, "no object")
        return _Outcome(_table([]), [*skipped, empty]).to_line()
    rows = [
        {
            "engine": name,
            "image": sample.image,
            "object": answer.object,
            "kind": answer.kind,
            "clicks": answer.clicks,
            **compare_with_truth(answer, masks[answer.object]),
        }
        for name, one in engines.items()
        for answer in prompt_objects(trained(name, one), photo, masks, protocol, sample.image)
    ]
    return _Outcome(_table(rows), skipped).to_line()


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)
