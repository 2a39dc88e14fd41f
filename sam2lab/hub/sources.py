"""`source_of` gives the files of a bundle such as AI Hub takes them, and what they are fed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sam2lab.hub.errors import HubError
from sam2lab.runtime.bundle import ONNX, Bundle, Tensor
from sam2lab.runtime.engines.bundle_engine import decoder_inputs
from sam2lab.runtime.engines.device import in_slots
from sam2lab.runtime.engines.protocol import (
    FEATURES,
    Decoded,
    Features,
    Float32,
    ModelInfo,
    PromptBatch,
)
from sam2lab.runtime.files import replacing

Arrays = dict[str, npt.NDArray[Any]]

GRAPHS = ("encoder", "decoder")
ANSWERS = ("masks", "iou_predictions", "single_mask", "single_iou")
OUTPUTS = {"encoder": FEATURES, "decoder": ANSWERS}

# The published decoder is given two points.
POINTS = 2
# The kinds of `measure.cases` that give just as many.
KINDS = ("point + negative", "box")


@dataclass(frozen=True)
class Source:
    """A bundle's graphs for any number of objects, compiled there for one photo and two points.

    What is uploaded lies in `folder`.
    """

    bundle: Bundle
    folder: Path

    @property
    def info(self) -> ModelInfo:
        """The model in the bundle."""
        return self.bundle.info

    @property
    def is_compiled(self) -> bool:
        """Whether the files are uploaded as they run on the device."""
        return False

    def file(self, graph: str) -> Path:
        """The file to upload, which is made when it is first asked for."""
        path = self.folder / f"{graph}.onnx"
        if not path.exists():
            # Imported here, because whoever only fetches needs no onnx.
            import onnx

            from sam2lab.graphs.fixed import with_sizes

            fixed = with_sizes(onnx.load(self.bundle.path(graph)), {"P": POINTS}, OUTPUTS[graph])
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as beside:
                beside.write_bytes(fixed.SerializeToString(deterministic=True))
        return path

    def encoder_inputs(self, pixels: Float32) -> Arrays:
        """What the encoder takes of pixels (1, 3, H, W)."""
        return {"image": pixels}

    def decoder_inputs(self, features: Features, prompt: PromptBatch) -> Arrays:
        """What the decoder takes of one photo's features and one prompt, in the graph's order."""
        no_mask = np.zeros((1, 1, *self.info.mask_size), np.float32)
        inputs = self.arranged(decoder_inputs(features, prompt, no_mask))
        return {tensor.name: inputs[tensor.name] for tensor in self.bundle.graphs["decoder"].inputs}

    def arranged(self, inputs: Arrays) -> Arrays:
        """The decoder's arrays as the uploaded file takes them."""
        return inputs

    def outputs(self, graph: str) -> list[Tensor]:
        """What the uploaded file gives, in its order."""
        return [each for each in self.bundle.graphs[graph].outputs if each.name in OUTPUTS[graph]]

    def by_name(self, graph: str, computed: Arrays) -> list[Arrays]:
        """The outputs of each sample, from those of all: (samples, 1, ...), under any names.

        Compilers keep the order of outputs, but not always their names.
        """
        wanted = self.outputs(graph)
        names = [tensor.name for tensor in wanted]
        ordered = [computed[n] for n in names] if {*names} <= {*computed} else [*computed.values()]
        shapes = [tuple(1 if isinstance(n, str) else n for n in t.shape) for t in wanted]
        if [array.shape[1:] for array in ordered] != shapes:
            found = {name: array.shape[1:] for name, array in computed.items()}
            raise HubError(
                "refused",
                f"the {graph} on the device gave {found}; wanted "
                f"{dict(zip(names, shapes, strict=True))}",
            )
        return [
            {n: np.asarray(a[i], np.float32) for n, a in zip(names, ordered, strict=True)}
            for i in range(len(ordered[0]))
        ]

    def features(self, outputs: Arrays) -> Features:
        """The encoder's outputs for one photo."""
        return Features(*(outputs[name] for name in FEATURES))

    def decoded(self, outputs: Arrays) -> Decoded:
        """The decoder's outputs for one prompt."""
        masks, scores, single_mask, single_score = (outputs[name] for name in ANSWERS)
        return Decoded(
            np.concatenate([single_mask, masks], axis=1),
            np.concatenate([single_score, scores], axis=1),
        )


class CompiledSource(Source):
    """A bundle of files for devices, which run there as they are."""

    @property
    def is_compiled(self) -> bool:
        """Whether the files are uploaded as they run on the device."""
        return True

    def file(self, graph: str) -> Path:
        """The file to upload: the bundle's."""
        return self.bundle.path(graph)

    def encoder_inputs(self, pixels: Float32) -> Arrays:
        """What the encoder takes of pixels (1, 3, H, W): channels last."""
        return {"image": np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))}

    def arranged(self, inputs: Arrays) -> Arrays:
        """The decoder's arrays as the file takes them: slots, some empty."""
        return in_slots(self.bundle, inputs)

    def outputs(self, graph: str) -> list[Tensor]:
        """What the file gives, in its order."""
        return list(self.bundle.graphs[graph].outputs)

    def features(self, outputs: Arrays) -> Features:
        """The encoder's outputs for one photo, channels first."""
        return Features(*(outputs[name].transpose(0, 3, 1, 2) for name in FEATURES))


def source_of(bundle: Bundle, folder: Path) -> Source:
    """The files of a bundle, whatever they are for."""
    return (Source if bundle.kind == ONNX else CompiledSource)(bundle, folder)
