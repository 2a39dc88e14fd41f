"""SAM 2 as Meta builds it. Free of this package, so that a fresh process pays for nothing else."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

TORCHVISION = Path(__file__).parents[1] / "reference" / "_torchvision.py"


def enter() -> None:
    """Make `import sam2` possible where torch and torchvision do not fit: see that module."""
    try:
        importlib.import_module("torchvision")
        return
    except RuntimeError:
        pass
    spec = importlib.util.spec_from_file_location("sam2lab_torchvision", TORCHVISION)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def build(config: str, checkpoint: str, side: int) -> Any:
    """sam2's own classes from one of its YAML files, for photos of `side` x `side` pixels.

    With the options that its `build_sam2` sets, which takes only configs that it ships.
    """
    import torch
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    model = OmegaConf.load(config).model
    model.image_size = side
    model.sam_mask_decoder_extra_args = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    module = instantiate(model).eval()
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module.load_state_dict(state["model"])
    return module
