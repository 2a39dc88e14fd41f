"""The memory's graphs compute what upstream's own modules do."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from sam2.modeling.position_encoding import apply_rotary_enc, compute_axial_cis
from sam2.modeling.sam.transformer import RoPEAttention
from torch import Tensor

from sam2lab.export.memory import MemoryAttention
from sam2lab.export.memory_encoder import MemoryEncoder
from sam2lab.export.rotary import Turn
from sam2lab.graphs.half import to_half
from sam2lab.reference import memory, zoo
from sam2lab.reference.weights import fill_random
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.onnx import OnnxEngine
from sam2lab.runtime.engines.protocol import Features, ModelInfo
from sam2lab.runtime.video.protocol import Memories
from tests.exporting import Export

# float32 rounding through four layers leaves about 4e-6 of a tensor's standard deviation.
CLOSE = 1e-4
# float16 rounds to 5e-4, in some forty operators one after the other.
CLOSE_IN_HALF = 0.02
SMALL = (64, 96)
EVERY = [(size, version) for size in zoo.SIZES for version in zoo.versions_of(size)]

Draw = Callable[..., Tensor]


def with_memory(size: str, version: str = "2.1", input_size: tuple[int, int] = SMALL) -> ZooModel:
    """A size with random weights and the smallest of trunks, at which no memory looks."""
    config = zoo.config(size, version)
    config.image_encoder.trunk.update(embed_dim=8, stages=[1, 1, 1, 1], global_att_blocks=[])
    config.image_encoder.trunk.update(num_heads=1, window_spec=[8, 4, 16, 8])
    config.image_encoder.neck.backbone_channel_list = [64, 32, 16, 8]
    module = zoo.build_from(config)
    fill_random(module, seed=0)
    side = module.image_size
    info = ModelInfo(size, size, (side, side), "random:0", version=version)
    return zoo.resize(ZooModel(module, info), input_size)


@pytest.fixture(scope="module")
def nano() -> ZooModel:
    return with_memory("nano")


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


def assert_close(found: Tensor, wanted: Tensor, close: float = CLOSE) -> None:
    assert found.shape == wanted.shape
    assert (found - wanted).abs().max() <= close * wanted.std()


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
    columns = tokens.permute(0, 3, 1, 2)
    turned = turn.columns(columns[:, 0::2], columns[:, 1::2])
    torch.testing.assert_close(turned, halves.permute(0, 3, 1, 2), rtol=0, atol=0)


def attends_as_upstream(
    model: ZooModel, draw: Draw, objects: int, count: int, pointers: int
) -> None:
    embed = draw(1, model.module.hidden_dim, *model.info.embed_size)
    memories = tensors(remembered(model, draw, objects, count, pointers))
    found = MemoryAttention(model.module, model.info.input_size)(embed, *memories)
    assert_close(found, memory.condition(model.module, embed, *memories))


def remembers_as_upstream(model: ZooModel, draw: Draw, binarize: bool) -> None:
    embed = draw(1, model.module.hidden_dim, *model.info.embed_size)
    logits = 10 * draw(3, 1, *model.info.mask_size)
    scores = torch.tensor([[3.0], [-2.0], [0.0]])
    encoder = MemoryEncoder(model.module, model.info.input_size)
    found = encoder(embed, logits, scores, torch.tensor([float(binarize)]))
    assert_close(found, memory.remember(model.module, embed, logits, scores, binarize))


@torch.no_grad()
@pytest.mark.parametrize(("size", "version"), EVERY)
def test_every_size_remembers_as_upstream_does(size: str, version: str, draw: Draw) -> None:
    model = with_memory(size, version)
    attends_as_upstream(model, draw, objects=2, count=3, pointers=4)
    remembers_as_upstream(model, draw, binarize=False)


@torch.no_grad()
@pytest.mark.parametrize(
    ("objects", "count", "pointers"), [(1, 1, 0), (1, 7, 16), (3, 2, 1), (2, 11, 20)]
)
def test_any_number_of_memories_is_looked_at_as_upstream_does(
    nano: ZooModel, draw: Draw, objects: int, count: int, pointers: int
) -> None:
    attends_as_upstream(nano, draw, objects, count, pointers)


@torch.no_grad()
def test_rows_of_scores_may_be_whole_memory_pages_long(draw: Draw) -> None:
    """Then keys are repeated; the map is square, the smallest one of 1024 tokens."""
    attends_as_upstream(with_memory("nano", input_size=(512, 512)), draw, 1, 1, 2)


@torch.no_grad()
def test_a_certain_mask_is_remembered_as_upstream_does(nano: ZooModel, draw: Draw) -> None:
    remembers_as_upstream(nano, draw, binarize=True)


@torch.no_grad()
def test_masks_of_one_frame_may_be_certain_and_not(nano: ZooModel, draw: Draw) -> None:
    embed, logits = draw(1, 128, 4, 6), 10 * draw(2, 1, 16, 24)
    encoder = MemoryEncoder(nano.module, SMALL)
    there = torch.ones(2, 1)
    both = encoder(embed, logits, there, torch.tensor([1.0, 0.0]))
    for index, certain in enumerate([1.0, 0.0]):
        alone = encoder(embed, logits, there, torch.tensor([certain]))[index]
        torch.testing.assert_close(both[index], alone, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("objects", "count", "pointers"), [(1, 1, 0), (2, 7, 16)])
def test_the_files_compute_what_upstream_does(
    exported: Export, draw: Draw, objects: int, count: int, pointers: int
) -> None:
    case = exported("nano", SMALL)
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


def test_in_half_precision_the_files_compute_nearly_the_same(exported: Export, draw: Draw) -> None:
    case = exported("nano", SMALL)
    engine = OnnxEngine(case.bundle)
    (embed,) = engine.encode(case.pixels()).split()
    memories = remembered(case.model, draw, 2, 7, 16)
    inputs = {
        "memory_attention": engine.memory_inputs(embed, memories),
        "memory_encoder": {
            "image_embed": embed.image_embed,
            "mask_logits": 10 * draw(2, 1, *case.model.info.mask_size).numpy(),
            "object_score_logits": np.array([[3], [-2]], np.float32),
            "binarize": np.zeros(1, np.float32),
        },
    }
    for name, given in inputs.items():
        graph = onnx.load(case.bundle.path(name))
        wanted, found = (
            ort.InferenceSession(each.SerializeToString()).run(None, given)[0]
            for each in (graph, to_half(graph))
        )
        assert_close(torch.from_numpy(found), torch.from_numpy(wanted), CLOSE_IN_HALF)


def test_what_is_remembered_of_each_frame_may_differ(exported: Export, draw: Draw) -> None:
    """Frames of several objects may be several, as when a frame that was looked at looks again."""
    case = exported("nano", SMALL)
    engine = OnnxEngine(case.bundle)
    frames = Features(
        *(draw(3, *shape).numpy() for shape in ((128, 4, 6), (16, 16, 24), (32, 8, 12)))
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
    graph = onnx.load(exported("nano").bundle.path("memory_attention")).graph
    # At 512 pixels the inner layers are as wide as the map has tokens.
    tables = [t for t in graph.initializer if 32 * 32 in t.dims and "linear" not in t.name]
    assert max((math.prod(t.dims) * 4 for t in tables), default=0) <= 2**14
