"""How well an engine segments: its masks against the truth, object by object.

A table has a row for each engine, object and prompt. Columns: `engine`, `image`, `object`,
`kind` (see `interactive.KINDS`), `clicks` (so far; 0 for a box), `iou` (Jaccard index of the mask
that the engine scores best), `best_of_three` (of the best candidate, as only one who knows the
truth can choose it; NaN where the engine was asked for a single mask), `score` (the engine's own
guess of `iou`), `boundary_f`, `area_px` (of the true mask) and `size` (COCO's class of that).
"""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from sam2lab.measure import machine
from sam2lab.measure.ground_truth import Labelled, Sample, Samples, Skipped, samples
from sam2lab.measure.interactive import KINDS, InteractiveProtocol, PromptedMasks, prompt_objects
from sam2lab.measure.journal import Journal
from sam2lab.measure.size_classes import size_class
from sam2lab.runtime.arguments import whole
from sam2lab.runtime.engines.protocol import Engine
from sam2lab.runtime.engines.table import open_by_name
from sam2lab.runtime.images import ImageError
from sam2lab.runtime.masks import Mask, boundary_f, iou
from sam2lab.scenes.scene import Scene

Place = str | os.PathLike[str] | Mapping[str, Any] | Callable[[], Engine]

COLUMNS = [
    *("engine", "image", "object", "kind", "clicks", "iou", "best_of_three", "score"),
    *("boundary_f", "area_px", "size"),
]
SKIPPED_COLUMNS = ["image", "object", "reason"]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """What was measured, a row for each answer, and what was not: `image`, `object`, `reason`.

    `table.attrs` says of which `engines`, with which `kinds`, `clicks` and `seed`, on which
    `ground_truth` (its key), and whether it was `interrupted`.
    """

    table: pd.DataFrame
    skipped: pd.DataFrame


def evaluate(
    engines: Mapping[str, Engine | Place],
    ground_truth: Iterable[Sample | Scene],
    kinds: Iterable[str] = KINDS,
    clicks: int = 20,
    seed: int = 0,
    executor: Executor | None = None,
    in_flight: int = 64,
    keep_in: str | os.PathLike[str] | None = None,
) -> Accuracy:
    """Ask every engine for every object of the ground truth, in every kind of way.

    The ground truth is `ground_truth.coco(...)`, `ground_truth.drawn(...)` or any scenes. An
    engine is one that is open, or where it is: a bundle's folder, arguments of
    `sam2lab.open_segmenter` such as `{"model": "nano", "threads": 1}`, or a function that opens
    one. Engines with random weights are refused. Each photo is read once, and encoded once by
    each engine; `clicks` is how far the kind "clicks" goes.

    With an `executor` of `concurrent.futures`, or that of a cluster (`Client.get_executor()` of
    dask.distributed), every photo is a task; at most `in_flight` of them wait or run at a time,
    and each worker opens the engines for itself. The table is the same, whoever did the work.

    An interrupt returns what is finished, with `attrs["interrupted"]`. `keep_in` names a file in
    which it is kept photo by photo; called again with that file, only the rest is measured.

    ```python
    result = evaluate({"onnx": "models/nano"}, coco("data/tiny_coco"), clicks=3)
    ```
    """
    questions = InteractiveProtocol(
        tuple([kinds] if isinstance(kinds, str) else kinds), clicks, seed
    )
    in_flight = whole("in_flight", in_flight, least=1)
    used = _checked(engines, elsewhere=executor is not None)
    about = {
        "engines": {name: machine.engine_facts(_engine(name, one)) for name, one in used.items()},
        **asdict(questions),
        "ground_truth": ground_truth.key if isinstance(ground_truth, Samples) else None,
    }
    finished: dict[int, _Outcome] = {}
    # In the order in which they came.
    seen: dict[int, None] = {}
    with contextlib.ExitStack() as stack:
        journal = None
        if keep_in is not None:
            journal = stack.enter_context(Journal(keep_in, about))
            finished = {line["image"]: _Outcome.from_line(line) for line in journal.done}
        bar = stack.enter_context(tqdm(total=_count(ground_truth), desc="photos", leave=False))

        def missing() -> Iterator[Sample]:
            for sample in samples(ground_truth):
                if sample.image in seen:
                    raise ValueError(
                        f"ground_truth has two photos numbered {sample.image}, which no table can "
                        "tell apart; evaluate sets of photos one by one"
                    )
                seen[sample.image] = None
                if sample.image in finished:
                    bar.update()
                else:
                    yield sample

        interrupted = False
        done = stack.enter_context(
            contextlib.closing(_outcomes(missing(), used, questions, executor, in_flight))
        )
        try:
            for image, outcome in done:
                if journal is not None:
                    journal.add(outcome.to_line(image))
                finished[image] = outcome
                bar.update()
        except KeyboardInterrupt:
            interrupted = True
    kept = [finished[image] for image in seen if image in finished]
    beforehand = ground_truth.skipped if isinstance(ground_truth, Samples) else ()
    return _together(kept, beforehand, {**about, "interrupted": interrupted})


def opened(engines: Mapping[str, Engine | Place]) -> dict[str, Engine]:
    """Engines by name, those given by their place opened; random weights are refused."""
    return {name: _engine(name, one) for name, one in _checked(engines, False).items()}


def score(engine: str, answer: PromptedMasks, truth: Mask) -> dict[str, Any]:
    """The columns that compare one answer with the true mask (H, W)."""
    ious = [iou(truth, mask) for mask in answer.masks]
    best = int(np.argmax(answer.scores))
    return {
        "engine": engine,
        "object": answer.object,
        "kind": answer.kind,
        "clicks": answer.clicks,
        "iou": ious[best],
        "best_of_three": max(ious) if len(ious) > 1 else np.nan,
        "score": float(answer.scores[best]),
        "boundary_f": boundary_f(truth, answer.best),
    }


class _Outcome(NamedTuple):
    """What came of one photo."""

    table: pd.DataFrame
    skipped: list[Skipped]

    def to_line(self, image: int) -> dict[str, Any]:
        # JSON knows no NaN.
        table = self.table.astype(object).where(self.table.notna(), None)
        return {"image": image, "rows": table.to_dict("list"), "skipped": self.skipped}

    @classmethod
    def from_line(cls, line: dict[str, Any]) -> _Outcome:
        table = pd.DataFrame(line["rows"], columns=COLUMNS)
        numbers = {"best_of_three": float}
        return cls(table.astype(numbers), [Skipped(*each) for each in line["skipped"]])


def _outcome(
    sample: Sample, engines: Mapping[str, Engine | bytes], questions: InteractiveProtocol
) -> _Outcome:
    """The work on one photo, wherever it is done."""
    try:
        labelled = sample.load()
    except (ImageError, OSError) as error:
        return _Outcome(_table([]), [Skipped(sample.image, None, f"broken photo: {error}")])
    rows = [
        row
        for name, engine in engines.items()
        for row in _rows(name, _engine(name, engine), labelled, sample.image, questions)
    ]
    nothing = [] if labelled.masks else [Skipped(sample.image, None, "no object")]
    return _Outcome(_table(rows), [*labelled.skipped, *nothing])


def _rows(
    name: str, engine: Engine, labelled: Labelled, image: int, questions: InteractiveProtocol
) -> Iterator[dict[str, Any]]:
    if not labelled.masks:
        return
    areas = {number: int(np.count_nonzero(mask)) for number, mask in labelled.masks.items()}
    for answer in prompt_objects(engine, labelled.photo, labelled.masks, questions, image):
        area = areas[answer.object]
        scored = score(name, answer, labelled.masks[answer.object])
        yield {**scored, "image": image, "area_px": area, "size": size_class(area)}


def _outcomes(
    tasks: Iterator[Sample],
    engines: Mapping[str, Engine | bytes],
    questions: InteractiveProtocol,
    executor: Executor | None,
    in_flight: int,
) -> Generator[tuple[int, _Outcome]]:
    """What came of each photo, as it is finished."""
    if executor is None:
        for sample in tasks:
            yield sample.image, _outcome(sample, engines, questions)
        return

    def submit(count: int) -> None:
        for sample in islice(tasks, count):
            running[executor.submit(_outcome, sample, engines, questions)] = sample.image

    running: dict[Any, int] = {}
    try:
        submit(in_flight)
        while running:
            ready, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ready:
                yield running.pop(future), future.result()
            submit(len(ready))
    finally:
        for future in running:
            future.cancel()


def _checked(engines: Mapping[str, Engine | Place], elsewhere: bool) -> dict[str, Engine | bytes]:
    """Engines as they are, and places in a form that can be sent and told apart."""
    if not isinstance(engines, Mapping) or not engines:
        raise ValueError(
            f"engines is {engines!r}; wanted names with engines, or with places such as a "
            'bundle\'s folder: {"onnx": "models/nano"}'
        )
    used: dict[str, Engine | bytes] = {}
    for name, one in engines.items():
        if isinstance(one, Engine):
            if elsewhere:
                raise ValueError(
                    f"engines[{name!r}] is open in this process, where an executor's workers "
                    'cannot use it; give the place instead, {"model": "models/nano"}'
                )
            used[str(name)] = one
            continue
        place = {"model": os.fspath(one)} if isinstance(one, str | os.PathLike) else one
        if not callable(place) and not (isinstance(place, Mapping) and "model" in place):
            raise ValueError(
                f"engines[{name!r}] is {one!r}; wanted an Engine, a bundle's folder, or arguments "
                'of open_segmenter such as {"model": "nano", "engine": "torch"}'
            )
        if callable(place) and not elsewhere:
            # Any function will do, those too that cannot be sent.
            used[str(name)] = place()
            continue
        try:
            used[str(name)] = pickle.dumps(place if callable(place) else dict(place))
        except (pickle.PicklingError, AttributeError, TypeError) as reason:
            raise ValueError(
                f"engines[{name!r}] cannot be sent to an executor's workers ({reason}); give a "
                "function that a module defines, or arguments of open_segmenter"
            ) from None
    return used


def _engine(name: str, one: Engine | bytes) -> Engine:
    engine = _opened(one) if isinstance(one, bytes) else one
    if engine.info.has_random_weights:
        raise ValueError(
            f"engines[{name!r}] has random weights ({engine.info.weights}): its masks mean "
            "nothing, and neither would any figure about them. Open a trained model: nano where "
            "it is trained, or a size of Meta's with weights='auto'"
        )
    return engine


# A worker is sent the same places with every photo. The bytes are our own process's.
@lru_cache(maxsize=8)
def _opened(place: bytes) -> Engine:
    opening = pickle.loads(place)
    if callable(opening):
        return opening()
    return open_by_name(**opening)


def _count(ground_truth: Any) -> int | None:
    return len(ground_truth) if hasattr(ground_truth, "__len__") else None


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS)


def _together(
    outcomes: list[_Outcome], beforehand: Iterable[Skipped], about: dict[str, Any]
) -> Accuracy:
    tables = [outcome.table for outcome in outcomes if len(outcome.table)]
    table = pd.concat(tables, ignore_index=True) if tables else _table([])
    table.attrs = about
    skipped = [*beforehand, *(each for outcome in outcomes for each in outcome.skipped)]
    return Accuracy(table, pd.DataFrame(skipped, columns=SKIPPED_COLUMNS))
