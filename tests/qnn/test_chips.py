"""Chips are found by what people call them."""

from __future__ import annotations

import pytest

from sam2lab.qnn import CHIPS, chip


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Snapdragon 8 Gen 3", "SM8650"),
        ("Snapdragon® 8 Gen 3 Mobile", "SM8650"),
        ("8 gen 3", "SM8650"),
        ("sm8650", "SM8650"),
        ("Snapdragon 8 Elite For Galaxy Mobile", "SM8750"),
        ("snapdragon-8-elite-gen-5", "SM8850"),
        ("Snapdragon(R) X Elite", "SC8380XP"),
    ],
)
def test_finds_a_chip_by_any_spelling(name: str, part: str) -> None:
    assert chip(name).part == part


@pytest.mark.parametrize("name", ["", "Snapdragon", "Snapdragon 9", "A17 Pro", "SM86"])
def test_refuses_others_with_those_it_knows(name: str) -> None:
    with pytest.raises(ValueError, match="wanted one of 'Snapdragon 888', 'Snapdragon 8 Gen 1'"):
        chip(name)


def test_a_slip_is_told_what_it_is_near_to() -> None:
    with pytest.raises(ValueError, match="near to it: 'Snapdragon 8 Gen 3'"):
        chip("Snapdragon 8 Gen 33")


def test_no_two_chips_share_a_name_a_part_or_a_number() -> None:
    for of in ("name", "part", "soc"):
        assert len({getattr(each, of) for each in CHIPS}) == len(CHIPS)
