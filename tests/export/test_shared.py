"""What all files of a model share is kept while its weights stay, and not of a large model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from sam2lab.export import shared
from sam2lab.export.shared import once
from sam2lab.reference import zoo


@pytest.fixture
def nano() -> zoo.ZooModel:
    return zoo.load("nano", weights="random")


@pytest.fixture
def made() -> Iterator[int]:
    return iter(range(9))


def test_weights_that_are_trained_on_are_asked_anew(
    nano: zoo.ZooModel, made: Iterator[int]
) -> None:
    assert [once(nano, "graph", made.__next__) for _ in range(2)] == [0, 0]
    with torch.no_grad():
        nano.module.no_mem_embed += 1
    assert [once(nano, "graph", made.__next__) for _ in range(2)] == [1, 1]


def test_nothing_is_kept_of_a_large_model(
    nano: zoo.ZooModel, made: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "LARGEST", 10_000_000)
    assert [once(nano, "graph", made.__next__) for _ in range(2)] == [0, 1]
