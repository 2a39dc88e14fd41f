"""Which images a model is calibrated with, and what is asked about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lab.quantize import Judge, calibration_images
from sam2lab.quantize.calibration import encoder_feeds, samples
from sam2lab.runtime.engines.onnx import OnnxEngine
from tests.exporting import Export

SMALL = (64, 96)


def photo(seed: int, height: int = 40, width: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


class TestImages:
    def test_come_from_a_folder_evenly(self, tmp_path: Path) -> None:
        for number in range(9):
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
        (tmp_path / "notes.txt").write_text("no image")
        values = [read()[0, 0, 0] for read in calibration_images(tmp_path, 3)]
        assert values == [0, 4, 8]

    def test_come_from_a_set_in_cocos_format(self, tmp_path: Path) -> None:
        Image.fromarray(photo(0)).save(tmp_path / "one.png")
        record = {"id": 7, "file_name": "one.png", "height": 40, "width": 60}
        content = {"images": [record], "annotations": [], "categories": []}
        (tmp_path / "instances.json").write_text(json.dumps(content))
        (only,) = calibration_images(tmp_path)
        np.testing.assert_array_equal(only(), photo(0))

    def test_need_no_network_and_no_folder(self) -> None:
        chosen = calibration_images(count=6)
        assert len(chosen) == 6
        images = [read() for read in chosen]
        assert len({image.tobytes() for image in images}) == 6

    @pytest.mark.parametrize("readable", [0.0, 0.5])
    def test_that_are_broken_are_left_out_with_a_warning(
        self, exported: Export, tmp_path: Path, readable: float
    ) -> None:
        Image.fromarray(photo(0)).save(tmp_path / "sound.png")
        whole = (tmp_path / "sound.png").read_bytes()
        (tmp_path / "broken.png").write_bytes(whole[: int(readable * len(whole)) + 8])
        info = exported("nano", SMALL).model.info
        with pytest.warns(UserWarning, match=r"left out of the calibration: image.*broken\.png"):
            (feed,) = encoder_feeds(calibration_images(tmp_path), info)
        assert feed["image"].shape == (1, 3, *SMALL)

    @pytest.mark.parametrize("source", [[], "no/such/folder"])
    def test_that_are_not_there_are_missed(self, source: object) -> None:
        with pytest.raises(ValueError, match=r"images is .*image"):
            calibration_images(source)

    @pytest.mark.filterwarnings("ignore:left out")
    def test_of_which_none_can_be_read_are_refused(self, exported: Export, tmp_path: Path) -> None:
        (tmp_path / "broken.png").write_bytes(b"\x89PNG and then nothing")
        engine = OnnxEngine(exported("nano", SMALL).bundle)
        feeds = encoder_feeds(calibration_images(tmp_path), engine.info)
        with pytest.raises(ValueError, match="not one image"):
            list(feeds)
        with pytest.raises(ValueError, match="not one image"):
            Judge(engine, tmp_path)

    @pytest.mark.parametrize(
        "single", [photo(0), photo(0)[..., 0], Image.fromarray(photo(0)), b"?"]
    )
    def test_are_several_and_one_is_not_taken_for_its_rows(self, single: object) -> None:
        with pytest.raises(ValueError, match=r"images is one image \(\w+\).*\[image\]"):
            calibration_images(single)

    def test_may_be_a_batch(self) -> None:
        first, second = calibration_images(np.stack([photo(0), photo(1)]))
        np.testing.assert_array_equal(first(), photo(0))
        np.testing.assert_array_equal(second(), photo(1))

    @pytest.mark.parametrize("odd", [(1, 1, 3), (1, 50, 3), (40, 60), (40, 60, 4)])
    def test_of_any_form_can_be_asked_about(self, exported: Export, odd: tuple[int, ...]) -> None:
        engine = OnnxEngine(exported("nano", SMALL).bundle)
        (sample,) = samples(calibration_images([np.zeros(odd, np.uint8)]), engine)
        assert len(sample.prompts) == 6

    @pytest.mark.parametrize("count", [0, 1.5, "4", True])
    def test_are_counted_in_whole_numbers(self, count: object) -> None:
        with pytest.raises(ValueError, match=r"count is .*wanted a whole number, 1 or more"):
            calibration_images(count=count)


def test_two_copies_of_an_image_are_asked_different_things(exported: Export) -> None:
    engine = OnnxEngine(exported("nano", SMALL).bundle)
    first, second = samples(calibration_images([photo(1), photo(1)]), engine)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert len(first.prompts) == len(second.prompts) == 6
    for a, b in zip(first.prompts, second.prompts, strict=True):
        assert not np.array_equal(a.point_coords, b.point_coords)
    assert [prompt.mask_input is not None for prompt in first.prompts].count(True) == 1
