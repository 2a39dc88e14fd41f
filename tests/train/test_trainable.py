from __future__ import annotations

import numpy as np
import pytest
import torch

from sam2lab.reference import zoo
from sam2lab.reference.engine import TorchEngine
from sam2lab.runtime.engines.protocol import IMAGENET_MEAN, IMAGENET_STD, PromptBatch
from sam2lab.runtime.images import preprocess
from sam2lab.train.trainable import TrainableModel

SIDE = 64


@pytest.fixture(scope="module")
def model() -> zoo.ZooModel:
    return zoo.load("nano", weights="random", input_size=(SIDE, SIDE))


def test_a_trainable_model_predicts_as_the_engine_that_serves_it(model: zoo.ZooModel) -> None:
    """Training computes what inference does: features, prompts, masks, all four tokens."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    points = rng.uniform(0, SIDE, (3, 2, 2)).astype(np.float32)
    labels = np.array([[1, 0], [2, 3], [1, -1]], np.int32)
    previous = rng.normal(size=(3, 1, SIDE // 4, SIDE // 4)).astype(np.float32)

    engine = TorchEngine(model)
    features = engine.encode(preprocess(image, (SIDE, SIDE), IMAGENET_MEAN, IMAGENET_STD)[None])
    prompts = PromptBatch(points, labels.astype(np.float32), previous)
    expected = engine.decode(features, prompts)

    trainable = TrainableModel(model).eval()
    with torch.no_grad():
        maps = trainable.encode(torch.from_numpy(image.transpose(2, 0, 1).copy())[None]).repeat(3)
        masks, scores = trainable.decode(
            maps,
            SIDE,
            torch.from_numpy(points),
            torch.from_numpy(labels),
            torch.from_numpy(previous),
        )
    # Pixels are normalised in another order of operations, 1e-7 apart.
    np.testing.assert_allclose(masks.numpy(), expected.logits, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(scores.sigmoid().numpy(), expected.scores, atol=1e-4)


def test_cell_embeddings_have_length_one(model: zoo.ZooModel) -> None:
    trainable = TrainableModel(model).eval()
    image = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8)
    embeddings = trainable.cell_embeddings(trainable.encode(image))
    assert embeddings.shape[2:] == (SIDE // 4, SIDE // 4)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2, SIDE // 4, SIDE // 4))
