"""The device decoder computes what upstream's does, in float64, whatever slots are empty."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sam2lab.export.device.decoder import DeviceDecoder
from tests.exporting import double_precision

# Float64 rounds to 1e-16, and eight empty slots have a weight of 1e-13 each; the logits, of about
# 1, are some thirty layers of sums away.
CLOSE = 1e-10
SLOTS = 8
# A box's corners come first; -1 cannot be given, because such a slot is empty.
PROMPTS = {
    "nothing": [],
    "a click": [1],
    "a box": [2, 3],
    "a box with clicks": [2, 3, 1, 0],
    "every slot": [2, 3, 1, 0, 1, 1, 0, 0],
}


class Case:
    """Upstream's answers and the device decoder's, on random features of one size."""

    def __init__(self, size: str, input_size: tuple[int, int]) -> None:
        self.module = double_precision(size, input_size)
        self.decoder = DeviceDecoder(self.module, input_size).eval()
        self.extent = torch.tensor([input_size[1], input_size[0]])
        torch.manual_seed(0)
        height, width = input_size[0] // 16, input_size[1] // 16
        channels = self.module.hidden_dim
        self.features = [
            self.random(1, channels, height, width),
            self.random(1, channels // 8, 4 * height, 4 * width),
            self.random(1, channels // 4, 2 * height, 2 * width),
        ]
        self.mask = 10 * self.random(1, 1, 4 * height, 4 * width)

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64)

    def coords(self, points: int) -> Tensor:
        # 64ths of the picture, which upstream's float32 holds exactly.
        return torch.randint(0, 65, (1, points, 2)).double() / 64 * self.extent - 0.5

    @torch.no_grad()
    def check(self, labels: list[int], masked: bool, module: nn.Module | None = None) -> None:
        module = module or self.module
        given = torch.tensor([labels], dtype=torch.float64)
        coords = self.coords(len(labels))
        # What stands in an empty slot must not matter.
        empty = SLOTS - len(labels)
        found = self.decoder(
            *(feature.permute(0, 2, 3, 1) for feature in self.features),
            torch.cat([coords, 100 * self.random(1, empty, 2)], dim=1),
            torch.cat([given, torch.full((1, empty), -1.0, dtype=torch.float64)], dim=1),
            self.mask,
            torch.tensor([masked], dtype=torch.float64),
        )
        sparse, dense = module.sam_prompt_encoder(
            (coords, given) if labels else None, None, self.mask if masked else None
        )
        embed, fine, middle = self.features
        logits, scores, _, _ = module.sam_mask_decoder.predict_masks(
            embed,
            module.sam_prompt_encoder.get_dense_pe(),
            sparse.double() if labels else torch.empty(1, 0, embed.shape[1]).double(),
            dense.double(),
            False,
            [fine, middle],
        )
        wanted = logits[:, 1:], scores[:, 1:], logits[:, :1], scores[:, :1]
        torch.testing.assert_close(found, wanted, rtol=0, atol=CLOSE)


@pytest.fixture(scope="module")
def nano() -> Case:
    return Case("nano", (64, 80))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("labels", PROMPTS.values(), ids=PROMPTS)
def test_every_kind_of_prompt_is_answered_as_upstream_does(
    nano: Case, labels: list[int], masked: bool
) -> None:
    nano.check(labels, masked)


@pytest.mark.parametrize("points", range(1, SLOTS + 1))
def test_every_number_of_slots_may_be_empty(nano: Case, points: int) -> None:
    nano.check([1] * points, False)


def test_the_wider_decoder_of_all_other_sizes_answers_as_upstream_does() -> None:
    Case("tiny", (64, 96)).check([2, 3, 0], True)


def test_a_frame_of_a_film_is_answered_as_upstream_does() -> None:
    Case("nano", (720, 1280)).check([1, 0], False)


def test_empty_slots_weigh_nothing_where_all_scores_are_low() -> None:
    """A trained model may score every token far below 0, the score of an empty slot among them."""
    case = Case("nano", (64, 64))
    for layer in case.module.sam_mask_decoder.transformer.layers:
        for attn in (layer.self_attn, layer.cross_attn_image_to_token):
            attn.q_proj.bias.data += 20
            attn.k_proj.bias.data -= 20
    case.decoder = DeviceDecoder(case.module, (64, 64)).eval()
    case.check([1], False)


def test_a_decoder_without_an_objects_token_is_answered_too() -> None:
    case = Case("nano", (64, 64))
    case.module.sam_mask_decoder.pred_obj_scores = False
    case.decoder = DeviceDecoder(case.module, (64, 64)).eval()
    case.check([1, 0], False)
