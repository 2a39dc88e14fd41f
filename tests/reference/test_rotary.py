"""Rotary attention over embeddings of any shape, beside upstream's, which takes only squares."""

from __future__ import annotations

import pytest
import torch

from sam2lab.reference import rotary, zoo

# After sam2lab.reference, which makes sam2 importable beside a CPU-only torch.
from sam2.modeling.position_encoding import compute_axial_cis  # isort: skip
from sam2.modeling.sam.transformer import RoPEAttention  # isort: skip

ATTENTION = zoo.load("nano", weights="random").module.memory_attention


def rotary_parts(attention):
    return [part for part in attention.modules() if isinstance(part, RoPEAttention)]


def tokens(number: int) -> torch.Tensor:
    return torch.randn(1, number, 128, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("embed_size", [(4, 16), (5, 8), (8, 8)])
def test_every_layer_has_upstreams_table_for_the_shape_and_the_given_module_keeps_its_own(
    embed_size,
):
    before = [id(part.freqs_cis) for part in rotary_parts(ATTENTION)]
    attention = rotary.for_embedding(ATTENTION, embed_size)
    assert len(rotary_parts(attention)) == len(before) == 2 * len(attention.layers)
    expected = compute_axial_cis(dim=128, end_x=embed_size[1], end_y=embed_size[0])
    x = tokens(embed_size[0] * embed_size[1])
    for layer in attention.layers:
        layer(x, x[..., :32], x[..., :32], x)
    assert all(torch.equal(part.freqs_cis, expected) for part in rotary_parts(attention))
    assert [id(part.freqs_cis) for part in rotary_parts(ATTENTION)] == before
    shared = zip(attention.parameters(), ATTENTION.parameters(), strict=True)
    assert all(ours is theirs for ours, theirs in shared)


def test_a_square_is_answered_as_upstream_does_bit_for_bit():
    x = tokens(64)
    upstream = zoo.load("nano", weights="random").module.memory_attention.layers[0].self_attn
    ours = rotary.for_embedding(ATTENTION, (8, 8)).layers[0].self_attn
    with torch.no_grad():
        assert torch.equal(ours(x, x, x), upstream(x, x, x))


def test_upstream_refuses_some_shapes_and_takes_others_for_a_square():
    """What the copies are for."""
    upstream = zoo.load("nano", weights="random").module.memory_attention.layers[0].self_attn
    x = tokens(5 * 8)
    with pytest.raises((RuntimeError, AssertionError)):
        upstream(x, x, x)
    x = tokens(4 * 16)
    wide = rotary.for_embedding(ATTENTION, (4, 16)).layers[0].self_attn
    with torch.no_grad():
        assert (upstream(x, x, x) - wide(x, x, x)).abs().max() > 0.01
    assert torch.equal(upstream.freqs_cis, compute_axial_cis(dim=128, end_x=8, end_y=8))
