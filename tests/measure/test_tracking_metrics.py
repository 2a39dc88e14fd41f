"""J and F are those of a brute-force version and of another implementation, and so are means."""

from __future__ import annotations

import importlib.util
import sys
from itertools import product
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from sam2lab.measure.tracking_metrics import by_object, jaccard_and_boundary, summarise_tracking
from sam2lab.runtime.masks import Mask

SIZE = (60, 100)
# 0.8 % of the diagonal, rounded up.
BOUND_PX = 1


def blob(rng: np.random.Generator, size: tuple[int, int] = SIZE) -> Mask:
    """A random ellipse, which may be cut by the edges, with a random hole."""
    y, x = np.ogrid[: size[0], : size[1]]
    found = np.zeros(size, bool)
    for inside in (True, False):
        centre, radius = rng.uniform(0, size), rng.uniform(4, 0.6 * min(size), 2)
        found[((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2 < 1] = inside
    return found


def moved(rng: np.random.Generator, mask: Mask) -> Mask:
    """The same mask a little elsewhere, and with some noise."""
    shifted = np.roll(mask, rng.integers(-3, 4, 2), (0, 1))
    return shifted ^ (rng.random(mask.shape) < 0.01)


def brute_force(truth: Mask, answer: Mask, bound: int) -> tuple[float, float]:
    """J and F by DAVIS's definition, pixel by pixel."""
    size = truth.shape
    both = sum(truth[p] and answer[p] for p in np.ndindex(size))
    either = sum(truth[p] or answer[p] for p in np.ndindex(size))

    def outline(mask: Mask) -> list[tuple[int, int]]:
        found = []
        for y, x in np.ndindex(size):
            near = [(y + dy, x + dx) for dy, dx in ((0, 1), (1, 0), (1, 1))]
            if any(p[0] < size[0] and p[1] < size[1] and mask[p] != mask[y, x] for p in near):
                found.append((y, x))
        return found

    def share_near(line: list[tuple[int, int]], other: list[tuple[int, int]]) -> float:
        there = set(other)
        disk = [
            (dy, dx)
            for dy, dx in product(range(-bound, bound + 1), repeat=2)
            if dy**2 + dx**2 <= bound**2
        ]
        near = [any((y + dy, x + dx) in there for dy, dx in disk) for y, x in line]
        return sum(near) / len(near)

    lines = outline(truth), outline(answer)
    if not all(lines):
        f = float(not any(lines))
    else:
        recall, precision = share_near(lines[0], lines[1]), share_near(lines[1], lines[0])
        f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return both / either if either else 1.0, f


@pytest.mark.parametrize("seed", range(4))
def test_figures_are_those_of_every_pixel_counted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = blob(rng)
    answer = moved(rng, truth)
    assert jaccard_and_boundary(truth, answer) == pytest.approx(
        brute_force(truth, answer, BOUND_PX), abs=1e-12
    )


@pytest.mark.parametrize(
    ("truth", "answer", "expected"),
    [("none", "none", (1, 1)), ("some", "none", (0, 0)), ("none", "some", (0, 0))],
)
def test_an_object_that_is_gone_is_right_where_nothing_is_marked(
    truth: str, answer: str, expected: tuple[int, int]
) -> None:
    masks = {"none": np.zeros(SIZE, bool), "some": blob(np.random.default_rng(0))}
    assert jaccard_and_boundary(masks[truth], masks[answer]) == expected


def test_void_pixels_count_in_neither_mask() -> None:
    rng = np.random.default_rng(1)
    truth = blob(rng)
    answer = moved(rng, truth)
    void = np.zeros(SIZE, bool)
    void[20:40, 30:70] = True
    expected = brute_force(truth & ~void, answer & ~void, BOUND_PX)
    assert jaccard_and_boundary(truth, answer, void) == pytest.approx(expected, abs=1e-12)
    # Whatever the answer is there, it changes nothing.
    assert jaccard_and_boundary(truth, answer ^ void, void) == pytest.approx(expected, abs=1e-12)


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch):
    """`vos_benchmark`'s evaluator, which takes one function of scikit-image: a disk of ones."""
    pytest.importorskip("vos_benchmark", reason="pip install --no-deps vos-benchmark")
    if importlib.util.find_spec("skimage") is None:
        made = ModuleType("skimage.morphology")
        made.disk = lambda radius: np.uint8(
            np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
        )
        monkeypatch.setitem(sys.modules, "skimage", ModuleType("skimage"))
        monkeypatch.setitem(sys.modules, "skimage.morphology", made)
    from vos_benchmark.evaluator import Evaluator

    return Evaluator()


def labels(masks: list[Mask]) -> npt.NDArray[np.uint8]:
    found = np.zeros(masks[0].shape, np.uint8)
    for number, mask in enumerate(masks, start=1):
        found[mask] = number
    return found


def test_a_videos_figures_are_those_of_vos_benchmark(evaluator) -> None:
    rng = np.random.default_rng(2)
    size = (120, 213)
    frames = []
    for _ in range(6):
        truth = [blob(rng, size), blob(rng, size)]
        frames.append((labels(truth), labels([moved(rng, mask) for mask in truth])))
    # The second object is gone in one frame, and missed in another.
    for place, frame in ((0, 3), (1, 4)):
        frames[frame][place][frames[frame][place] == 2] = 0
    rows = []
    for frame, (truth, answer) in enumerate(frames):
        evaluator.feed_frame(answer, truth)
        for number in (1, 2):
            found = jaccard_and_boundary(truth == number, answer == number)
            rows.append(("a", "memory", "mask", "s", number, frame, *found, True))
    names = ["engine", "way", "prompt", "sequence", "object", "frame", "j", "f", "is_counted"]
    means = by_object(pd.DataFrame(rows, columns=names)).set_index("object")
    for theirs, ours in zip(evaluator.conclude(), ("j", "f"), strict=True):
        assert {number: 100 * mean for number, mean in means[ours].items()} == pytest.approx(theirs)


def table(*objects: tuple[str, int, list[float]]) -> pd.DataFrame:
    """Rows of objects: a video's name, a number, and J in each frame, of which F is half."""
    return pd.DataFrame(
        {
            "engine": "a",
            "way": "memory",
            "prompt": "mask",
            "sequence": name,
            "object": number,
            "frame": frame,
            "j": j,
            "f": j / 2,
            "is_counted": 0 < frame < len(values) - 1,
        }
        for name, number, values in objects
        for frame, j in enumerate(values)
    )


def test_frames_of_an_object_are_averaged_first_then_all_objects() -> None:
    # In "one" the first and the last frame do not count; "two" is longer, and weighs no more.
    found = table(
        ("one", 1, [0, 0.2, 0.4, 0]), ("one", 2, [0, 0.9, 0.9, 0]), ("two", 1, [0, *[0.6] * 9, 0])
    )
    (row,) = summarise_tracking(found).to_dict("records")
    assert (row["sequences"], row["objects"]) == (2, 3)
    assert (row["j"], row["f"]) == pytest.approx(((0.3 + 0.9 + 0.6) / 3, (0.3 + 0.9 + 0.6) / 6))
    assert row["j_and_f"] == pytest.approx((row["j"] + row["f"]) / 2)
    assert np.isnan(row["j_low"])


def test_videos_are_told_apart_where_that_is_asked_for() -> None:
    found = summarise_tracking(
        table(("one", 1, [0, 0.2, 0]), ("two", 1, [0, 0.8, 0])), ["sequence"]
    )
    assert found.set_index("sequence")["j"].to_dict() == {"one": 0.2, "two": 0.8}


def test_many_videos_have_an_interval_that_holds_the_mean() -> None:
    rng = np.random.default_rng(0)
    found = table(*((f"v{i}", 1, [0, j, 0]) for i, j in enumerate(rng.uniform(0, 1, 12))))
    (row,) = summarise_tracking(found).to_dict("records")
    assert row["j_low"] < row["j"] < row["j_high"]


def test_nothing_measured_gives_an_empty_summary() -> None:
    assert summarise_tracking(table(("one", 1, [0, 0]))).empty
