"""A Jupyter-first workbench for Segment Anything Model 2.

>>> import sam2lab
>>> segmenter = sam2lab.open_segmenter("nano", weights="random")
>>> type(segmenter).__name__
'Segmenter'
"""

from typing import TYPE_CHECKING, Any

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
