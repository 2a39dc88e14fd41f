"""`TorchEngine` runs the original: for images, and with its memory for videos.

For images it equals SAM2ImagePredictor bit for bit.
"""

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

from sam2lab.reference import memory
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.engines.protocol import Decoded, Features, Float32, ModelInfo, PromptBatch
from sam2lab.runtime.video.protocol import DecodedObjects, Memories, VideoSettings


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
        self._video = memory.settings(self.module, is_random=self._info.has_random_weights)
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
            features = Features(*map(_array, tensors))
        self._keep(features, tensors)
        return features

    def decode(self, features: Features, prompts: PromptBatch) -> Decoded:
        """Answer L prompts on one image, with all four mask tokens."""
        with torch.inference_mode():
            logits, scores, _, _ = self._predict(features, prompts)
            return Decoded(_array(logits), _array(scores))

    @property
    def video(self) -> VideoSettings | None:
        """How the model uses its memory; None only for a module whose memory is not SAM 2's."""
        return self._video

    def decode_objects(self, features: Features, prompts: PromptBatch) -> DecodedObjects:
        """Answer L prompts as `decode` does, with object scores and pointers."""
        with torch.inference_mode():
            logits, scores, tokens, object_scores = self._predict(features, prompts)
            pointers = memory.point_to_objects(self.module, tokens, object_scores)
            return DecodedObjects(*map(_array, (logits, scores, object_scores, pointers)))

    def condition(self, features: Features, memories: Memories) -> Features:
        """Let one frame's features look at the memories of L objects."""
        with torch.inference_mode():
            embed, fine, middle = self._lookup(_of_one_image(features))
            conditioned = memory.condition(
                self.module,
                embed,
                self._tensor(memories.memory),
                torch.tensor(memories.memory_age, device=self.device),
                self._tensor(memories.object_pointers),
                self._tensor(memories.pointer_time),
            )
            finer = features.high_res_feats_0, features.high_res_feats_1
            result = Features(_array(conditioned), *finer)
        self._keep(result, (conditioned, fine, middle))
        return result

    def remember(
        self, features: Features, mask_logits: Float32, object_scores: Float32, binarize: bool
    ) -> Float32:
        """Make the memories (L, h*w, D) of masks on one frame."""
        with torch.inference_mode():
            embed, _, _ = self._lookup(_of_one_image(features))
            logits, scores = self._tensor(mask_logits), self._tensor(object_scores)
            return _array(memory.remember(self.module, embed, logits, scores, binarize))

    def _predict(self, features: Features, prompts: PromptBatch) -> tuple[Tensor, ...]:
        """Logits and scores of all mask tokens, the tokens, and the scores of the objects."""
        encoder, decoder = self.module.sam_prompt_encoder, self.module.sam_mask_decoder
        embed, fine, middle = self._lookup(_of_one_image(features))
        points = None
        if prompts.point_coords.shape[1]:
            points = (self._tensor(prompts.point_coords), self._tensor(prompts.point_labels))
        masks = None if prompts.mask_input is None else self._tensor(prompts.mask_input)
        sparse, dense = encoder(points=points, boxes=None, masks=masks)
        predicted: tuple[Tensor, ...] = decoder.predict_masks(
            image_embeddings=embed,
            image_pe=encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            repeat_image=len(sparse) > len(embed),
            high_res_features=[fine, middle],
        )
        return predicted

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


def _of_one_image(features: Features) -> Features:
    """The features, or a `ValueError`. A frame's embedding may be there once for each object."""
    images = len(features.high_res_feats_0)
    if images != 1:
        raise ValueError(
            f"features are of {images} images; wanted those of one: "
            "take a batch apart with features.split()"
        )
    return features


def _array(tensor: Tensor) -> Float32:
    # Under autocast, which sam2's own notebooks use, tensors are in half precision.
    array: Float32 = tensor.float().cpu().numpy()
    return array


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
