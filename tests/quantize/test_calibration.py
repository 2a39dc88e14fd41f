"""What a model is calibrated with, and that looking at it takes no more memory for more of it."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from PIL import Image

from sam2lab.quantize import calibration
from sam2lab.quantize.calibration import channel_peaks, observe, pictures, questions
from sam2lab.quantize.rewire import rewire
from sam2lab.quantize.sensitivity import Judge
from sam2lab.runtime.engines.onnx import OnnxEngine
from tests.exporting import Export

SMALL = (64, 96)


@pytest.fixture(scope="module")
def model(exported: Export) -> onnx.ModelProto:
    return rewire(onnx.load(exported("nano", SMALL).bundle.path("encoder")))


@pytest.fixture(scope="module")
def tensors(model: onnx.ModelProto) -> list[str]:
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    return list(dict.fromkeys(node.input[0] for node in products))


def photo(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [{"image": rng.normal(size=(1, 3, *SMALL)).astype(np.float32)} for _ in range(count)]


def outputs(model: onnx.ModelProto, tensors: list[str], feeds: list) -> dict[str, np.ndarray]:
    """Every value of the tensors, the brute-force way."""
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in tensors)
    session = ort.InferenceSession(whole.SerializeToString())
    runs = [session.run(tensors, feed) for feed in feeds]
    return {name: np.stack([run[i] for run in runs]) for i, name in enumerate(tensors)}


def test_extremes_and_histograms_are_those_of_the_values(
    model: onnx.ModelProto, tensors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SAMPLES", 10**9)
    feeds = pixels(3)
    spreads = observe(model, tensors, feeds)
    for name, values in outputs(model, tensors, feeds).items():
        spread = spreads[name]
        assert (spread.low, spread.high) == (values.min(), values.max())
        assert spread.counts.sum() == values.size


def test_large_tensors_are_sampled_all_channels_alike(
    model: onnx.ModelProto, tensors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SAMPLES", 500)
    feeds = pixels(2)
    spreads = observe(model, tensors, feeds)
    for name, values in outputs(model, tensors, feeds).items():
        assert spreads[name].counts.sum() <= 2 * 500
        assert (spreads[name].low, spreads[name].high) == (values.min(), values.max())
        if values.size > 10_000:
            # Of 500 and more values the mean is within five standard errors.
            n = spreads[name].counts.sum()
            mean = spreads[name].counts @ spreads[name].centres / n
            assert abs(mean - values.mean()) < 5 * values.std() / np.sqrt(n)


def test_no_picture_is_kept_when_the_next_one_comes(
    model: onnx.ModelProto, tensors: list[str]
) -> None:
    alive: list[weakref.ref] = []

    def feeds() -> Iterator[dict[str, np.ndarray]]:
        for feed in range(6):
            image = np.full((1, 3, *SMALL), feed, np.float32)
            alive.append(weakref.ref(image))
            # The one before may still be in the loop's hands.
            assert sum(ref() is not None for ref in alive) <= 2
            yield {"image": image}

    spreads = observe(model, tensors, feeds())
    assert len(alive) == 6
    kept = sum(spread.counts.nbytes for spread in spreads.values())
    assert kept == len(spreads) * 8 * calibration.Spread().counts.size


def test_peaks_are_the_largest_magnitudes_of_channels(model: onnx.ModelProto) -> None:
    norms = [n.output[0] for n in model.graph.node if n.op_type == "LayerNormalization"][:4]
    feeds = pixels(2)
    peaks = channel_peaks(model, norms, feeds)
    for name, values in outputs(model, norms, feeds).items():
        wanted = np.abs(values).max(axis=tuple(range(values.ndim - 1)))
        np.testing.assert_array_equal(peaks[name], wanted)


class TestPictures:
    def test_come_from_a_folder_evenly(self, tmp_path: Path) -> None:
        for number in range(9):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        (tmp_path / "notes.txt").write_text("no picture")
        values = [picture()[0, 0, 0] for picture in pictures(tmp_path, 3)]
        assert values == [0, 4, 8]

    def test_come_from_a_set_in_cocos_format(self, tmp_path: Path) -> None:
        Image.fromarray(photo(0)).save(tmp_path / "one.png")
        record = {"id": 7, "file_name": "one.png", "height": 40, "width": 60}
        content = {"images": [record], "annotations": [], "categories": []}
        (tmp_path / "instances.json").write_text(json.dumps(content))
        (only,) = pictures(tmp_path)
        np.testing.assert_array_equal(only(), photo(0))

    def test_need_no_network_and_no_folder(self) -> None:
        chosen = pictures(count=6)
        assert len(chosen) == 6
        images = [picture() for picture in chosen]
        assert len({image.tobytes() for image in images}) == 6

    def test_that_are_broken_are_left_out_with_a_warning(
        self, exported: Export, tmp_path: Path
    ) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG and then nothing")
        Image.fromarray(photo(0)).save(tmp_path / "sound.png")
        info = exported("nano", SMALL).model.info
        with pytest.warns(UserWarning, match=r"left out of the calibration.*broken\.png"):
            (feed,) = calibration.encoder_feeds(pictures(tmp_path), info)
        assert feed["image"].shape == (1, 3, *SMALL)

    @pytest.mark.parametrize("source", [[], "no/such/folder"])
    def test_that_are_not_there_are_missed(self, source: object) -> None:
        with pytest.raises(ValueError, match=r"calibration is .*picture"):
            pictures(source)

    def test_that_are_cut_short_are_named(self, exported: Export, tmp_path: Path) -> None:
        Image.fromarray(photo(0)).save(tmp_path / "short.png")
        whole = (tmp_path / "short.png").read_bytes()
        (tmp_path / "short.png").write_bytes(whole[: len(whole) // 2])
        Image.fromarray(photo(0)).save(tmp_path / "sound.png")
        info = exported("nano", SMALL).model.info
        with pytest.warns(
            UserWarning, match=r"left out of the calibration: image .*short\.png.*: its pixels"
        ):
            list(calibration.encoder_feeds(pictures(tmp_path), info))

    @pytest.mark.filterwarnings("ignore:left out")
    def test_of_which_none_can_be_read_are_refused(self, exported: Export, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG and then nothing")
        engine = OnnxEngine(exported("nano", SMALL).bundle)
        feeds = calibration.encoder_feeds(pictures(tmp_path), engine.info)
        with pytest.raises(ValueError, match="not one picture"):
            list(feeds)
        with pytest.raises(ValueError, match="not one picture"):
            Judge(engine, tmp_path)

    @pytest.mark.parametrize(
        "single", [photo(0), photo(0)[..., 0], Image.fromarray(photo(0)), b"?"]
    )
    def test_are_several_and_one_is_not_taken_for_its_rows(self, single: object) -> None:
        with pytest.raises(ValueError, match=r"calibration is one picture \(\w+\).*\[picture\]"):
            pictures(single)

    def test_may_be_a_batch(self) -> None:
        first, second = pictures(np.stack([photo(0), photo(1)]))
        np.testing.assert_array_equal(first(), photo(0))
        np.testing.assert_array_equal(second(), photo(1))

    @pytest.mark.parametrize("odd", [(1, 1, 3), (1, 50, 3), (40, 60), (40, 60, 4)])
    def test_of_any_form_can_be_asked_about(self, exported: Export, odd: tuple[int, ...]) -> None:
        engine = OnnxEngine(exported("nano", SMALL).bundle)
        (question,) = questions(pictures([np.zeros(odd, np.uint8)]), engine)
        assert len(question.prompts) == 6

    @pytest.mark.parametrize("count", [0, 1.5, "4", True])
    def test_are_counted_in_whole_numbers(self, count: object) -> None:
        with pytest.raises(ValueError, match=r"count is .*wanted a whole number, 1 or more"):
            pictures(count=count)


def test_two_copies_of_a_picture_are_asked_different_things(exported: Export) -> None:
    engine = OnnxEngine(exported("nano", SMALL).bundle)
    first, second = questions(pictures([photo(1), photo(1)]), engine)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert len(first.prompts) == len(second.prompts) == 6
    for a, b in zip(first.prompts, second.prompts, strict=True):
        assert not np.array_equal(a.point_coords, b.point_coords)
    assert [prompt.mask_input is not None for prompt in first.prompts].count(True) == 1
