"""Cut-outs are found in folders and photos, and pasted so that each hides what lies below."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sam2lab.runtime.images import ImageError
from sam2lab.scenes import cutouts
from sam2lab.scenes.cutouts import CutoutFolder
from sam2lab.scenes.scene import Scene


def test_a_picture_loses_its_clear_margin(cutout_folder: Path) -> None:
    picture = CutoutFolder(cutout_folder).read("00-0.png")
    assert picture.shape == (12, 12, 4)
    assert picture.base is None
    assert (picture[..., 3] == 255).all()


def test_variants_of_a_picture_form_a_family(cutout_folder: Path) -> None:
    folder = CutoutFolder(cutout_folder)
    assert len(folder.names) == 40
    assert len(folder.families) == 20
    assert folder.families[3] == ["03-0.png", "03-1.png"]


@pytest.mark.parametrize("damage", ["missing", "cut short", "no picture", "clear"])
def test_a_broken_picture_raises_and_names_itself(cutout_folder: Path, damage: str) -> None:
    path = cutout_folder / "00-0.png"
    folder = CutoutFolder(cutout_folder)
    if damage == "missing":
        path.unlink()
    elif damage == "cut short":
        path.write_bytes(path.read_bytes()[:60])
    elif damage == "no picture":
        path.write_text("no picture")
    else:
        Image.new("RGBA", (9, 9), (255, 0, 0, 127)).save(path)
    with pytest.raises(ImageError, match=r"00-0\.png"):
        folder.read("00-0.png")


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        CutoutFolder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="no PNG or WebP"):
        CutoutFolder(tmp_path)


def test_an_object_cut_out_of_a_photo_is_solid_where_its_mask_is() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    mask = np.zeros((40, 50), bool)
    mask[10:30, 5:45] = True
    mask[18:22, 20:25] = False
    picture = cutouts.cut_out(photo, mask)
    assert np.array_equal(picture[..., :3], photo[10:30, 5:45])
    # Softening takes the four corners, and rounds inner ones.
    differ = (picture[..., 3] >= 128) != mask[10:30, 5:45]
    assert np.count_nonzero(differ) <= 8


def test_a_mask_at_the_edge_of_the_photo_is_cut_out_too() -> None:
    photo = np.zeros((20, 20, 3), np.uint8)
    assert cutouts.cut_out(photo, np.ones((20, 20), bool)).shape == (20, 20, 4)


@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(16, 90), st.integers(16, 90)))
def test_pasted_objects_and_what_is_left_of_the_background_are_disjoint(
    seed: int, size: tuple[int, int]
) -> None:
    rng = np.random.default_rng(seed)
    left = np.zeros((1, *size), bool)
    left[0, :, : size[1] // 2] = True
    background = Scene(np.zeros((*size, 3), np.uint8), np.concatenate([left, ~left]))
    pictures = [rng.integers(128, 256, (*rng.integers(2, 60, 2), 4), np.uint8) for _ in range(4)]
    scene = cutouts.compose(rng, size, background, pictures)
    assert scene.image.shape == (*size, 3)
    assert scene.masks.sum(0).max() <= 1
    assert len(scene.masks) <= 6


def test_a_cutout_of_one_pixel_can_be_pasted() -> None:
    background = Scene(np.zeros((32, 32, 3), np.uint8), np.zeros((0, 32, 32), bool))
    for seed in range(20):
        speck = np.full((1, 1, 4), 255, np.uint8)
        cutouts.compose(np.random.default_rng(seed), (32, 32), background, [speck])


def test_a_background_of_another_size_is_refused() -> None:
    background = Scene(np.zeros((32, 32, 3), np.uint8), np.zeros((0, 32, 32), bool))
    with pytest.raises(ValueError, match="background is"):
        cutouts.compose(np.random.default_rng(0), (32, 40), background, [])
