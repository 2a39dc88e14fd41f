"""A peer that is one file: it answers at once, and always with the upper half of the photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sam2lab.peers import Job


class Toy:
    name = "toy"
    distributions = ("numpy",)
    can: ClassVar = {"video": "yes: in its dreams", "telepathy": "yes"}

    def make_files(self, job: Job) -> None:
        (Path(job.folder) / "toy.onnx").write_bytes(b"toy" * 1_000_000)

    def open(self, job: Job) -> Any:
        return ToyModel()

    def first_mask(self, job: Job) -> Iterator[Any]:
        import numpy as np

        yield
        yield
        for photo in job.photos():
            mask = np.zeros(photo.shape[:2], bool)
        yield
        mask[: len(mask) // 2] = True
        yield mask


class ToyModel:
    def encode(self, pixels: Any) -> Any:
        from sam2lab.runtime.engines.protocol import Features

        return Features(pixels[:, :1, ::64, ::64], pixels[:, :1], pixels[:, :1, ::2, ::2])

    def decode(self, features: Any, prompts: Any) -> Any:
        import numpy as np

        if prompts.mask_input is not None:
            raise NotImplementedError("a toy takes no mask\nfor now")
        logits = np.full((prompts.objects, 3, 256, 256), -1, np.float32)
        logits[:, :, :128] = 1
        return logits


class Broken(Toy):
    name = "broken"

    def make_files(self, job: Job) -> None:
        raise OSError("the exporter has no ink")


class Absent(Toy):
    name = "absent"
    needs = ("no_such_module",)
    get = "pip install it"
