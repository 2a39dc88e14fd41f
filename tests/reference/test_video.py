"""Upstream's predictor with our weights, beside the one that upstream builds."""

from __future__ import annotations

import pytest
import torch

from sam2lab.reference import zoo
from sam2lab.reference.video import upstream_video_predictor

# After sam2lab.reference, which makes sam2 importable beside a CPU-only torch.
from sam2.build_sam import build_sam2_video_predictor  # isort: skip


def settings(predictor: torch.nn.Module) -> dict[str, object]:
    """What is set on the predictor and its decoder, without modules, tensors and torch's own."""
    return {
        f"{type(module).__name__}.{name}": value
        for module in (predictor, predictor.sam_mask_decoder)
        for name, value in vars(module).items()
        if not name.startswith("_") and not isinstance(value, torch.Tensor)
    }


def test_it_is_set_as_upstream_sets_it_but_for_holes():
    ours = upstream_video_predictor(zoo.load("tiny", weights="random"))
    theirs = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", device="cpu")
    assert type(ours) is type(theirs)
    expected = settings(theirs)
    assert expected["SAM2VideoPredictor.fill_hole_area"] == 8
    assert settings(ours) == expected | {"SAM2VideoPredictor.fill_hole_area": 0}
    assert ours.state_dict().keys() == theirs.state_dict().keys()


def test_it_shares_the_weights_of_the_model():
    model = zoo.load("nano", weights="random", input_size=(64, 64))
    predictor = upstream_video_predictor(model)
    pairs = zip(predictor.parameters(), model.module.parameters(), strict=True)
    assert all(ours.data_ptr() == theirs.data_ptr() for ours, theirs in pairs)
    assert not predictor.training


@pytest.mark.parametrize(
    ("input_size", "options", "words"),
    [
        ((64, 96), {}, r"input_size \(64, 96\).*only squares; pass zoo\.resize\(model, \(64, 64\)"),
        (
            (64, 64),
            {"max_cond_frames": 4},
            "max_cond_frames is no setting.*max_cond_frames_in_attn",
        ),
    ],
)
def test_what_upstream_does_not_take_is_refused(input_size, options, words):
    model = zoo.load("nano", weights="random", input_size=input_size)
    with pytest.raises(ValueError, match=words):
        upstream_video_predictor(model, **options)
