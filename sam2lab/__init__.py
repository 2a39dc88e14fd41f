"""A Jupyter-first workbench for Segment Anything Model 2.

>>> import sam2lab
>>> segmenter = sam2lab.open_segmenter("nano", weights="random")
>>> type(segmenter).__name__
'Segmenter'
"""

from sam2lab.opening import open_segmenter
from sam2lab.runtime.bundle import Bundle
from sam2lab.runtime.onnx_engine import OnnxEngine
from sam2lab.runtime.predictor import ImagePredictor
from sam2lab.runtime.segmenter import Prediction, Segmenter

__version__ = "0.1.0"

__all__ = [
    "Bundle",
    "ImagePredictor",
    "OnnxEngine",
    "Prediction",
    "Segmenter",
    "open_segmenter",
]
