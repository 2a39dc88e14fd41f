from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from sam2lab.reference import zoo
from sam2lab.scenes.scene import Scene
from sam2lab.train import scores
from sam2lab.train.loop import LOG, Trainer
from sam2lab.train.pupil import Pupil
from sam2lab.train.recipe import Phase, Recipe
from sam2lab.train.scores import HEAD, teach_scores

PHASES = (Phase(64, 2, 3, 2),)
RECIPE = Recipe(1, PHASES, warm_up=1, score_pictures=4)
LESSONS = Phase(64, 1, 3, 6)
# The first number that no step has had: three steps, two pictures each.
FIRST = 6


class Squares:
    """One bright square a scene, elsewhere each time; `stops_at` is where a user interrupts."""

    def __init__(self, stops_at: int | None = None) -> None:
        self.stops_at = stops_at

    def scene(self, index: int, size: tuple[int, int]) -> Scene:
        if index == self.stops_at:
            raise KeyboardInterrupt
        rng = np.random.default_rng(index)
        mask = np.zeros(size, np.bool_)
        row, column = rng.integers(0, size[0] // 2, 2)
        mask[row : row + size[0] // 3, column : column + size[1] // 3] = True
        image = rng.integers(0, 60, (*size, 3), dtype=np.uint8)
        image[mask] += 150
        return Scene(image, mask[None])


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order, however busy the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", autouse=True)
def quickly() -> Iterator[None]:
    """A quarter of the steps: what is asked here holds for any number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "STEPS", 75)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    torch.set_num_threads(1)
    trainer = Trainer(Squares(), RECIPE, tmp_path_factory.mktemp("whole"), unseen=Squares())
    trainer.run()
    return trainer


def untaught() -> zoo.ZooModel:
    return zoo.untrained("nano", 0)


def test_only_the_head_of_the_scores_changes(whole: Trainer) -> None:
    before = Trainer(Squares(), Recipe(1, PHASES, warm_up=1))
    before.run()
    changed = {k for k, v in whole.average.items() if not torch.equal(v, before.average[k])}
    assert changed == {key for key in whole.average if key.startswith(f"sam.{HEAD}")}


def test_an_interrupted_run_ends_with_the_same_scores(whole: Trainer, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Trainer(Squares(FIRST + 2), RECIPE, tmp_path).run()
    resumed = Trainer(Squares(), RECIPE, tmp_path)
    assert resumed.step == RECIPE.steps
    resumed.run()
    for key, value in whole.average.items():
        assert torch.equal(resumed.average[key], value), key


def test_a_finished_run_is_not_taught_again(whole: Trainer) -> None:
    assert whole.folder is not None
    # Anything that asked for a scene would be interrupted.
    again = Trainer(Squares(FIRST), RECIPE, whole.folder)
    again.run()
    for key, value in whole.average.items():
        assert torch.equal(again.average[key], value), key


def test_scores_are_learnt_on_the_views_where_there_are_such(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        Trainer(Squares(), RECIPE, tmp_path, views=Squares(FIRST)).run()
    assert Trainer(Squares(), RECIPE, tmp_path).step == RECIPE.steps


def test_the_log_goes_on(whole: Trainer) -> None:
    assert whole.folder is not None
    header, *rows = (whole.folder / LOG).read_text().splitlines()
    last, taught = (dict(zip(header.split(","), row.split(","), strict=True)) for row in rows[-2:])
    assert last["step"] == taught["step"] == str(RECIPE.steps)
    assert taught["unseen_best"] == last["unseen_best"], "answers are what they were"
    assert taught["loss"] == "", "another kind of loss would look like progress"


def test_the_seed_decides() -> None:
    found = []
    for seed in (1, 1, 2):
        model = untaught()
        teach_scores(model, Squares(), LESSONS, FIRST, seed)
        found.append(
            torch.cat([p.flatten() for p in model.module.get_submodule(HEAD).parameters()])
        )
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_scores_get_nearer_to_the_truth() -> None:
    model = untaught()
    with torch.random.fork_rng():
        tokens, overlaps = scores._answers(Pupil(model).eval(), Squares(), LESSONS, FIRST)
    head = model.module.get_submodule(HEAD)

    def loss() -> float:
        head.sigmoid_output = False
        with torch.no_grad():
            return float(functional.binary_cross_entropy_with_logits(head(tokens), overlaps))

    before = loss()
    teach_scores(model, Squares(), LESSONS, FIRST, 0)
    # Entropy of the overlaps themselves is the least that there can be.
    clear = overlaps.clamp(1e-6, 1 - 1e-6)
    least = float(functional.binary_cross_entropy(clear, clear))
    assert loss() - least < 0.2 * (before - least)


def test_a_taught_model_serves_probabilities() -> None:
    model = untaught()
    teach_scores(model, Squares(), LESSONS, FIRST, 0)
    head = model.module.get_submodule(HEAD)
    with torch.no_grad():
        served = head(100 * torch.randn(9, 128))
    assert 0 <= served.min() <= served.max() <= 1


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    teach_scores(untaught(), Squares(), LESSONS, FIRST, 0)
    assert torch.equal(torch.get_rng_state(), before)
