"""Tell a peer its task in its own process, and build SAM 2 as Meta does.

This file imports only the standard library, so that a fresh process pays for nothing else.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TORCHVISION = Path(__file__).parents[1] / "reference" / "_torchvision.py"


class Job:
    """One peer's task. All values are plain, so that they go to another process as JSON.

    `size` and `version` name the model, `checkpoint` is the file of its weights and `config` that
    of its sam2 config; photos are `side` x `side` pixels inside. `folder` holds the peer's
    files, or is where to write them; `source` holds those of the peer that it is made from.
    `threads` is for `Peer.open`. `photo`, `click` (x, y) and `encodes`, how often to encode the
    photo, are for `Peer.first_mask`.
    """

    size: str
    version: str
    checkpoint: str
    config: str
    side: int
    folder: str
    source: str
    threads: int
    photo: str
    click: list[float]
    encodes: int

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def photos(self) -> Iterator[Any]:
        """Give the photo (H, W, 3) as often as it is to be encoded."""
        import numpy as np

        photo = np.load(self.photo)
        for _ in range(self.encodes):
            yield photo

    def predict(self, predictor: Any) -> Iterator[Any]:
        """Do the last two steps of `Peer.first_mask` as SAM2ImagePredictor is called."""
        import numpy as np

        for photo in self.photos():
            predictor.set_image(photo)
        yield
        masks, scores, _ = predictor.predict(
            point_coords=np.array([self.click], np.float32), point_labels=np.array([1])
        )
        yield masks[int(np.argmax(scores))] > 0

    def prepare_sam2(self) -> None:
        """Make `import sam2` possible where torch and torchvision do not fit: see `TORCHVISION`."""
        try:
            importlib.import_module("torchvision")
            return
        except RuntimeError:
            pass
        spec = importlib.util.spec_from_file_location("sam2lab_torchvision", TORCHVISION)
        assert spec is not None
        assert spec.loader is not None
        spec.loader.exec_module(importlib.util.module_from_spec(spec))

    def build_sam2(self) -> Any:
        """Build sam2's own classes, with the options that its `build_sam2` sets.

        That function itself takes only configs that sam2 ships.
        """
        self.prepare_sam2()
        import torch
        from hydra.utils import instantiate
        from omegaconf import OmegaConf

        model = OmegaConf.load(self.config).model
        model.image_size = self.side
        model.sam_mask_decoder_extra_args = {
            "dynamic_multimask_via_stability": True,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
        }
        module = instantiate(model).eval()
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        module.load_state_dict(state["model"])
        return module
