"""The program's masks are pixel for pixel those of sam2lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sam2lab
from sam2lab.runtime.segmenter import Segmenter
from tests.conftest import REPOSITORY
from tests.native import pictures
from tests.native.conftest import NANO
from tests.native.program import PROMPTS, Program, Prompt, mask_in

PHOTOS = sorted((REPOSITORY / "data" / "photos").glob("*.jpg"))


def check(program: Program, segmenter: Segmenter, photo: Path, prompt: Prompt, out: Path) -> None:
    """Compare all three candidates and their scores."""
    wanted = prompt.answer(segmenter, photo)
    height, width = wanted.best.shape
    model = segmenter.engine.bundle.folder
    options = [*prompt.options(width, height), "--all-candidates"]
    said = program.segment(model, photo, out / "mask.png", *options)
    assert said.code == 0, said
    assert [f"{score:.4f}" for score in wanted.scores] == said.out.split()[2::3]
    for number, mask in enumerate(wanted.masks, 1):
        np.testing.assert_array_equal(mask_in(out / f"mask_{number}.png"), mask)


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
@pytest.mark.parametrize("kind", PROMPTS)
def test_every_photo_with_every_kind_of_prompt(
    program: Program, segmenter: Segmenter, photo: Path, kind: str, tmp_path: Path
) -> None:
    check(program, segmenter, photo, PROMPTS[kind], tmp_path)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("one pixel", pictures.encoded(Image.new("RGB", (1, 1), "red"), "PNG")),
        ("narrow", pictures.encoded(Image.fromarray(pictures.smooth(901, 7)), "PNG")),
        (
            "turned",
            pictures.encoded(
                Image.fromarray(pictures.smooth(37, 23)), "JPEG", exif=pictures.exif(6)
            ),
        ),
        (
            "16 bits",
            pictures.png(pictures.smooth(60, 81)[..., :1].astype(np.uint16) * 257, "L", 16),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_odd_pictures(
    program: Program, segmenter: Segmenter, name: str, file: bytes, tmp_path: Path
) -> None:
    photo = tmp_path / name
    photo.write_bytes(file)
    check(program, segmenter, photo, PROMPTS["box and not there"], tmp_path)


def test_a_model_that_is_not_square(program: Program, exported: Callable, tmp_path: Path) -> None:
    folder = exported("nano", (64, 96), memory=False).bundle.folder
    check(program, sam2lab.open_segmenter(folder), PHOTOS[0], PROMPTS["not there"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float", "fp16"])
@pytest.mark.parametrize("kind", PROMPTS)
def test_tiny(
    program: Program, exported: Callable, kind: str, precision: str, tmp_path: Path
) -> None:
    folder = exported("tiny", (256, 256), precision, memory=False).bundle.folder
    check(program, sam2lab.open_segmenter(folder), PHOTOS[1], PROMPTS[kind], tmp_path)


def test_the_best_mask_is_written_under_its_own_name(
    program: Program, segmenter: Segmenter, tmp_path: Path
) -> None:
    out = tmp_path / "a mask, ü.png"
    said = program.segment(NANO, PHOTOS[0], out, "--point", "170,110")
    (wanted,) = segmenter.segment_images(
        PHOTOS[0], point_coordinates=[[170, 110]], point_labels=[1]
    )
    assert said == (0, f"{out}: score {wanted.scores.max():.4f}\n", "")
    np.testing.assert_array_equal(mask_in(out), wanted.best)
    assert [file.name for file in tmp_path.iterdir()] == [out.name]
