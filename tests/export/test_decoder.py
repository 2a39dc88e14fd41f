"""The decoder computes what upstream's does, in float64, where only wiring can differ."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam2lab.export.decoder import Decoder
from sam2lab.reference import memory
from tests.exporting import double_precision

# Float64 rounds to 1e-16; the logits, of about 1, are some thirty layers of sums away.
CLOSE = 1e-10


@torch.no_grad()
def answers(
    module: torch.nn.Module,
    input_size: tuple[int, int],
    objects: int,
    points: int,
    images: int,
    masked: bool,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Logits and scores of all four tokens, by the graph's wiring and by upstream's."""
    generator = torch.Generator().manual_seed(objects + points)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    height, width = input_size[0] // 16, input_size[1] // 16
    channels = module.sam_mask_decoder.transformer_dim
    embed = draw(images, channels, height, width)
    middle = draw(images, channels // 4, 2 * height, 2 * width)
    fine = draw(images, channels // 8, 4 * height, 4 * width)
    # 64ths of the picture, from its edge to the middle of a pixel.
    shares = torch.randint(0, 65, (objects, points, 2), generator=generator).double() / 64
    coords = shares * torch.tensor([input_size[1], input_size[0]]) - 0.5
    labels = torch.randint(-1, 4, (objects, points), generator=generator).double()
    mask = 10 * draw(objects, 1, 4 * height, 4 * width)

    decoder = Decoder(module, input_size).double().eval()
    has_mask = torch.tensor([masked], dtype=torch.float64)
    masks, scores, single, single_score, score, pointers = decoder(
        embed, fine, middle, coords, labels, mask, has_mask
    )
    sparse, dense = module.sam_prompt_encoder(
        (coords, labels) if points else None, None, mask if masked else None
    )
    # Upstream's own repeats features when there are more prompts.
    logits, ious, tokens, there = module.sam_mask_decoder.predict_masks(
        embed,
        module.sam_prompt_encoder.get_dense_pe(),
        sparse.double(),
        dense,
        objects > images,
        [fine, middle],
    )
    found = torch.cat([single, masks], dim=1), torch.cat([single_score, scores], dim=1)
    torch.testing.assert_close(score, there, rtol=0, atol=CLOSE)
    if module.sam_mask_decoder.pred_obj_scores:
        wanted = memory.point_to_objects(module, tokens, there)
    else:
        wanted = module.obj_ptr_proj(tokens)
    torch.testing.assert_close(pointers, wanted.double(), rtol=0, atol=CLOSE)
    return found, (logits, ious)


@pytest.mark.parametrize(
    ("objects", "points", "images", "masked"),
    [(1, 1, 1, False), (2, 5, 1, True), (3, 0, 1, True), (3, 2, 3, True), (64, 1, 1, False)],
)
def test_every_kind_of_prompt_is_answered_as_upstream_does(
    objects: int, points: int, images: int, masked: bool
) -> None:
    size = (64, 80)
    found, wanted = answers(double_precision("nano", size), size, objects, points, images, masked)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


def test_the_wider_decoder_of_all_other_sizes_answers_as_upstream_does() -> None:
    size = (64, 96)
    found, wanted = answers(double_precision("tiny", size), size, 2, 3, 1, True)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


def test_a_frame_of_a_film_is_answered_as_upstream_does() -> None:
    size = (720, 1280)
    found, wanted = answers(double_precision("nano", size), size, 1, 2, 1, False)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


def test_a_decoder_without_an_objects_token_is_answered_too() -> None:
    """Then the token of the score comes first."""
    size = (64, 64)
    module = double_precision("nano", size)
    module.sam_mask_decoder.pred_obj_scores = False
    found, wanted = answers(module, size, 2, 1, 1, False)
    torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)
