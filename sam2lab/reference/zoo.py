"""Builds every size of SAM 2 with its config, weights and input size."""

from __future__ import annotations

import copy
import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from sam2.modeling.sam2_base import SAM2Base
from torch.overrides import TorchFunctionMode

from sam2lab import settings
from sam2lab.reference import fetch, rotary
from sam2lab.reference.anysize import check_input_size
from sam2lab.reference.weights import differences, fill_random, read_state
from sam2lab.runtime.arguments import WEIGHTS, existing_file, whole
from sam2lab.runtime.digests import noted_sha256, sha256_of
from sam2lab.runtime.engines.protocol import SIZES, VERSIONS, ModelInfo

NANO_WEIGHTS = "weights.safetensors"

_LETTERS = {"tiny": "t", "small": "s", "base_plus": "b+", "large": "l"}


@dataclass(frozen=True, eq=False)
class ZooModel:
    """A model of sam2's own class, in evaluation mode on the CPU, and what it is."""

    module: SAM2Base
    info: ModelInfo


def load(
    size: str,
    weights: str | os.PathLike[str] = "auto",
    version: str = "2.1",
    input_size: tuple[int, int] | None = None,
    seed: int = 0,
) -> ZooModel:
    """Build one size and give it its weights.

    `weights="auto"` are Meta's, downloaded once and verified; for `nano`, which is not Meta's,
    those that ship with this project. The path of a `.pt` or `.safetensors` file loads a
    fine-tuned model of that size. `"random"` draws weights from `seed`, for time and numeric
    parity: their masks mean nothing. `input_size` is (height, width), multiples of 16; without it
    the config's own square.

    >>> model = load("nano", weights="random", input_size=(256, 320))
    >>> model.info.input_size, model.info.weights
    ((256, 320), 'random:0')
    """
    _check_choice("size", size, SIZES)
    _check_choice("version", version, versions_of(size))
    seed = whole("seed", seed, 0, 2**63 - 1)

    if input_size is not None:
        input_size = check_input_size(input_size)

    file, provenance = _find_weights(size, weights, version, seed)
    module = build(size, version)
    if file is None:
        fill_random(module, seed)
    else:
        _fill_from(module, file, size, version)
    side = module.image_size
    name = size if file is None or weights == "auto" else file.stem
    model = ZooModel(module, ModelInfo(name, size, (side, side), provenance, version=version))
    return model if input_size is None else resize(model, input_size)


def resize(model: ZooModel, input_size: tuple[int, int]) -> ZooModel:
    """The same model for another input size: parameters shared, the given model unchanged.

    >>> nano = load("nano", weights="random")
    >>> wide = resize(nano, (720, 1280))
    >>> wide.info.mask_size, nano.info.mask_size
    ((180, 320), (128, 128))
    >>> wide.module.no_mem_embed is nano.module.no_mem_embed
    True
    """
    height, width = check_input_size(input_size)
    info = replace(model.info, input_size=(height, width))
    encoder = copy.copy(model.module.sam_prompt_encoder)
    encoder.input_image_size = (height, width)
    encoder.image_embedding_size = info.embed_size
    encoder.mask_input_size = info.mask_size

    module = copy.copy(model.module)
    # A shallow copy shares the table of sub-modules, which changes here.
    module._modules = {
        **module._modules,
        "sam_prompt_encoder": encoder,
        "memory_attention": rotary.for_embedding(module.memory_attention, info.embed_size),
    }
    is_square = height == width
    module.image_size = height if is_square else (height, width)
    module.sam_image_embedding_size = info.embed_size[0] if is_square else info.embed_size
    return ZooModel(module, info)


def versions_of(size: str) -> tuple[str, ...]:
    """The versions in which a size exists; nano is of 2.1 only."""
    return ("2.1",) if size == "nano" else VERSIONS


def build(size: str, version: str = "2.1") -> SAM2Base:
    """The architecture in evaluation mode, its weights uninitialised memory.

    It is built from its `config` as `build_sam2` does. The global random state is not used.
    """
    return build_from(config(size, version))


def build_from(config: Any) -> Any:
    """The module that a config describes, in evaluation mode, its weights uninitialised memory."""
    with _NoInitialisation():
        return instantiate(config).eval()


def untrained(size: str, seed: int = 0) -> ZooModel:
    """The architecture as sam2's own constructors initialise it, to be trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: SAM2Base = instantiate(config(size, "2.1")).eval()
    side = module.image_size
    return ZooModel(module, ModelInfo(size, size, (side, side), f"random:{seed}"))


def config(size: str, version: str = "2.1") -> Any:
    """The settings of an architecture: sam2's YAML with `build_sam2`'s post-processing overrides.

    Trunk and neck take every multiple of 16.
    """
    settings = OmegaConf.load(config_file(size, version)).model
    settings.image_encoder.trunk._target_ = "sam2lab.reference.anysize.AnySizeHiera"
    settings.image_encoder.neck._target_ = "sam2lab.reference.anysize.AnySizeNeck"
    settings.sam_mask_decoder_extra_args = {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    }
    return settings


class _NoInitialisation(TorchFunctionMode):
    """Leaves new parameters uninitialised, because every one of them is overwritten."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in ("kaiming_uniform_", "uniform_", "normal_"):
            return args[0] if args else kwargs["tensor"]
        return (torch.empty if func is torch.randn else func)(*args, **kwargs)


def config_file(size: str, version: str) -> Any:
    """The YAML file of an architecture: sam2's own, or ours for nano."""
    if size == "nano":
        return files("sam2lab.reference") / "nano.yaml"
    family = "sam2" if version == "2.0" else "sam2.1"
    return files("sam2") / "configs" / family / f"{family}_hiera_{_LETTERS[size]}.yaml"


def _find_weights(
    size: str, weights: str | os.PathLike[str], version: str, seed: int
) -> tuple[Path | None, str]:
    """The file to load, or None for random weights, and the provenance to record."""
    if weights == "random":
        return None, f"random:{seed}"
    if weights != "auto":
        own = existing_file("weights", weights, WEIGHTS)
        return own, f"checkpoint:{noted_sha256(own)}"
    if size != "nano":
        meta = fetch.checkpoint(size, version)
        return meta.fetch(), f"checkpoint:{meta.sha256}"
    trained = settings.nano_folder() / NANO_WEIGHTS
    if not trained.is_file():
        raise ValueError(
            f"weights is 'auto', but {trained} does not exist: train nano with `python -m sam2lab "
            "train`, give the path of its weights, or pass weights='random'"
        )
    return trained, f"trained-here:{sha256_of(trained)}"


def _fill_from(module: SAM2Base, file: Path, size: str, version: str) -> None:
    state = read_state(file)
    wrong = differences(module, state)
    if wrong:
        fitting = [f"size={s!r}, version={v!r}" for s, v in _fitting(state)]
        advice = f"It fits {' or '.join(fitting)}" if fitting else "It fits no size that is known"
        raise ValueError(
            f"weights: {file} does not fit size={size!r}, version={version!r}: "
            f"{'; '.join(wrong)}. {advice}"
        )
    module.load_state_dict(state)


def _fitting(state: Any) -> Iterator[tuple[str, str]]:
    for size in SIZES:
        for version in versions_of(size):
            if not differences(build(size, version), state):
                yield size, version


def _check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        close = difflib.get_close_matches(str(value).lower(), choices, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"{argument} is {value!r}; wanted one of {', '.join(map(repr, choices))}{hint}"
        )
