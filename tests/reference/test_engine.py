"""TorchEngine: every bit that SAM2ImagePredictor computes, nothing moved, nothing mixed up."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from sam2lab.reference import engine as engine_module
from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.engines.protocol import Engine, Features, PromptBatch
from tests.exporting import arrays_of

# After sam2lab.reference, which makes sam2 importable beside a CPU-only torch.
from sam2.build_sam import build_sam2  # isort: skip
from sam2.sam2_image_predictor import SAM2ImagePredictor  # isort: skip

Arrays = tuple[np.ndarray, ...]


@dataclass
class Case:
    """One model as upstream runs it and as the engine does, with the same image set in both."""

    predictor: SAM2ImagePredictor
    engine: TorchEngine
    pixels: np.ndarray
    features: Features


def random_photo(side: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module", params=["nano", "tiny"])
def case(request: pytest.FixtureRequest) -> Case:
    """For tiny upstream's own model: built by build_sam2, with the zoo's numbers in it.

    At a quarter of its side: test_predictor.py has it whole.
    """
    size = (256, 256) if request.param == "tiny" else None
    model = zoo.load(request.param, weights="random", input_size=size)
    module = model.module
    if size is not None:
        module = build_sam2(
            "configs/sam2.1/sam2.1_hiera_t.yaml",
            device="cpu",
            hydra_overrides_extra=[f"model.image_size={size[0]}"],
        )
        module.load_state_dict(model.module.state_dict())
    predictor = SAM2ImagePredictor(module, disable_torch_jit=True)
    side = model.info.input_size[0]
    # Hard-coded for 1024 pixels upstream.
    predictor._bb_feat_sizes = [(side // s, side // s) for s in (4, 8, 16)]
    photo = random_photo(side, 0)
    predictor.set_image(photo)
    pixels = predictor._transforms(photo)[None].numpy()
    engine = TorchEngine(model)
    return Case(predictor, engine, pixels, engine.encode(pixels))


def features_of(predictor: SAM2ImagePredictor) -> Arrays:
    fine, middle = predictor._features["high_res_feats"]
    return predictor._features["image_embed"].numpy(), fine.numpy(), middle.numpy()


def prompts_of(side: int, kind: str) -> PromptBatch:
    """Prompts in model-input pixels for one or several objects, with or without a mask."""
    draw = np.random.default_rng(3)
    objects, points = {"one": (1, 1), "mixed": (1, 4), "three": (3, 2), "mask": (1, 0)}.get(
        kind.split("+")[0], (1, 1)
    )
    coords = (draw.random((objects, points, 2)) * side).astype(np.float32)
    labels = np.array([2, 3, 1, 0], np.float32)[:points] if points == 4 else np.ones(points)
    masks = None
    if "mask" in kind:
        masks = draw.normal(0, 5, (objects, 1, side // 4, side // 4)).astype(np.float32)
    return PromptBatch(coords, np.tile(labels, (objects, 1)).astype(np.float32), masks)


def test_it_is_an_engine(case):
    assert isinstance(case.engine, Engine)


def test_features_are_those_of_the_predictor_bit_for_bit(case):
    for ours, theirs in zip(arrays_of(case.features), features_of(case.predictor), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["one", "mixed", "three", "one+mask", "three+mask", "mask"])
@pytest.mark.parametrize("multimask", [True, False])
def test_answers_are_those_of_the_predictor_bit_for_bit(case, kind, multimask):
    prompts = prompts_of(case.engine.info.input_size[0], kind)
    ours = case.engine.decode(case.features, prompts)
    points = None
    if prompts.point_coords.shape[1]:
        points = torch.from_numpy(prompts.point_coords)
    _, scores, logits = case.predictor._predict(
        points,
        torch.from_numpy(prompts.point_labels).int() if points is not None else None,
        mask_input=None if prompts.mask_input is None else torch.from_numpy(prompts.mask_input),
        multimask_output=multimask,
    )
    # The predictor clamps what it hands out.
    clamped = np.clip(ours.logits, -32, 32)
    if multimask:
        np.testing.assert_array_equal(clamped[:, 1:], logits.numpy())
        np.testing.assert_array_equal(ours.scores[:, 1:], scores.numpy())
    else:
        # Token 0, or where it is unstable the best of the others: one of the four either way.
        for row in range(len(logits)):
            same = [(clamped[row, t] == logits[row, 0].numpy()).all() for t in range(4)]
            assert any(same)
            assert ours.scores[row, same.index(True)] == scores[row, 0]


@pytest.mark.parametrize("case", ["nano"], indirect=True)
def test_a_batch_is_answered_as_the_predictor_does(case):
    side = case.engine.info.input_size[0]
    predictor = SAM2ImagePredictor(case.predictor.model, disable_torch_jit=True)
    predictor._bb_feat_sizes = case.predictor._bb_feat_sizes
    photos = [random_photo(side, seed) for seed in (1, 2)]
    predictor.set_image_batch(photos)
    features = case.engine.encode(predictor._transforms.forward_batch(photos).numpy())
    for ours, theirs in zip(arrays_of(features), features_of(predictor), strict=True):
        np.testing.assert_array_equal(ours, theirs)

    second = Features(*(array[1:2] for array in arrays_of(features)))
    prompts = prompts_of(side, "mixed")
    ours = case.engine.decode(second, prompts)
    _, scores, logits = predictor._predict(
        torch.from_numpy(prompts.point_coords),
        torch.from_numpy(prompts.point_labels).int(),
        img_idx=1,
    )
    np.testing.assert_array_equal(np.clip(ours.logits[:, 1:], -32, 32), logits.numpy())
    np.testing.assert_array_equal(ours.scores[:, 1:], scores.numpy())


@pytest.fixture(scope="module")
def wide() -> TorchEngine:
    """A size that upstream cannot take: non-square, with an odd multiple of 16."""
    return TorchEngine(zoo.load("nano", weights="random", input_size=(80, 128)))


def noise(engine: TorchEngine, seed: int = 0) -> np.ndarray:
    shape = (1, 3, *engine.info.input_size)
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def click(x: float, y: float, label: float = 1) -> PromptBatch:
    return PromptBatch(np.array([[[x, y]]], np.float32), np.array([[label]], np.float32))


def test_non_square_sizes_give_what_the_protocol_says(wide):
    features = wide.encode(noise(wide))
    assert [array.shape for array in arrays_of(features)] == [
        (1, 128, 5, 8),
        (1, 16, 20, 32),
        (1, 32, 10, 16),
    ]
    logits, scores = wide.decode(features, click(100, 40))
    assert (logits.shape, scores.shape) == ((1, 4, 20, 32), (1, 4))
    assert logits.dtype == scores.dtype == np.float32


def test_several_objects_are_answered_as_each_one_alone(wide):
    features = wide.encode(noise(wide))
    coords = np.array([[[10, 20]], [[100, 40]], [[64, 70]]], np.float32)
    together = wide.decode(features, PromptBatch(coords, np.ones((3, 1), np.float32)))
    for row, point in enumerate(coords[:, 0]):
        alone = wide.decode(features, click(*point))
        # A batch of three sums its products in another order than a batch of one.
        np.testing.assert_allclose(together.logits[row], alone.logits[0], atol=1e-4)


def test_one_mask_serves_several_objects(wide):
    features = wide.encode(noise(wide))
    coords = np.array([[[10, 20]], [[100, 40]]], np.float32)
    mask = np.random.default_rng(0).normal(size=(1, 1, 20, 32)).astype(np.float32)
    labels = np.ones((2, 1), np.float32)
    once = wide.decode(features, PromptBatch(coords, labels, mask))
    twice = wide.decode(features, PromptBatch(coords, labels, np.repeat(mask, 2, axis=0)))
    # One mask is broadcast in another memory layout, and multiplied in another order.
    np.testing.assert_allclose(once.logits, twice.logits, atol=1e-4)


def test_arrays_in_any_memory_layout_are_taken_and_left_alone(wide):
    pixels = noise(wide)
    expected = wide.decode(wide.encode(pixels), click(30, 30))
    odd = pixels[..., ::-1].copy()[..., ::-1]
    odd.flags.writeable = False
    features = wide.encode(odd)
    stored = Features(*(np.ascontiguousarray(array) for array in arrays_of(features)))
    for array in arrays_of(stored):
        array.flags.writeable = False
    actual = wide.decode(stored, click(30, 30))
    np.testing.assert_array_equal(odd, pixels)
    # Features in another memory layout are multiplied in another order.
    np.testing.assert_allclose(actual.logits, expected.logits, atol=1e-4)


def test_threads_get_the_answers_of_one_thread(wide):
    images = [noise(wide, seed) for seed in range(4)]
    points = [click(8.0 * n, 5.0 * n) for n in range(8)]

    def work(turn: int) -> np.ndarray:
        return wide.decode(wide.encode(images[turn % 4]), points[turn % 8]).logits

    expected = [work(turn) for turn in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for turn, actual in enumerate(pool.map(work, range(16))):
            np.testing.assert_array_equal(actual, expected[turn % 8])


def test_pixels_of_another_size_are_refused(wide):
    with pytest.raises(ValueError, match=r"pixels has shape .*wanted \(B, 3, 80, 128\)"):
        wide.encode(np.zeros((1, 3, 128, 80), np.float32))


def test_features_of_several_images_are_refused(wide):
    features = wide.encode(np.concatenate([noise(wide), noise(wide)]))
    with pytest.raises(ValueError, match=r"features\.split"):
        wide.decode(features, click(1, 1))


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "xpu", "", "meta"])
def test_a_device_that_is_not_here_is_refused_with_those_that_are(device):
    model = zoo.load("nano", weights="random")
    with pytest.raises(ValueError, match=r"device is .*this machine has cpu"):
        TorchEngine(model, device=device)


def test_what_is_no_model_is_refused():
    with pytest.raises(ValueError, match="model is a str"):
        TorchEngine("nano")


def test_keys_tell_weights_sizes_and_inputs_apart():
    def key(**arguments: object) -> str:
        return TorchEngine(zoo.load("nano", weights="random", **arguments)).key

    keys = [key(), key(seed=1), key(input_size=(64, 64)), key(input_size=(64, 96))]
    assert len(set(keys)) == 4
    assert key() == keys[0]
    assert keys[0].startswith("torch:")


def test_a_bare_module_is_described_and_never_mistaken_for_another():
    module = zoo.load("nano", weights="random", input_size=(64, 96)).module
    one, other = TorchEngine(module), TorchEngine(module)
    assert one.info.size == "custom"
    assert one.info.input_size == (64, 96)
    assert one.info.weights.startswith("module:")
    assert one.key != other.key
    assert one.key == one.key


def test_the_models_own_weights_are_used_and_not_copied():
    model = zoo.load("nano", weights="random")
    assert TorchEngine(model).module is model.module


def test_features_are_let_go_with_their_last_user(wide):
    features = wide.encode(noise(wide))
    wide.decode(features, click(1, 1))
    gone = weakref.ref(features)
    del features
    gc.collect()
    assert gone() is None


def test_autocast_gives_float32_arrays_of_half_precisions_numbers(wide):
    """sam2's own notebooks begin with it."""
    expected = wide.encode(noise(wide))
    wanted = wide.decode(expected, click(30, 30))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = wide.encode(noise(wide))
        found = wide.decode(features, click(30, 30))
    pairs = [*zip(arrays_of(features), arrays_of(expected), strict=True)]
    for half, full in (*pairs, (found.logits, wanted.logits)):
        assert half.dtype == np.float32
        # Eight bits of mantissa, through all layers.
        assert 0 < np.abs(half - full).max() < 0.3 * full.std()


def test_the_name_that_a_tensor_has_for_apples_gpu_is_taken(monkeypatch):
    """Not "mps": `SAM2ImagePredictor` asks a model's weights where they are."""
    there = torch.device("mps", 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *shape, device: torch.tensor([]))
    assert str(there) == "mps:0"
    engine_module.checked_device(there)
    with pytest.raises(ValueError, match=r"device is 'mps:1'; this machine has .*mps"):
        engine_module.checked_device("mps:1")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_features_stay_on_the_device_and_the_model_where_it_was():
    model = zoo.load("nano", weights="random")
    engine = TorchEngine(model, device="cuda")
    assert model.module.no_mem_embed.device.type == "cpu"
    assert engine.module.no_mem_embed.device.type == "cuda"
    features = engine.encode(noise(engine))
    kept = engine._lookup(features)
    assert all(tensor.device.type == "cuda" for tensor in kept)
    assert engine._lookup(features) is kept
    on_cpu = TorchEngine(model)
    expected = on_cpu.decode(on_cpu.encode(noise(engine)), click(200, 300))
    actual = engine.decode(features, click(200, 300))
    # TF32 convolutions keep 10 bits of the mantissa.
    np.testing.assert_allclose(actual.logits, expected.logits, atol=0.1)
