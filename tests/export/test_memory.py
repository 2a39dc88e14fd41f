"""The memory's graphs compute what upstream's own modules do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from sam2.modeling.position_encoding import apply_rotary_enc, compute_axial_cis
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor

from sam2lab.export.memory import MemoryAttention
from sam2lab.export.memory_encoder import MemoryEncoder
from sam2lab.export.rotary import Turn
from sam2lab.reference import memory, zoo
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Features
from sam2lab.runtime.video.protocol import Memories
from tests.exporting import Export

# float32 rounding through four layers leaves about 4e-6 of a tensor's standard deviation.
CLOSE = 1e-4
WIDE = (128, 208)
KINDS = {
    "nano": ("nano", "2.1", WIDE),
    # A square map whose rows of scores are whole memory pages long.
    "nano 512": ("nano", "2.1", (512, 512)),
    "tiny 2.1": ("tiny", "2.1", (64, 96)),
    "tiny 2.0": ("tiny", "2.0", (64, 96)),
}

Draw = Callable[..., Tensor]


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def model(request: pytest.FixtureRequest) -> ZooModel:
    size, version, input_size = request.param
    return zoo.load(size, "random", version, input_size)


@pytest.fixture
def draw() -> Draw:
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


def remembered(model: ZooModel, draw: Draw, objects: int, count: int, pointers: int) -> Memories:
    """What objects may remember: ages in any order, pointers at any time, before and after."""
    height, width = model.info.embed_size
    channels, narrow, rows = (
        getattr(model.module, name) for name in ("hidden_dim", "mem_dim", "num_maskmem")
    )
    ages = np.random.default_rng(count).integers(0, rows, (objects, count))
    return Memories(
        draw(objects, count, height * width, narrow).numpy(),
        ages,
        draw(objects, pointers, channels).numpy(),
        draw(objects, pointers).numpy(),
    )


def tensors(memories: Memories) -> tuple[Tensor, ...]:
    return tuple(map(torch.from_numpy, vars(memories).values()))


def assert_close(found: Tensor, wanted: Tensor) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= CLOSE * wanted.std()


@pytest.mark.parametrize(("width", "grid"), [(256, (64, 64)), (128, (8, 13)), (32, (5, 4))])
def test_a_turn_is_that_of_complex_numbers_bit_for_bit(
    width: int, grid: tuple[int, int], draw: Draw
) -> None:
    height, columns = grid
    tokens = draw(1, 1, height * columns, width)
    turns = compute_axial_cis(width, columns, height)
    wanted, _ = apply_rotary_enc(tokens, tokens, turns)
    turn = Turn(RoPEAttention(embedding_dim=width, num_heads=1, downsample_rate=1), grid)
    halves = turn(tokens[..., 0::2], tokens[..., 1::2])
    torch.testing.assert_close(halves[..., : width // 2], wanted[..., 0::2], rtol=0, atol=0)
    torch.testing.assert_close(halves[..., width // 2 :], wanted[..., 1::2], rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    ("objects", "count", "pointers"), [(1, 1, 0), (1, 7, 16), (3, 2, 1), (2, 11, 20)]
)
def test_a_frame_sees_in_memories_what_upstreams_sees(
    model: ZooModel, draw: Draw, objects: int, count: int, pointers: int
) -> None:
    embed = draw(1, model.module.hidden_dim, *model.info.embed_size)
    memories = tensors(remembered(model, draw, objects, count, pointers))
    found = MemoryAttention(model.module, model.info.input_size)(embed, *memories)
    assert_close(found, memory.condition(model.module, embed, *memories))


@torch.no_grad()
@pytest.mark.parametrize("binarize", [False, True])
def test_a_memory_is_what_upstreams_is(model: ZooModel, draw: Draw, binarize: bool) -> None:
    embed = draw(1, model.module.hidden_dim, *model.info.embed_size)
    logits = 10 * draw(3, 1, *model.info.mask_size)
    scores = torch.tensor([[3.0], [-2.0], [0.0]])
    encoder = MemoryEncoder(model.module, model.info.input_size)
    found = encoder(embed, logits, scores, torch.tensor([float(binarize)]))
    assert_close(found, memory.remember(model.module, embed, logits, scores, binarize))


@torch.no_grad()
def test_masks_of_one_frame_may_be_certain_and_not(draw: Draw) -> None:
    model = zoo.load("nano", "random", input_size=WIDE)
    embed, logits = draw(1, 128, 8, 13), 10 * draw(2, 1, 32, 52)
    encoder = MemoryEncoder(model.module, WIDE)
    there = torch.ones(2, 1)
    both = encoder(embed, logits, there, torch.tensor([1.0, 0.0]))
    for index, certain in enumerate([1.0, 0.0]):
        alone = encoder(embed, logits, there, torch.tensor([certain]))[index]
        torch.testing.assert_close(both[index], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("of", [("nano", WIDE), ("tiny", (64, 96))], ids=str)
@pytest.mark.parametrize(("objects", "count", "pointers"), [(1, 1, 0), (2, 7, 16), (3, 3, 1)])
def test_the_files_compute_what_upstream_does(
    exported: Export, draw: Draw, of: tuple, objects: int, count: int, pointers: int
) -> None:
    case = exported(*of)
    module, info = case.model.module, case.model.info
    engine = OnnxEngine(case.bundle)
    (embed,) = engine.encode(case.pixels()).split()
    memories = remembered(case.model, draw, objects, count, pointers)
    embedding = torch.from_numpy(embed.image_embed)
    conditioned = engine.condition(embed, memories)
    wanted = memory.condition(module, embedding, *tensors(memories))
    assert_close(torch.from_numpy(conditioned.image_embed), wanted)
    assert conditioned.high_res_feats_0 is embed.high_res_feats_0
    logits, scores = 10 * draw(objects, 1, *info.mask_size), draw(objects, 1)
    for binarize in (True, False):
        made = engine.remember(embed, logits.numpy(), scores.numpy(), binarize)
        wanted = memory.remember(module, embedding, logits, scores, binarize)
        assert_close(torch.from_numpy(made), wanted)


def test_what_is_remembered_of_each_frame_may_differ(exported: Export, draw: Draw) -> None:
    """Frames of several objects may be several, as when a frame that was looked at looks again."""
    case = exported("nano", WIDE)
    engine = OnnxEngine(case.bundle)
    frames = Features(
        *(draw(3, *shape).numpy() for shape in ((128, 8, 13), (16, 32, 52), (32, 16, 26)))
    )
    memories = remembered(case.model, draw, 3, 2, 1)
    together = engine.condition(frames, memories).image_embed
    for index, frame in enumerate(frames.split()):
        alone = Memories(*(array[index : index + 1] for array in vars(memories).values()))
        found = engine.condition(frame, alone).image_embed
        # Three at once may be summed in another order: float32 rounding.
        np.testing.assert_allclose(found[0], together[index], atol=1e-5)


def test_tables_are_small_in_the_file(exported: Export) -> None:
    """Only what depends on one row or one column is stored, but for tables of a few kilobytes."""
    graph = onnx.load(exported("nano", WIDE).bundle.path("memory_attention")).graph
    tables = [onnx.numpy_helper.to_array(t) for t in graph.initializer if 8 * 13 in t.dims]
    assert max((table.nbytes for table in tables), default=0) <= 2**14
