"""The split is a property of a photo's name alone."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sam2lab.scenes.split import family, held_out


def test_one_photo_in_five_is_held_out() -> None:
    share = sum(held_out(image_id) for image_id in range(20_000)) / 20_000
    # Four standard deviations of a fair draw are 0.011.
    assert share == pytest.approx(0.2, abs=0.011)


@pytest.mark.parametrize("name", ["1f44b", "cat", "000000391895"])
def test_variants_of_a_picture_stay_together(name: str) -> None:
    variants = [name, f"{name}.png", f"{name}-1f3fb.webp", f"{name}-1f3ff-200d.webp"]
    assert {family(variant) for variant in variants} == {name}
    assert len({held_out(variant) for variant in variants}) == 1


def test_a_number_of_a_table_is_a_number() -> None:
    assert [held_out(number) for number in np.arange(20)] == [held_out(i) for i in range(20)]


def test_another_process_splits_the_same_way() -> None:
    code = "from sam2lab.scenes.split import held_out; print([held_out(i) for i in range(50)])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str([held_out(i) for i in range(50)])
