"""Every notebook has a picture in the gallery, and it is small."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from tests.notebooks.gallery import MOST_BYTES, WIDTH, as_small_file, gallery_picture

NOTEBOOKS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("*.ipynb"))
README = NOTEBOOKS[0].with_name("README.md")
FIGURES = NOTEBOOKS[0].with_name("figures")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
class TestTheGallery:
    def test_links_to_the_notebook_and_describes_its_picture(self, notebook: Path) -> None:
        text = README.read_text(encoding="utf-8")
        assert f"]({notebook.name})" in text
        assert re.search(rf"!\[[^\]]{{20,}}\]\(figures/{notebook.stem}\.webp\)", text)

    def test_has_a_picture_that_is_small(self, notebook: Path) -> None:
        file = FIGURES / f"{notebook.stem}.webp"
        assert file.stat().st_size <= MOST_BYTES
        with Image.open(file) as picture:
            assert 300 <= picture.width <= WIDTH

    def test_has_one_cell_that_makes_the_picture(self, notebook: Path) -> None:
        cells = nbformat.read(notebook, as_version=4).cells
        assert sum("gallery" in cell.metadata.get("tags", ()) for cell in cells) == 1


def test_no_picture_is_left_of_a_notebook_that_is_gone() -> None:
    wanted = {f"{notebook.stem}.webp" for notebook in NOTEBOOKS} | {"clicker.webp"}
    assert {file.name for file in FIGURES.iterdir()} == wanted


def test_a_picture_full_of_detail_is_made_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (600, 1200, 3), np.uint8)
    assert len(as_small_file(Image.fromarray(noise))) <= MOST_BYTES


class TestThePictureOfANotebook:
    def test_is_that_of_the_tagged_cell(self, tmp_path: Path) -> None:
        assert gallery_picture(_notebook(tmp_path, [_one_pixel()])).size == (1, 1)

    def test_is_missed_where_the_notebook_was_not_run(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="shows 0 pictures in cells tagged 'gallery'; wanted"):
            gallery_picture(_notebook(tmp_path, []))


def _one_pixel() -> str:
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def _notebook(folder: Path, pictures: list[str]) -> Path:
    outputs = [new_output("display_data", {"image/png": picture}) for picture in pictures]
    tagged = new_code_cell("figure", metadata={"tags": ["gallery"]}, outputs=outputs)
    other = new_code_cell("another", outputs=[new_output("display_data", {"image/png": "no"})])
    nbformat.write(new_notebook(cells=[other, tagged]), folder / "notebook.ipynb")
    return folder / "notebook.ipynb"
