"""A Jupyter-first workbench for Segment Anything Model 2: a click becomes a mask.

An image is a path, encoded bytes, a PIL image or an RGB array; a click is (x, y) in its pixels,
labelled 1 for "this" and 0 for "not this".

>>> import numpy as np
>>> import sam2lab
>>> segmenter = sam2lab.open_segmenter("nano")
>>> photo = np.zeros((60, 80, 3), np.uint8)
>>> (prediction,) = segmenter.segment_images(
...     photo, point_coordinates=[[40, 30]], point_labels=[1]
... )
>>> prediction.best.shape, prediction.best.dtype
((60, 80), dtype('bool'))
"""

import os
from typing import TYPE_CHECKING, Any

# Or else importing onnxruntime writes a device's number into the user's home, and its maker is told
# what is run on which machine. Who has said otherwise is obeyed.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

from sam2lab.opening import open_segmenter
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.onnx_engine import OnnxEngine
from sam2lab.runtime.predictor import ImagePredictor
from sam2lab.runtime.segmenter import Prediction, Segmenter

if TYPE_CHECKING:
    from sam2lab.runtime.everything import AutomaticMaskGenerator
    from sam2lab.widgets.clicker import Clicker as Clicker

__version__ = "0.1.0"

__all__ = [
    "AutomaticMaskGenerator",
    "Bundle",
    "ImagePredictor",
    "OnnxEngine",
    "Prediction",
    "Segmenter",
    "open_segmenter",
]


def __getattr__(name: str) -> Any:
    """What a first mask does without is imported when it is asked for."""
    if name == "AutomaticMaskGenerator":
        from sam2lab.runtime.everything import AutomaticMaskGenerator

        return AutomaticMaskGenerator
    if name != "Clicker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # The rest must not need Jupyter's widgets.
    try:
        from sam2lab.widgets.clicker import Clicker
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"sam2lab.Clicker needs {error.name}, which is not installed here; install what "
            "notebooks need: pip install 'sam2lab[lab]'"
        ) from error
    return Clicker
