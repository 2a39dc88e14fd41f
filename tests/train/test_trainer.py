from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sam2lab.reference import zoo
from sam2lab.scenes.mixture import Mixture
from sam2lab.scenes.scene import Scene
from sam2lab.train.schedule import Phase, Schedule
from sam2lab.train.trainer import CHECKPOINT, LOG, Trainer
from tests.train.squares import Squares

SCHEDULE = Schedule(4, (Phase(64, 2, 3, 4, rounds=3), Phase(96, 2, 3, 3)), warm_up=2)


class Stops(Squares):
    """Interrupts the run, as a user would, when it asks for a certain scene."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at

    def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
        if index == self.at:
            raise KeyboardInterrupt
        return super().scene(index, size)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in the same order, however busy the machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    torch.set_num_threads(1)
    trainer = Trainer(Squares(), SCHEDULE, tmp_path_factory.mktemp("whole"), unseen=Squares())
    trainer.run()
    return trainer


# Two scenes a step: scene 10 belongs to the sixth step, after four on geometry.
@pytest.mark.parametrize("scene", [10, 17], ids=["first phase", "second phase"])
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(
    whole: Trainer, scene: int, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        Trainer(Stops(scene), SCHEDULE, tmp_path).run()
    resumed = Trainer(Squares(), SCHEDULE, tmp_path)
    assert resumed.step == scene // 2
    resumed.run()
    for key, value in whole.average.items():
        assert torch.equal(resumed.average[key], value), key


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """The folder of a run that was interrupted at its first picture."""
    with pytest.raises(KeyboardInterrupt):
        Trainer(Stops(8), SCHEDULE, tmp_path).run()
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"seed": 3}, "begun with seed 0; this one has seed 3"),
        (
            {"schedule": replace(SCHEDULE, rate=0.5)},
            "begun with rate 0.0008; .* has rate 0.5",
        ),
        ({"scenes": Mixture()}, "begun with scenes of squares; this one has scenes of 0 annotated"),
        (
            {"schedule": replace(SCHEDULE, phases=SCHEDULE.phases[:1])},
            "begun with phases .*96.*;",
        ),
    ],
)
def test_a_run_with_other_settings_does_not_resume_a_checkpoint(
    begun: Path, asked: dict, message: str
) -> None:
    before = (begun / CHECKPOINT).read_bytes()
    with pytest.raises(ValueError, match=f"folder is .*{message}.*give another folder"):
        Trainer(**{"scenes": Squares(), "schedule": SCHEDULE, "folder": begun} | asked)
    assert (begun / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "cut"])
def test_a_damaged_checkpoint_is_named(begun: Path, content: bytes | str) -> None:
    whole = (begun / CHECKPOINT).read_bytes()
    (begun / CHECKPOINT).write_bytes(whole[:-1000] if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=r"folder: .*checkpoint\.pt is damaged.*delete it"):
        Trainer(Squares(), SCHEDULE, begun)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"device": "nonsense"}, "device is 'nonsense'; this machine has cpu"),
        ({"workers": -1}, "workers is -1; wanted a whole number, 0 or more"),
        ({"seed": -1}, "seed is -1; wanted a whole number from 0"),
        ({"schedule": "TOY"}, "schedule is 'TOY'; wanted a Schedule"),
        ({"folder": Path(__file__)}, "folder is .*is a file"),
        ({"folder": 7}, "folder is 7; wanted a path"),
    ],
)
def test_wrong_arguments_are_refused_before_a_run_begins(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trainer(**{"scenes": Squares(), "schedule": SCHEDULE} | wrong)


def test_the_progress_bar_is_called_train(
    whole: Trainer, capsys: pytest.CaptureFixture[str]
) -> None:
    Trainer(Squares(), SCHEDULE, whole.folder).run()
    assert capsys.readouterr().err.strip().startswith("train: 100%")


def test_the_same_seed_begins_with_the_same_weights() -> None:
    first, second, other = (Trainer(Squares(), SCHEDULE, seed=seed) for seed in (1, 1, 2))
    for key, value in first.average.items():
        assert torch.equal(value, second.average[key])
    assert any(not torch.equal(v, other.average[k]) for k, v in first.average.items())


def test_a_run_can_go_on_from_the_weights_that_ship() -> None:
    average = Trainer(Squares(), Schedule(0, SCHEDULE.phases), weights="auto").average
    for key, value in zoo.load("nano").module.state_dict().items():
        assert torch.equal(average[f"sam.{key}"], value), key


def test_the_log_has_a_row_for_the_end(whole: Trainer) -> None:
    assert whole.folder is not None
    header, *rows = (whole.folder / LOG).read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    assert int(last["step"]) == SCHEDULE.steps
    assert 0 <= float(last["unseen_box"]) <= 1


def test_a_checkpoint_holds_plain_tensors_only(whole: Trainer) -> None:
    assert whole.folder is not None
    state = torch.load(whole.folder / CHECKPOINT, weights_only=True)
    assert state["step"] == SCHEDULE.steps


def test_weights_that_images_do_not_use_stay_as_they_were(whole: Trainer) -> None:
    """Memory attention has no part in images: nothing may decay it unseen."""
    begun = Trainer(Squares(), SCHEDULE).average
    for key, value in whole.average.items():
        if "memory_attention" in key:
            torch.testing.assert_close(value, begun[key])


def test_training_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    Trainer(Squares(), Schedule(1, (Phase(64, 2, 3, 1),)), unseen=Squares()).run()
    assert torch.equal(torch.get_rng_state(), before)


def test_one_scene_can_be_overfitted() -> None:
    """The whole chain, prompts to gradients: a model that cannot do this learns nothing."""

    class One(Squares):
        def scene(self, index: int, size: tuple[int, int], first: str = "click") -> Scene:
            return super().scene(7, size)

    trainer = Trainer(One(), Schedule(0, (Phase(64, 1, 8, 100),), rate=2e-3, warm_up=10))
    trainer.run()
    assert trainer.log[-1]["iou_lone"] > 0.8


def test_scores_are_fitted_to_the_average_and_kept(tmp_path: Path) -> None:
    trainer = Trainer(Squares(), replace(SCHEDULE, score_pictures=8), tmp_path)
    trainer.run()
    before = {key: value.clone() for key, value in trainer.average.items()}
    trainer.fit_scores(Squares(1000))
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)["average"]
    changed = {key for key, value in kept.items() if not torch.equal(value, before[key])}
    assert changed
    assert all("iou_prediction_head" in key for key in changed)
