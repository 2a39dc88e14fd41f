"""`TorchEngine` runs the original, and equals SAM2ImagePredictor bit for bit."""

from __future__ import annotations

import copy
import uuid
from threading import Lock
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from sam2.modeling.sam2_base import SAM2Base
from torch import Tensor

from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch


class TorchEngine:
    """Runs a zoo model, or any SAM2Base module, on `"cpu"`, `"cuda"` or `"mps"`.

    A module that is on another device is copied, never moved. An engine may be used from several
    threads. On a device other than the CPU, features stay there as long as their numpy copies
    live.

    >>> from sam2lab.reference import zoo
    >>> engine = TorchEngine(zoo.load("nano", weights="random", input_size=(64, 96)))
    >>> features = engine.encode(np.zeros((1, 3, 64, 96), np.float32))
    >>> click = PromptBatch(np.full((1, 1, 2), 30, np.float32), np.ones((1, 1), np.float32))
    >>> features.image_embed.shape, engine.decode(features, click).logits.shape
    ((1, 128, 4, 6), (1, 4, 16, 24))
    """

    def __init__(self, model: ZooModel | SAM2Base, device: str | torch.device = "cpu") -> None:
        if not isinstance(model, ZooModel | SAM2Base):
            raise ValueError(
                f"model is a {type(model).__name__}; wanted what zoo.load returns, or a SAM2Base"
            )
        self.device = checked_device(device)
        module = model.module if isinstance(model, ZooModel) else model
        is_there = module.no_mem_embed.device == self.device
        self.module = module if is_there else copy.deepcopy(module).to(self.device)
        self._info = model.info if isinstance(model, ZooModel) else _describe(model)
        # The tensors of each `Features`, in its order.
        self._on_device: WeakKeyDictionary[Features, tuple[Tensor, ...]] = WeakKeyDictionary()
        self._lock = Lock()

    @property
    def info(self) -> ModelInfo:
        """The model that this engine runs; a bare module's weights are `module:<random id>`."""
        return self._info

    @property
    def key(self) -> str:
        """Names weights, input size and kind of device, because devices round differently."""
        info = self._info
        size = "x".join(map(str, info.input_size))
        return f"torch:{info.size}:{info.version}:{info.weights}:{size}:{self.device.type}"

    def encode(self, pixels: Float32) -> Features:
        """Encode normalised RGB pixels (B, 3, H, W), H and W being `info.input_size`."""
        self._info.check_pixels(pixels)
        with torch.inference_mode():
            backbone = self.module.forward_image(self._tensor(pixels))
            _, flat, _, sizes = self.module._prepare_backbone_features(backbone)
            if self.module.directly_add_no_mem_embed:
                flat[-1] = flat[-1] + self.module.no_mem_embed
            fine, middle, embed = (
                level.permute(1, 2, 0).view(len(pixels), -1, *size)
                for level, size in zip(flat, sizes, strict=True)
            )
            tensors = (embed, fine, middle)
            # Under autocast, which sam2's own notebooks use, they are in half precision.
            features = Features(*(tensor.float().cpu().numpy() for tensor in tensors))
        self._keep(features, tensors)
        return features

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image, with all four mask tokens."""
        if len(features.image_embed) != 1:
            raise ValueError(
                f"features are of {len(features.image_embed)} images; wanted those of one: "
                "take a batch apart with features.split()"
            )
        encoder, decoder = self.module.sam_prompt_encoder, self.module.sam_mask_decoder
        with torch.inference_mode():
            embed, fine, middle = self._lookup(features)
            points = None
            if prompts.point_coords.shape[1]:
                points = (self._tensor(prompts.point_coords), self._tensor(prompts.point_labels))
            masks = None if prompts.mask_input is None else self._tensor(prompts.mask_input)
            sparse, dense = encoder(points=points, boxes=None, masks=masks)
            logits, scores, _, _ = decoder.predict_masks(
                image_embeddings=embed,
                image_pe=encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                repeat_image=len(sparse) > 1,
                high_res_features=[fine, middle],
            )
            return Decoded(logits.float().cpu().numpy(), scores.float().cpu().numpy())

    def _lookup(self, features: Features) -> tuple[Tensor, ...]:
        with self._lock:
            kept = self._on_device.get(features)
        if kept is None:
            # The memory layout is kept, because decoding rounds differently in another one.
            kept = tuple(self._tensor(array, layout="A") for array in vars(features).values())
            self._keep(features, kept)
        return kept

    def _keep(self, features: Features, tensors: tuple[Tensor, ...]) -> None:
        if self.device.type != "cpu":
            with self._lock:
                self._on_device[features] = tensors

    def _tensor(self, array: npt.NDArray[np.generic], layout: Literal["A", "C"] = "C") -> Tensor:
        """The array on the device; on the CPU it shares the array's memory where it can."""
        # torch warns about read-only memory.
        own = np.require(array, np.float32, ["W"] if layout == "A" else ["C", "W"])
        return torch.from_numpy(own).to(self.device)


def _describe(module: SAM2Base) -> ModelInfo:
    height, width = module.sam_prompt_encoder.input_image_size
    return ModelInfo(
        name="custom",
        size="custom",
        input_size=(int(height), int(width)),
        weights=f"module:{uuid.uuid4().hex}",
        version="2.0" if module.no_obj_embed_spatial is None else "2.1",
        stride=module.backbone_stride,
    )


open_engine = TorchEngine


def check_options(device: str | torch.device = "cpu") -> None:
    """Refuse a device that this machine does not have."""
    checked_device(device)


def checked_device(device: str | torch.device) -> torch.device:
    """The device, or a `ValueError` where this machine does not have it."""
    available = ["cpu"]
    if torch.cuda.is_available():
        available += ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available += ["mps", "mps:0"]
    if str(device) not in available:
        raise ValueError(f"device is {str(device)!r}; this machine has {', '.join(available)}")
    # A tensor's device has an index, which "cuda" alone does not.
    return torch.empty(0, device=device).device
