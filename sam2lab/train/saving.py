"""Writes the model files of a finished run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from safetensors.torch import save

from sam2lab.export.onnx import export
from sam2lab.reference import zoo
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.bundle_folder import check_free
from sam2lab.runtime.digests import sha256_of
from sam2lab.runtime.files import replacing
from sam2lab.train.memory import MEMORY_LOG, MemoryTrainer
from sam2lab.train.trainer import LOG, Trainer

CONFIG = "nano.yaml"


def save_model(trainer: Trainer | MemoryTrainer, folder: Path) -> Bundle:
    """Write weights, config, log and the float bundle into `folder`, as models/nano has them.

    The weights are kept in half precision, which halves the download. The bundle is made from
    the weights that were kept, not from those that were trained, so that PyTorch and ONNX agree.
    A folder that holds a model already is refused and left as it is.
    """
    check_free(folder)
    folder.mkdir(parents=True, exist_ok=True)
    module = (trainer.averaged() if isinstance(trainer, Trainer) else trainer.model).module
    half = {key: value.half() for key, value in module.state_dict().items()}
    with replacing(folder / zoo.NANO_WEIGHTS) as beside:
        # safetensors' save_file makes files that only their owner may read.
        beside.write_bytes(save({key: value.contiguous() for key, value in half.items()}))
    with as_file(files("sam2lab.reference") / CONFIG) as config:
        shutil.copyfile(config, folder / CONFIG)
    if trainer.folder is not None:
        log = LOG if isinstance(trainer, Trainer) else MEMORY_LOG
        shutil.copyfile(trainer.folder / log, folder / log)

    kept = zoo.load("nano", weights=folder / zoo.NANO_WEIGHTS)
    provenance = f"trained-here:{sha256_of(folder / zoo.NANO_WEIGHTS)}"
    info = replace(kept.info, name="nano", weights=provenance)
    return export(zoo.ZooModel(kept.module, info), folder)
