"""TorchEngine's memory beside what SAM2VideoPredictor computes while it tracks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sam2lab.reference import memory, zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.reference.video import upstream_video_predictor
from sam2lab.runtime.engines.protocol import Decoded, Features, PromptBatch
from sam2lab.runtime.postprocess import choose
from sam2lab.runtime.video.protocol import Memories, VideoEngine
from tests.reference.clips import make_clip

# After sam2lab.reference, which makes sam2 importable beside a CPU-only torch.
from sam2.modeling import sam2_base  # isort: skip
from sam2.utils import misc  # isort: skip
from sam2 import sam2_video_predictor  # isort: skip

SIDE = 64
# The embedding has `no_mem_embed` added and taken away again, which rounds its last bits.
ROUNDING = {"atol": 2e-5, "rtol": 1e-5}


@dataclass
class Tracked:
    """What upstream computed: calls of its parts as (arguments, result), and its last state."""

    predictor: Any
    engine: TorchEngine
    state: dict[str, Any] = field(default_factory=dict)
    attention: list[tuple[dict[str, Any], torch.Tensor]] = field(default_factory=list)
    times: list[np.ndarray | None] = field(default_factory=list)
    heads: list[tuple[dict[str, Any], tuple[torch.Tensor, ...]]] = field(default_factory=list)


@pytest.fixture(scope="module", params=["nano 2.1", "tiny 2.0"])
def tracked(request, tmp_path_factory) -> Tracked:
    """Three objects, of which random weights find some and miss some, both ways through a clip."""
    size, version = request.param.split()
    model = zoo.load(size, "random", version, (SIDE, SIDE))
    with torch.no_grad():
        head = model.module.sam_mask_decoder.pred_obj_score_head.layers[-1]
        head.bias += {"nano": -0.52, "tiny": 0.755}[size]
    found = Tracked(upstream_video_predictor(model), TorchEngine(model))
    with pytest.MonkeyPatch.context() as patch:
        _record(found, patch)
        _track(found, tmp_path_factory.mktemp("clip"))
    return found


def _record(found: Tracked, patch: pytest.MonkeyPatch) -> None:
    predictor, pending = found.predictor, []
    sines, heads = sam2_base.get_1d_sine_pe, predictor._forward_sam_heads

    def noted_sines(times: torch.Tensor, **options: Any) -> torch.Tensor:
        pending.append(times.numpy())
        return sines(times, **options)

    def noted_heads(**arguments: Any) -> tuple[torch.Tensor, ...]:
        found.heads.append((arguments, heads(**arguments)))
        return found.heads[-1][1]

    def noted_attention(module: Any, _: Any, arguments: dict[str, Any], result: Any) -> None:
        found.attention.append((arguments, result))
        found.times.append(pending.pop() if pending else None)

    for module in (misc, sam2_video_predictor):
        patch.setattr(module, "tqdm", lambda frames, **_: frames)
    patch.setattr(sam2_base, "get_1d_sine_pe", noted_sines)
    patch.setattr(predictor, "_forward_sam_heads", noted_heads, raising=False)
    predictor.memory_attention.register_forward_hook(noted_attention, with_kwargs=True)


def _track(found: Tracked, folder: Path) -> None:
    clip = make_clip(folder, 8, (96, 128))
    predictor = found.predictor
    state = found.state = predictor.init_state(str(folder))
    predictor.add_new_points_or_box(state, 2, 1, points=[clip.point(2, 0)], labels=[1])
    predictor.add_new_points_or_box(
        state, 2, 2, box=clip.box(2, 1), points=[clip.point(2, 1)], labels=[1]
    )
    predictor.add_new_mask(state, 2, 3, clip.masks[2, 2])
    # Without float32 memories upstream fails where no pointer is in the past: the prompts here.
    predictor.propagate_in_video_preflight(state)
    for output in state["output_dict_per_obj"].values():
        prompted = output["cond_frame_outputs"][2]
        prompted["maskmem_features"] = prompted["maskmem_features"].float()
    for options in ({"start_frame_idx": 0}, {"reverse": True}):
        for _ in predictor.propagate_in_video(state, **options):
            pass


def test_it_is_an_engine_of_videos(tracked):
    assert isinstance(tracked.engine, VideoEngine)


def test_the_settings_are_upstreams(tracked):
    video = tracked.engine.video
    for name in ("num_maskmem", "max_obj_ptrs_in_encoder", "use_signed_tpos_enc_to_obj_ptrs"):
        assert getattr(video, name) == getattr(tracked.predictor, name)
    assert not video.is_trained


def test_conditioned_embeddings_are_those_of_upstream(tracked):
    counts = set()
    for (arguments, result), times in zip(tracked.attention, tracked.times, strict=True):
        memories = _memories(tracked, arguments, times)
        counts.add((memories.memory.shape[1], memories.object_pointers.shape[1]))
        embed = _map(arguments["curr"][0] + tracked.predictor.no_mem_embed)
        conditioned = tracked.engine.condition(_features(tracked, embed), memories).image_embed
        np.testing.assert_allclose(conditioned, _map(result), **ROUNDING)
    # A prompt on a later frame, which no pointer is of; and more pointers than memories.
    assert {(1, 0), (6, 7)} <= counts


def _memories(tracked: Tracked, arguments: dict[str, Any], times: np.ndarray | None) -> Memories:
    """What upstream has joined into one sequence, taken apart."""
    predictor = tracked.predictor
    tokens, places = arguments["memory"], arguments["memory_pos"]
    pieces = predictor.hidden_dim // predictor.mem_dim
    pointers = arguments["num_obj_ptr_tokens"] // pieces
    area = (SIDE // 16) ** 2
    spatial = len(tokens) - pointers * pieces
    place = predictor.memory_encoder.position_encoding(torch.zeros(1, 1, SIDE // 16, SIDE // 16))
    place = place.flatten(2).permute(2, 0, 1)
    ages = [
        next(
            age
            for age, time in enumerate(predictor.maskmem_tpos_enc)
            if torch.equal(place + time, here)
        )
        for here in places[:spatial].split(area)
    ]
    return Memories(
        memory=tokens[:spatial].float().reshape(1, -1, area, predictor.mem_dim).numpy(),
        memory_age=np.array([ages]),
        object_pointers=tokens[spatial:].reshape(1, pointers, predictor.hidden_dim).numpy(),
        pointer_time=np.zeros((1, pointers), np.float32) if times is None else times[None],
    )


def test_answers_scores_and_pointers_are_those_of_upstream(tracked):
    seen = set()
    for arguments, (_, _, scores, low, _, pointer, object_score) in tracked.heads:
        fine, middle = (array.numpy() for array in arguments["high_res_features"])
        features = Features(arguments["backbone_features"].numpy(), fine, middle)
        answer = tracked.engine.decode_objects(features, _prompts(arguments))
        np.testing.assert_array_equal(answer.object_scores, object_score.numpy())
        multimask = arguments.get("multimask_output", False)
        token = 1 + int(scores.argmax()) if multimask else 0
        # Pointers of four tokens are multiplied in another order than that of one.
        np.testing.assert_allclose(answer.pointers[:, token], pointer.numpy(), atol=1e-6)
        is_there = bool(object_score > 0)
        seen.add((is_there, multimask))
        if is_there:
            chosen = choose(Decoded(answer.logits, answer.scores), multimask)
            best = [int(chosen.scores[0].argmax())]
            np.testing.assert_array_equal(chosen.logits[:, best], low.numpy())
        else:
            expected = np.tile(np.float32(tracked.engine.video.no_obj_ptr), (1, 4, 1))
            np.testing.assert_array_equal(answer.pointers, expected)
    assert {is_there for is_there, _ in seen} == {True, False}


def _prompts(arguments: dict[str, Any]) -> PromptBatch:
    points, mask = arguments.get("point_inputs"), arguments.get("mask_inputs")
    # Without points upstream gives one point that is none, and the decoder adds another.
    coords, labels = np.zeros((1, 1, 2), np.float32), -np.ones((1, 1), np.float32)
    if points is not None:
        coords = points["point_coords"].numpy()
        labels = points["point_labels"].numpy().astype(np.float32)
    return PromptBatch(coords, labels, None if mask is None else mask.numpy())


def test_memories_are_those_of_upstream(tracked):
    features = [tracked.engine.encode(frame[None].numpy()) for frame in tracked.state["images"]]
    binarized = {"cond_frame_outputs": True, "non_cond_frame_outputs": False}
    for output in tracked.state["output_dict_per_obj"].values():
        for kind, binarize in binarized.items():
            for frame, found in output[kind].items():
                ours = tracked.engine.remember(
                    features[frame],
                    found["pred_masks"].numpy(),
                    found["object_score_logits"].numpy(),
                    binarize,
                )
                theirs = found["maskmem_features"].float().flatten(2).transpose(1, 2).numpy()
                # Upstream keeps eight bits, so that the last one is rounded the other way here
                # and there.
                np.testing.assert_allclose(ours, theirs, atol=1e-5, rtol=2**-8)


def _map(tokens: torch.Tensor) -> np.ndarray:
    """Tokens (h*w, 1, C) as an embedding (1, C, h, w)."""
    return tokens.detach().permute(1, 2, 0).reshape(1, -1, SIDE // 16, SIDE // 16).numpy()


def _features(tracked: Tracked, embed: np.ndarray) -> Features:
    fine = np.zeros((1, 1, 1, 1), np.float32)
    return Features(embed, fine, fine)


@pytest.fixture(scope="module")
def wide() -> TorchEngine:
    """Of a size that upstream refuses: non-square, with an odd multiple of 16."""
    return TorchEngine(zoo.load("nano", weights="random", input_size=(80, 128)))


@pytest.fixture(scope="module")
def features(wide) -> Features:
    rng = np.random.default_rng(0)
    return wide.encode(rng.standard_normal((1, 3, 80, 128)).astype(np.float32))


class TestAnyShape:
    @pytest.mark.parametrize("pointers", [0, 5])
    def test_objects_together_are_answered_as_each_one_alone(self, wide, features, pointers):
        memories = made_up(wide, 3, 2, pointers)
        together = wide.condition(features, memories)
        assert together.high_res_feats_0 is features.high_res_feats_0
        answers = wide.decode_objects(together, clicks(3))
        remembered = wide.remember(features, answers.logits[:, :1], answers.object_scores, False)
        for row in range(3):
            one = Memories(*(array[row : row + 1] for array in vars(memories).values()))
            alone = wide.condition(features, one)
            answer = wide.decode_objects(alone, PromptBatch(*(a[row : row + 1] for a in POINTS)))
            memory = wide.remember(features, answer.logits[:, :1], answer.object_scores, False)
            pairs = [
                (together.image_embed[row], alone.image_embed[0]),
                *(
                    (several[row], single[0])
                    for several, single in zip(answers, answer, strict=True)
                ),
                (remembered[row], memory[0]),
            ]
            for several, single in pairs:
                # A batch sums its products in another order.
                np.testing.assert_allclose(several, single, atol=2e-4)

    def test_the_order_of_memories_does_not_matter(self, wide, features):
        """Positions are added to each one: only sums change their order."""
        memories = made_up(wide, 2, 4, 3)
        turned = Memories(*(array[:, ::-1].copy() for array in vars(memories).values()))
        one, other = (wide.condition(features, each).image_embed for each in (memories, turned))
        np.testing.assert_allclose(one, other, atol=2e-5)

    def test_features_of_several_frames_are_refused(self, wide, features):
        both = Features(*(np.concatenate([array] * 2) for array in vars(features).values()))
        for ask in (
            lambda: wide.condition(both, made_up(wide, 1, 1, 0)),
            lambda: wide.decode_objects(both, clicks(1)),
            lambda: wide.remember(
                both, np.zeros((1, 1, 20, 32), np.float32), np.ones((1, 1)), True
            ),
        ):
            with pytest.raises(ValueError, match=r"features\.split"):
                ask()


POINTS = (
    np.array([[[10, 20]], [[100, 40]], [[64, 70]]], np.float32),
    np.ones((3, 1), np.float32),
)


def clicks(objects: int) -> PromptBatch:
    return PromptBatch(*(array[:objects] for array in POINTS))


def made_up(engine: TorchEngine, objects: int, memories: int, pointers: int) -> Memories:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal((objects, *shape)).astype(np.float32)

    height, width = engine.info.embed_size
    return Memories(
        normal(memories, height * width, 32),
        rng.integers(0, 7, (objects, memories)),
        normal(pointers, 128),
        rng.random((objects, pointers)).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("change", "is_trained"),
    [(None, True), ("untrained memory", False), ("random", False)],
)
def test_a_memory_counts_as_trained_when_training_has_moved_it(change, is_trained):
    model = zoo.untrained("nano")
    if change is None:
        with torch.no_grad():
            model.module.memory_encoder.fuser.layers[0].gamma[3] += 0.1
    found = memory.settings(model.module, is_random=change == "random")
    assert found.is_trained == is_trained


@pytest.mark.parametrize("attribute", ["num_maskmem", "fixed_no_obj_ptr"])
def test_a_module_without_sam_2s_memory_is_an_engine_of_images(attribute):
    module = zoo.load("nano", weights="random", input_size=(64, 64)).module
    setattr(module, attribute, 0)
    assert TorchEngine(module).video is None
