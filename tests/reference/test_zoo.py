"""The zoo: the right architecture, the right weights, and errors that say what would fit."""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sam2lab.reference import fetch, zoo
from sam2lab.runtime.engines.protocol import SIZES

# Millions of parameters, from the table in sam2's README.
PUBLISHED = {"tiny": 38.9, "small": 46.0, "base_plus": 80.8, "large": 224.4}


@pytest.fixture(scope="module")
def nano() -> zoo.ZooModel:
    return zoo.load("nano", weights="random")


@pytest.fixture(scope="module")
def nano_state(nano: zoo.ZooModel) -> dict[str, torch.Tensor]:
    return nano.module.state_dict()


def logits_of(model: zoo.ZooModel, label: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """All four masks and scores for one click in the middle of a noisy image."""
    height, width = model.info.input_size
    draw = torch.Generator().manual_seed(1)
    points = torch.tensor([[[width / 2, height / 2]]]), torch.tensor([[label]])
    with torch.no_grad():
        image = torch.randn(1, 3, height, width, generator=draw)
        ((logits, scores, _),) = answers(model, image, points, None)
    return logits[0], scores[0]


def answers(
    model: zoo.ZooModel, image: torch.Tensor, points: tuple[torch.Tensor, ...], *masks: Any
) -> Iterator[tuple[torch.Tensor, ...]]:
    """All four masks, their scores and the object score for points, and in turn for each mask."""
    module = model.module
    fine, middle, embed = module.forward_image(image)["backbone_fpn"]
    for mask in masks:
        sparse, dense = module.sam_prompt_encoder(points=points, boxes=None, masks=mask)
        logits, scores, _, present = module.sam_mask_decoder.predict_masks(
            embed + module.no_mem_embed.view(1, -1, 1, 1),
            module.sam_prompt_encoder.get_dense_pe(),
            sparse,
            dense,
            False,
            [fine, middle],
        )
        yield logits, scores, present


@pytest.mark.parametrize("version", zoo.VERSIONS)
@pytest.mark.parametrize("size", PUBLISHED)
def test_every_size_has_the_published_number_of_parameters(size, version):
    module = zoo.build(size, version)
    count = sum(parameter.numel() for parameter in module.parameters())
    # 2.1 has 16,512 parameters more than 2.0, and the table is rounded to 0.1 million.
    assert count / 1e6 == pytest.approx(PUBLISHED[size], abs=0.1)
    assert not module.training


def test_nano_is_small(nano):
    encoder = sum(p.numel() for p in nano.module.image_encoder.parameters())
    decoder = sum(p.numel() for p in nano.module.sam_mask_decoder.parameters())
    assert encoder + decoder < 3.5e6
    assert nano.info.input_size == (512, 512)


@pytest.mark.parametrize(("version", "family"), [("2.0", "sam2"), ("2.1", "sam2.1")])
def test_the_architecture_is_that_of_build_sam2(version, family):
    from sam2.build_sam import build_sam2

    theirs = build_sam2(f"configs/{family}/{family}_hiera_t.yaml", device="cpu")
    ours = zoo.build("tiny", version)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (theirs, ours)]
    assert shapes[0] == shapes[1]
    plain = (bool, int, float, str, type(None), tuple)
    for (name, their), our in zip(theirs.named_modules(), ours.modules(), strict=True):
        for attribute, value in vars(their).items():
            if isinstance(value, plain):
                assert getattr(our, attribute) == value, f"{name}.{attribute}"
    wants_gradient = [[p.requires_grad for p in m.parameters()] for m in (theirs, ours)]
    assert wants_gradient[0] == wants_gradient[1]


def test_random_weights_are_those_of_their_seed(nano_state):
    again = zoo.load("nano", weights="random").module.state_dict()
    other = zoo.load("nano", weights="random", seed=1).module.state_dict()
    assert all(torch.equal(again[key], value) for key, value in nano_state.items())
    assert not any(torch.equal(other[key], value) for key, value in nano_state.items())


def test_loading_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    zoo.load("nano", weights="random")
    zoo.build("tiny")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("size", ["nano", "tiny"])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_models_give_masks_worth_comparing(size, seed):
    model = zoo.load(size, weights="random", seed=seed, input_size=(256, 256))
    logits, scores = logits_of(model)
    for mask in logits:
        assert 0.5 < mask.std() < 10
        assert mask.min() < 0 < mask.max()
    assert len({round(float(score), 3) for score in scores}) == 4
    assert 0.02 < scores.min() < scores.max() < 0.98
    assert not torch.allclose(logits, logits_of(model, label=0.0)[0], atol=0.01)


def test_every_tensor_of_the_image_path_matters_in_a_random_model():
    """Each one gets a gradient from one answer or another, so a dropped one would show."""
    model = zoo.load("nano", weights="random", input_size=(64, 64))
    points = torch.rand(1, 4, 2) * 64, torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    masks = None, torch.randn(1, 1, 16, 16)
    for logits, scores, present in answers(model, torch.randn(1, 3, 64, 64), points, *masks):
        (logits.square().sum() + scores.sum() + present.sum()).backward(retain_graph=True)
    of_video = (
        "memory_",
        "mask_downsample.",
        "obj_ptr_",
        "maskmem_tpos_enc",
        "no_mem_pos_enc",
        "no_obj_",
    )
    for name, parameter in model.module.named_parameters():
        # Softmax ignores what is added to every key alike.
        if not name.startswith(of_video) and not name.endswith("k_proj.bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_two_models_of_different_sizes_live_side_by_side(nano):
    before = logits_of(nano)[0]
    logits_of(zoo.load("tiny", weights="random", version="2.0", input_size=(64, 64)))
    logits_of(zoo.load("nano", weights="random", seed=9, input_size=(96, 64)))
    assert torch.equal(logits_of(nano)[0], before)


def test_resizing_shares_weights_and_leaves_the_original_as_it_was(nano):
    before = logits_of(nano)[0]
    wide = zoo.resize(nano, (208, 320))
    assert wide.info.input_size == (208, 320)
    assert wide.module.image_size == (208, 320)
    assert logits_of(wide)[0].shape == (4, 52, 80)
    pairs = zip(wide.module.parameters(), nano.module.parameters(), strict=True)
    assert all(ours is theirs for ours, theirs in pairs)
    assert nano.info.input_size == (512, 512)
    assert torch.equal(logits_of(nano)[0], before)


def test_resizing_back_gives_the_same_answers(nano):
    again = zoo.resize(zoo.resize(nano, (64, 64)), (512, 512))
    assert again.module.image_size == 512
    assert torch.equal(logits_of(again)[0], logits_of(nano)[0])


def test_a_size_that_no_model_takes_is_refused(nano):
    with pytest.raises(ValueError, match="input_size"):
        zoo.resize(nano, (100, 100))
    with pytest.raises(ValueError, match="input_size"):
        zoo.load("nano", weights="random", input_size=(100, 100))


def test_a_nano_folder_without_weights_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
    (tmp_path / "nano").mkdir()
    with pytest.raises(ValueError, match=r"nano/weights.safetensors does not exist: train nano"):
        zoo.load("nano")


def test_nano_finds_the_weights_that_were_trained_here(monkeypatch, tmp_path, nano_state):
    monkeypatch.setenv("SAM2LAB_MODELS", str(tmp_path))
    file = tmp_path / "nano" / "weights.safetensors"
    file.parent.mkdir()
    save_file(nano_state, file)
    model = zoo.load("nano")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert model.info.weights == f"trained-here:{digest}"
    assert model.info.name == "nano"


@pytest.mark.parametrize("form", ["wrapped.pt", "bare.pt", "training.pt", "tensors.safetensors"])
def test_a_checkpoint_is_loaded_by_path(tmp_path, form):
    expected = zoo.load("nano", weights="random", seed=3).module.state_dict()
    file = tmp_path / form
    if form.startswith("wrapped"):
        torch.save({"model": expected}, file)
    elif form.startswith("bare"):
        torch.save(expected, file)
    elif form.startswith("training"):
        torch.save({"model": expected, "epoch": 3, "loss": {"mask": 0.5}}, file)
    else:
        save_file(expected, file)
    model = zoo.load("nano", weights=file)
    assert all(torch.equal(model.module.state_dict()[k], v) for k, v in expected.items())
    assert model.info.weights == f"checkpoint:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert model.info.name == file.stem
    assert zoo.load("nano", weights=str(file)).info == model.info


def test_a_half_precision_checkpoint_becomes_single_precision(tmp_path, nano_state):
    half = {key: value.half() for key, value in nano_state.items()}
    torch.save({"model": half}, tmp_path / "half.pt")
    module = zoo.load("nano", weights=tmp_path / "half.pt").module
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert torch.equal(module.no_mem_embed, half["no_mem_embed"].float())


def test_metas_checkpoint_is_loaded_from_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path))
    expected = zoo.load("tiny", weights="random", seed=2).module
    file = fetch.checkpoint("tiny").path
    file.parent.mkdir()
    torch.save({"model": expected.state_dict()}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setitem(fetch._SHA256, file.name, digest)
    model = zoo.load("tiny")
    assert model.info.weights == f"checkpoint:{digest}"
    assert model.info.name == "tiny"
    assert torch.equal(model.module.no_mem_embed, expected.no_mem_embed)


def test_offline_one_error_says_what_can_be_done(monkeypatch, tmp_path):
    monkeypatch.setenv("SAM2LAB_CACHE", str(tmp_path))
    # Port 9 of this machine refuses connections at once.
    monkeypatch.setattr(fetch, "_BASE", "http://127.0.0.1:9")
    with pytest.raises(OSError, match=r"sam2\.1_hiera_large\.pt") as error:
        zoo.load("large")
    for words in ("http://127.0.0.1:9/092824/", str(tmp_path / "checkpoints"), "random"):
        assert words in str(error.value)


def test_a_checkpoint_of_another_size_names_the_size_that_fits(tmp_path, nano_state):
    torch.save({"model": nano_state}, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"does not fit size='tiny', version='2\.1'") as error:
        zoo.load("tiny", weights=tmp_path / "mine.pt")
    message = str(error.value)
    assert "It fits size='nano', version='2.1'" in message
    assert "no_mem_embed (1, 1, 128) instead of (1, 1, 256)" in message
    assert len(message) < 1000


def test_a_checkpoint_of_the_other_version_names_the_version_that_fits(tmp_path):
    state = zoo.load("tiny", weights="random", version="2.0").module.state_dict()
    torch.save({"model": state}, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"It fits size='tiny', version='2\.0'") as error:
        zoo.load("tiny", weights=tmp_path / "mine.pt")
    assert "3 tensors missing (no_obj_embed_spatial, obj_ptr_tpos_proj" in str(error.value)


def test_a_checkpoint_of_no_size_says_so_and_names_the_first_keys(tmp_path, nano_state):
    state = {**nano_state, "no_mem_embed": torch.zeros(1, 1, 7), "adapter.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match="fits no size") as error:
        zoo.load("nano", weights=tmp_path / "mine.pt")
    assert "1 tensor unknown (adapter.weight)" in str(error.value)
    assert "no_mem_embed (1, 1, 7) instead of (1, 1, 128)" in str(error.value)


class Bomb:
    """Creates a file when it is unpickled carelessly."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("kind", ["torch", "pickle", "nested"])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, kind):
    trace, file = tmp_path / "trace", tmp_path / "bomb.pt"
    if kind == "torch":
        torch.save({"model": Bomb(trace)}, file)
    elif kind == "nested":
        torch.save({"model": {"no_mem_embed": torch.zeros(2)}, "optimizer": [Bomb(trace)]}, file)
    else:
        file.write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(ValueError, match=r"bomb\.pt .* could run code"):
        zoo.load("nano", weights=file)
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>" * 20, b"PK\x03\x04" + bytes(99)])
def test_a_damaged_file_is_refused(tmp_path, suffix, content):
    file = tmp_path / f"mine{suffix}"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights: .*mine.* damaged"):
        zoo.load("nano", weights=file)


@pytest.mark.parametrize(
    "content",
    [{}, [torch.zeros(2)], torch.zeros(2), {"model": {}}, {"epoch": 3}, {3: torch.zeros(2)}],
    ids=["empty", "list", "tensor", "empty model", "numbers", "numbered"],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "mine.pt")
    with pytest.raises(ValueError, match=r"weights: .*mine\.pt .* state dict"):
        zoo.load("nano", weights=tmp_path / "mine.pt")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": "base"}, ["size is 'base'", "did you mean 'base_plus'?", *SIZES]),
        ({"size": "Tiny"}, ["did you mean 'tiny'?"]),
        ({"size": "xxl"}, ["size is 'xxl'"]),
        ({"size": None}, ["size is None"]),
        ({"size": "tiny", "version": "2.2"}, ["version is '2.2'", "'2.0', '2.1'"]),
        ({"size": "tiny", "version": 2.1}, ["version is 2.1", "'2.1'"]),
        ({"size": "nano", "version": "2.0"}, ["version is '2.0'", "wanted one of '2.1'"]),
        ({"size": "nano", "weights": "radnom"}, ["'radnom'", "wanted 'auto', 'random'"]),
        ({"size": "nano", "weights": "no/such.pt"}, ["'no/such.pt'", "no such file"]),
        ({"size": "nano", "weights": None}, ["weights is None", "'random' or the path"]),
        ({"size": "nano", "weights": "random", "seed": -1}, ["seed is -1"]),
        ({"size": "nano", "weights": "random", "seed": 0.5}, ["seed is 0.5"]),
        ({"size": "nano", "weights": "random", "seed": 2**63}, ["seed is", f"to {2**63 - 1}"]),
    ],
)
def test_a_wrong_argument_is_named_with_the_choices(arguments, words):
    with pytest.raises(ValueError, match=r"size|version|weights|seed") as error:
        zoo.load(**arguments)
    for word in words:
        assert word in str(error.value)


def test_a_numpy_number_is_a_seed():
    assert zoo.load("nano", weights="random", seed=np.int64(4)).info.weights == "random:4"
