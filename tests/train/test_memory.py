from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sam2lab.cli import main
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import PromptBatch
from sam2lab.scenes import Mixture, MovingScenes
from sam2lab.scenes.moving import Clip
from sam2lab.train import memory
from sam2lab.train.following import Tracker
from sam2lab.train.memory import MemoryPhase, MemoryTrainer

PHASES = (MemoryPhase(64, 3, 2, 3, 0.3), MemoryPhase(64, 4, 2, 1, 0.3))
SCENES = MovingScenes(Mixture())


@pytest.fixture(scope="module")
def trained() -> zoo.ZooModel:
    return MemoryTrainer(zoo.load("nano"), SCENES, PHASES).run()


def test_answers_on_images_do_not_change(trained: zoo.ZooModel) -> None:
    pixels = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    click = PromptBatch(np.full((1, 1, 2), 30, np.float32), np.ones((1, 1), np.float32))
    answers = []
    for model in (zoo.load("nano"), trained):
        engine = TorchEngine(zoo.resize(model, (64, 64)))
        answers.append(engine.decode(engine.encode(pixels), click))
    np.testing.assert_array_equal(answers[0].logits, answers[1].logits)
    np.testing.assert_array_equal(answers[0].scores, answers[1].scores)


def test_every_part_of_the_memory_learns_and_nothing_else(trained: zoo.ZooModel) -> None:
    before = zoo.load("nano").module.state_dict()
    changed = {k for k, v in trained.module.state_dict().items() if not torch.equal(v, before[k])}
    assert all(name.startswith(memory.PARTS) for name in changed)
    # An absent object is too rare in four steps.
    rare = {"no_obj_ptr", "no_obj_embed_spatial"}
    for part in set(memory.PARTS) - rare:
        assert any(name.startswith(part) for name in changed), part


def test_a_memory_that_was_never_trained_begins_with_still_clips_and_its_starting_values() -> None:
    model = zoo.load("nano")
    with torch.no_grad():
        for layer in model.module.memory_encoder.fuser.layers:
            layer.gamma.fill_(1e-6)
    for begun, pace in ((model, 0.0), (zoo.load("nano"), 0.3)):
        trainer = MemoryTrainer(begun, SCENES, PHASES)
        assert trainer._place(0).pace == pace
    for layer in model.module.memory_attention.layers:
        assert int((layer.cross_attn_image.k_proj.bias == 4).sum()) == 16


def test_no_clip_is_shown_twice() -> None:
    shown = []

    class Numbered(MovingScenes):
        def clip(self, index: int, *how: Any, **more: Any) -> Clip:
            shown.append(index)
            return super().clip(index, *how, **more)

    MemoryTrainer(zoo.load("nano"), Numbered(Mixture()), PHASES).run()
    assert len(set(shown)) == len(shown) == 8


def test_a_trained_memory_is_called_trained(trained: zoo.ZooModel) -> None:
    video = TorchEngine(trained).video
    assert video is not None
    assert video.is_trained


def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not(
    trained: zoo.ZooModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted(Exception):
        pass

    update = MemoryTrainer._update

    def interrupted(self: MemoryTrainer, *clips: Any) -> dict[str, float]:
        if self.step == 2:
            raise Interrupted
        return update(self, *clips)

    monkeypatch.setattr(MemoryTrainer, "_update", interrupted)
    with pytest.raises(Interrupted):
        MemoryTrainer(zoo.load("nano"), SCENES, PHASES, tmp_path).run()
    monkeypatch.undo()
    again = MemoryTrainer(zoo.load("nano"), SCENES, PHASES, tmp_path)
    assert again.step == 2
    here, there = again.run().module.state_dict(), trained.module.state_dict()
    assert all(torch.equal(here[name], there[name]) for name in there)


def test_another_run_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    trainer = MemoryTrainer(zoo.load("nano"), SCENES, PHASES, tmp_path)
    trainer.save()
    with pytest.raises(ValueError, match="give another folder"):
        MemoryTrainer(zoo.load("nano"), SCENES, PHASES, tmp_path, rate=1e-3)
    with pytest.raises(ValueError, match="begun with seed 0; this one has seed 1"):
        MemoryTrainer(zoo.load("nano"), MovingScenes(Mixture(seed=1)), PHASES, tmp_path)
    (tmp_path / memory.CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(ValueError, match="is damaged"):
        MemoryTrainer(zoo.load("nano"), SCENES, PHASES, tmp_path)


def test_a_frame_is_conditioned_as_the_reference_engine_does_it(trained: zoo.ZooModel) -> None:
    """The first logits of a box are those of the engine that upstream is compared with."""
    clip = SCENES.clip(2, 2, 64)
    images, masks = torch.from_numpy(clip.images)[None], torch.from_numpy(clip.masks)[None]
    with torch.no_grad():
        logits, _ = Tracker(trained, 64).follow(images, masks, "box", np.random.default_rng(0))
    engine = TorchEngine(zoo.resize(trained, (64, 64)))
    info = engine.info
    pixels = (clip.images[0] / np.float32(255) - np.array(info.mean, np.float32)) / np.array(
        info.std, np.float32
    )
    rows, columns = np.flatnonzero(clip.masks[0].any(1)), np.flatnonzero(clip.masks[0].any(0))
    corners = [[columns[0], rows[0]], [columns[-1] + 1, rows[-1] + 1]]
    box = PromptBatch(np.array([corners], np.float32), np.array([[2, 3]], np.float32))
    features = engine.encode(np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32))
    found = engine.decode(features, box).logits[:, :1]
    # Batches of one and of several round differently.
    np.testing.assert_allclose(logits[:, :1].numpy(), found, atol=1e-3)


@pytest.mark.usefixtures("unsimplified")
def test_the_command_writes_a_bundle_whose_memory_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sam2lab.train.MEMORY_TOY", PHASES)
    out = tmp_path / "out"
    options = ["--toy", "--run", str(tmp_path / "run"), "--out", str(out)]
    assert main(["train-memory", *options]) == 0
    bundle = Bundle.open(out)
    assert bundle.video is not None
    assert bundle.video.is_trained
    assert (out / "memory_log.csv").is_file()
    printed = capsys.readouterr().out
    assert "| click | held still | 2 |" in printed
    assert "| rightly called (95 % interval) |" in printed
