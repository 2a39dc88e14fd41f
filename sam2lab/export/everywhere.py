"""`export_everywhere` writes one model for every target and precision that can be written here."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from sam2lab.export.device.bundles import images_for
from sam2lab.export.litert import NEEDS
from sam2lab.export.targets import export
from sam2lab.qnn.chips import Chip
from sam2lab.quantize.calibration import readable
from sam2lab.reference.zoo import ZooModel
from sam2lab.runtime.arguments import path
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.engines.protocol import TARGETS
from sam2lab.runtime.requirements import missing

_NEEDS = {"onnx": (), "litert": NEEDS, "qnn": ("onnxruntime_qnn",)}


def targets_here() -> list[str]:
    """The targets whose packages are installed."""
    return [target for target in TARGETS if not missing(_NEEDS[target])]


def export_everywhere(
    model: ZooModel,
    folder: str | os.PathLike[str],
    only: Collection[str] = (),
    chip: Chip | None = None,
) -> Iterator[Bundle]:
    """Yield a bundle for each target of `targets_here` in each of its precisions.

    They lie in a folder, under names such as `litert-w8a8`, and `only` chooses some of these; what
    lies there already is opened instead. All are calibrated with the same images, every other one
    of those that ship and of drawn scenes, so that the others can judge them:
    `device.bundles.images_for`. Files for NPUs are for any chip, or for `chip`, whose part is then
    in their names.
    """
    folder = path("folder", folder)
    images = [image for _, image in readable(images_for(None)[0])]
    for target in targets_here():
        for precision in TARGETS[target]:
            place = Path(folder) / f"{target}-{precision}"
            if only and place.name not in only:
                continue
            of_chip = chip.name if chip and target == "qnn" else None
            if chip and of_chip:
                place = place.with_name(f"{place.name}-{chip.part.lower()}")
            if place.exists():
                yield Bundle.open(place)
                continue
            in_bits = precision not in ("float", "fp16")
            yield export(
                model,
                place,
                precision=precision,
                calibration=images if in_bits and target == "onnx" else None,
                target=target,
                chip=of_chip,
            )
