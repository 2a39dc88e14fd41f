from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sam2lab.runtime.arguments import number, path, whole


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_a_whole_number_comes_back_as_an_int(value: int) -> None:
    assert whole("n", value, 1) == value
    assert type(whole("n", value, 1)) is int


@pytest.mark.parametrize("value", [0, -1, 1.5, 2.0, "2", None, float("nan"), True, np.True_])
def test_what_is_no_whole_number_from_the_least_on_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"n is .*; wanted a whole number, 1 or more"):
        whole("n", value, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, 10, 2.0])
def test_a_whole_number_may_have_a_most(value: int) -> None:
    assert whole("n", 9, 0, 9) == 9
    with pytest.raises(ValueError, match=rf"n is {value}; wanted a whole number from 0 to 9"):
        whole("n", value, 0, 9)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.25)])
def test_a_number_within_its_bounds_comes_back_as_a_float(value: float) -> None:
    assert number("share", value, 0, 1) == value
    assert type(number("share", value, 0, 1)) is float


@pytest.mark.parametrize(
    ("bounds", "value", "wanted"),
    [
        ((0, 1), 1.01, "wanted a number from 0 to 1"),
        ((0, 1), -0.01, "wanted a number from 0 to 1"),
        ((0,), -1, "wanted a number, 0 or more"),
        ((0,), float("inf"), "wanted a number, 0 or more"),
        ((), float("-inf"), "wanted a number$"),
        ((), float("nan"), "wanted a number$"),
        ((), "much", "wanted a number$"),
        ((0, 1), "0.5", "wanted a number from 0 to 1"),
        ((0, 1), True, "wanted a number from 0 to 1"),
        ((), 10**400, "wanted a number$"),
        ((), None, "wanted a number$"),
        ((), [1, 2], "wanted a number$"),
    ],
)
def test_any_other_number_is_refused(bounds: tuple[int, ...], value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=rf"share is .*; {wanted}"):
        number("share", value, *bounds)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["models/tiny", Path("models/tiny")])
def test_text_and_paths_are_paths(value: str | Path) -> None:
    assert path("folder", value) == Path("models/tiny")


@pytest.mark.parametrize("value", [None, 3, b"models", ["models"]])
def test_what_is_no_path_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValueError, match=r"^folder is .*; wanted a folder"):
        path("folder", value, "a folder")  # type: ignore[arg-type]
